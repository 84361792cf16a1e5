// Where a blow may fall: points of Orch's work, and what happens there. Each seed aims at one of these cells, in turn. A
// point that the simulation passes and that is not here fails it, so that a new durable write is not forgotten.

/**
 * `before`, `after`: the process dies, with the effect not made, or made and not heard of. `failed`: it was made and is
 * reported as failed. `lost`: it is acknowledged and was never made. `refused`: it failed and was not made.
 */
export const STRIKES = ['before', 'after', 'failed', 'lost', 'refused'] as const
export type Strike = (typeof STRIKES)[number]

export interface Cell {
  point: string
  strike: Strike
}

interface Points {
  /** Durable writes to the store, and files that nobody misses. */
  writes: readonly string[]
  /** Calls of the world, which may fail by themselves. */
  calls: readonly string[]
}

/** Every step of a task may end in these. */
const ENDS = ['commit retry.counted', 'commit task.held', 'commit nothing', 'finish', 'release', 'renew'] as const
/** A step's first words, and the pinning of what it is judged by. */
const BEGINS = ['commit step.begun', 'commit task.started', 'pin'] as const

/** What news from the vendor leads to. */
const HEARD = [
  'commit task.opened',
  'commit task.edited',
  'commit task.approved',
  'commit task.answered',
  'commit task.cancelled',
  'commit task.cancel_requested',
  'commit task.held',
  'commit task.landed',
  'commit task.paused',
  'commit task.resumed',
  'commit task.retried',
  'commit task.unblocked',
  'commit task.dependencies_set',
  'commit train.left',
  'commit step.begun',
  'commit step.queued',
  'commit nothing',
  'putMark',
  'putSeenIssue',
] as const
const ASKED = ['fetch', 'find change', 'ask for trust', 'comment', 'sign'] as const

/** By kind of job; `service` is what a service does beside its jobs, `delivery` and `poll` what it hears of the vendor. */
export const POINTS: Record<string, Points> = {
  run: {
    writes: [
      ...BEGINS,
      'commit run.begun',
      'commit account.canary_begun',
      'commit step.queued',
      'commit run.ended',
      'commit nothing',
      'make folder',
      'lend',
      'take back',
      'write file',
      'putArtifact',
      'putEvidence',
      ...ENDS,
    ],
    calls: ['fetch', 'verify', 'workspace', 'read copy', 'setup', 'start', 'stop', 'collect', 'discard'],
  },
  judge: {
    writes: [...BEGINS, 'commit stage.judged', 'commit step.queued', 'putEvidence', ...ENDS],
    calls: ['fetch', 'verify', 'add review'],
  },
  publish: {
    writes: [
      ...BEGINS,
      'commit change.intended',
      'commit change.published',
      'commit task.cancelled',
      'saveChange',
      ...ENDS,
    ],
    calls: ['fetch', 'list branches', 'push branch', 'ensure change', 'find change'],
  },
  await: {
    writes: [
      'commit step.waiting',
      'commit stage.judged',
      'commit task.cancelled',
      'saveChange',
      'putEvidence',
      'putMark',
      ...ENDS,
    ],
    calls: [
      'ensure change',
      'find change',
      'ask for checks',
      'list reviews',
      'list threads',
      'reply',
      'comment',
      'ask for trust',
    ],
  },
  tell: {
    writes: ['putEvidence', 'putMark', 'finish', 'release', 'renew', 'park'],
    calls: ['show', 'comment'],
  },
  land: {
    writes: [
      ...BEGINS,
      'commit merge.intended',
      'commit merge.abandoned',
      'commit task.landed',
      'commit train.left',
      'commit task.cancelled',
      'saveChange',
      'putEvidence',
      ...ENDS,
    ],
    calls: ['fetch', 'verify', 'push base', 'find change', 'ensure change', 'merge'],
  },
  'stop-run': {
    writes: [
      'commit run.ended',
      'take back',
      'make folder',
      'write file',
      'putArtifact',
      'putEvidence',
      'finish',
      'release',
      'renew',
      'park',
    ],
    calls: ['stop', 'collect', 'discard'],
  },
  'release-dependants': {
    writes: ['commit task.unblocked', 'commit task.held', 'finish', 'release', 'renew', 'park'],
    calls: [],
  },
  clean: {
    writes: ['take back', 'remove folder', 'saveChange', 'finish', 'release', 'renew', 'park'],
    calls: ['stop', 'collect', 'remove', 'mark merged', 'close change', 'delete branch'],
  },
  service: {
    writes: [
      'claim',
      'reclaim',
      'heal',
      'commit step.queued',
      'commit task.landed',
      'commit task.unblocked',
      'commit task.held',
      'commit run.ended',
      'commit train.left',
      'take back',
      'make folder',
      'write file',
      'putArtifact',
      'putEvidence',
    ],
    calls: ['fetch', 'stop', 'collect', 'discard'],
  },
  // What comes in by webhooks, and by looking.
  delivery: {
    writes: ['appendDelivery', 'claimDeliveries', 'endDeliveries', 'reclaimDeliveries', ...HEARD],
    calls: [...ASKED, 'find issue'],
  },
  poll: {
    writes: HEARD,
    calls: [...ASKED, 'find issue', 'list issues', 'list comments'],
  },
}

/** Calls that may be acknowledged without having been made. */
const LOSABLE = ['publish:push branch', 'land:push base', 'land:merge'] as const

export const CELLS: readonly Cell[] = Object.entries(POINTS).flatMap(([kind, { writes, calls }]) =>
  [...new Set([...writes, ...calls])].flatMap((name): Cell[] => {
    const point = `${kind}:${name}`
    const strikes: Strike[] = ['before', 'after']
    if (calls.includes(name)) strikes.push('failed')
    if (LOSABLE.some((one) => one === point)) strikes.push('lost')
    return strikes.map((strike) => ({ point, strike }))
  }),
)

export const KNOWN_POINTS: ReadonlySet<string> = new Set(CELLS.map((cell) => cell.point))
