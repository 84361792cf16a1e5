// Whether a vendor's webhooks reach us: our listener answers, its signature can be checked, and something came not long ago.
// Where one of these is not so, asking is all there is, and it is done more often (O-19).

export interface WebhookHealth {
  isHealthy(driver: string): boolean
  /** Null: there is no listener. */
  probed(result: boolean | null): void
  /** The drivers whose deliveries can be checked now. */
  canCheck(drivers: readonly string[]): void
  /** A genuine delivery came. */
  heard(driver: string, at: number): void
  /** When a genuine delivery of this vendor came last; null: never. */
  heardAt(driver: string): number | null
  lastHeard(): number | null
}

/**
 * A quiet night is no reason to ask every half minute, and a webhook that was deleted is told by nobody: after a day
 * without a word we go and look.
 */
const MAX_SILENCE_MS = 24 * 3_600_000

export function makeWebhookHealth(deps: {
  now: () => number
  lastDeliveries: () => { source: string; at: number }[]
}): WebhookHealth {
  let answers = false
  let checkable: readonly string[] = []
  let known: Map<string, number> | null = null
  // Asked of the store when first needed: most commands never do.
  const heard = (): Map<string, number> =>
    (known ??= new Map(deps.lastDeliveries().map(({ source, at }) => [source, at])))
  return {
    isHealthy: (driver) =>
      answers &&
      checkable.includes(driver) &&
      deps.now() - (heard().get(driver) ?? Number.NEGATIVE_INFINITY) <= MAX_SILENCE_MS,
    probed: (result) => {
      answers = result === true
    },
    canCheck: (drivers) => {
      checkable = drivers
    },
    heard: (driver, at) => void heard().set(driver, at),
    heardAt: (driver) => heard().get(driver) ?? null,
    lastHeard: () => {
      const times = [...heard().values()]
      return times.length === 0 ? null : Math.max(...times)
    },
  }
}
