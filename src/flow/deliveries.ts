// From a request to a kept delivery: checked over its raw bytes, appended, answered; parsed by nobody yet (S7).

import type { WebhookSettings } from '../config/config.ts'
import type { WebhookSource } from '../drivers/driver.ts'
import { messageOf } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'
import type { Audit } from './webhook-audit.ts'
import type { WebhookHealth } from './webhook-health.ts'
import type { WebhookDoor } from './webhooks.ts'

export interface IngestDeps {
  store: Pick<Store, 'appendDelivery'>
  sources: Record<string, WebhookSource>
  secrets: Record<string, readonly string[]>
  settings: WebhookSettings
  audit: Audit
  health: WebhookHealth
  now: () => number
  onError: (error: unknown) => void
  /** Something new of this source is to be worked on. */
  onNew: (source: string) => void
}

/** `ORCH_GITHUB_WEBHOOK_SECRET` of each driver: several by commas, while one is changed for the next. */
export function webhookSecrets(
  env: Record<string, string | undefined>,
  drivers: readonly string[],
): Record<string, string[]> {
  const secretsOf = (driver: string): string[] =>
    (env[`ORCH_${driver.toUpperCase()}_WEBHOOK_SECRET`] ?? '')
      .split(',')
      .map((secret) => secret.trim())
      .filter((secret) => secret !== '')
  return Object.fromEntries(drivers.map((driver) => [driver, secretsOf(driver)]))
}

export function makeDoor(deps: IngestDeps): WebhookDoor {
  const { sources, secrets, settings, audit, health } = deps
  return {
    maxBytes: settings.maxBytes,
    has: (source) => Object.hasOwn(sources, source),
    ingest: (delivery) => ingest(deps, delivery),
    refused: (request) => audit.add({ what: 'request', ...request }),
    health: () => {
      const last = health.lastHeard()
      return {
        lastDeliveryAt: last === null ? null : new Date(last).toISOString(),
        signed: !settings.unsigned && Object.values(secrets).some((known) => known.length > 0),
      }
    },
  }
}

async function ingest(
  deps: IngestDeps,
  { source, headers, body }: Parameters<WebhookDoor['ingest']>[0],
): Promise<{ status: number; text: string }> {
  const { audit, settings, now } = deps
  const answer = (status: number, text: string, more: { delivery?: string; event?: string } = {}) => {
    audit.add({ what: 'request', source, status, ...more, ...(status >= 400 ? { reason: text } : {}) })
    return { status, text }
  }
  const found = deps.sources[source]
  if (!found) return answer(404, 'nothing is here')
  const named: { delivery?: string; event?: string } = {}
  try {
    const secrets = deps.secrets[source] ?? []
    const verified = found.verify({ headers, body }, { secrets, unsigned: settings.unsigned })
    if (!verified.ok) return answer(verified.status, verified.reason)
    named.delivery = verified.id
    named.event = verified.event
    const at = now()
    const kept = { source, deliveryId: verified.id, event: verified.event, body, at }
    const { isNew } = await deps.store.appendDelivery(kept)
    deps.health.heard(source, at)
    if (!isNew) return answer(200, 'this delivery is known', named)
    deps.onNew(source)
    return answer(202, 'taken', named)
  } catch (error) {
    deps.onError(new Error(`a delivery of ${source} could not be kept: ${messageOf(error)}`, { cause: error }))
    return answer(500, 'this delivery could not be kept; send it again', named)
  }
}
