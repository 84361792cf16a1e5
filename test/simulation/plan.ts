// What a seed decides before anything happens: who takes part, how bad the world is, and where the first death is.

import { POLICY } from '../../src/core/test-spec.ts'
import type { Pipeline, Stage } from '../../src/core/pipeline.ts'
import type { Policy } from '../../src/core/policy.ts'
import { CELLS, type Cell } from './cells.ts'
import type { Random } from './random.ts'

export interface Plan {
  projects: string[]
  tasks: number
  orchestrators: number
  /** The policy of all projects, but for what their `.orch.yml` says. */
  policy: Policy
  /** All tasks edit one file, so that all but the first that lands must be brought up to date. */
  isColliding: boolean
  /** The tasks are opened within seconds, so that they race for the repository and the agents' accounts. */
  isBurst: boolean
  /** How often a call of the world goes wrong by itself. */
  faultRate: number
  /** How often an agent does something else than good work. */
  trouble: number
  /** How long people, outages and deaths go on, in ms. */
  chaosMs: number
  /** Something happens outside about so often, in ms. */
  outsideMs: number
  peopleMs: number
  /** Struck at the `nth` time that a process gets there. */
  targets: { cell: Cell; nth: number }[]
  /** People cancel what runs, and tasks depend on each other: else some kinds of work are rare. */
  isRestless: boolean
  /** Issues and changes are at a vendor, whose webhooks come, mostly don't, or are not sent; null: all is Orch's own. */
  webhooks: 'good' | 'bad' | 'none' | null
  /** Deaths and restarts are not for ever. */
  deaths: number
}

/** The stages of `direct`, with the gates that need nothing but the mirror, the handoff and a verification. */
const PIPELINE: Pipeline = {
  name: 'sim',
  description: 'direct, in a simulation',
  stages: [
    { name: 'make', kind: 'agent', role: 'maker', gates: ['handoff', 'changes', 'protected', 'verify'] },
    { name: 'show', kind: 'publish', gates: [] },
    { name: 'look', kind: 'agent', role: 'judge', independent: true, gates: ['review'], onFail: 'make' },
    { name: 'merge', kind: 'land', gates: [], onFail: 'make' },
  ],
}

/** Beside the agent's word that of CI, and of people. */
function pipelineThere(random: Random): Pipeline {
  const gates: Stage['gates'] = random.chance(0.6) ? ['ci', 'reviews'] : ['ci']
  const ci: Stage = { name: 'hear', kind: 'await', gates, onFail: 'make' }
  const [make, show, look, merge] = PIPELINE.stages as [Stage, Stage, Stage, Stage]
  return { ...PIPELINE, stages: random.chance(0.3) ? [make, show, look, ci, merge] : [make, show, ci, merge] }
}

/** Points that are passed only where there is a vendor. */
const isThere = ({ point }: Cell): boolean =>
  /^(await|tell|delivery|poll):|:(merge|find change|saveChange)$/.test(point)
const CELLS_THERE = CELLS.filter(isThere)
const CELLS_HERE = CELLS.filter((cell) => !isThere(cell))

const MINUTE = 60_000
/** A prime far from the numbers of cells. */
const STRIDE = 97

export function makePlan(seed: number, random: Random): Plan {
  // A third of the seeds has a vendor. Neighbouring ones take turns at the cells, once in order and once in strides that
  // meet each.
  const isAtVendor = seed % 3 === 0
  const turn = Math.floor(isAtVendor ? seed / 3 : (seed * 2) / 3)
  const reached = isAtVendor ? CELLS_THERE : CELLS_HERE
  const cells = [reached[turn % reached.length], reached[(turn * STRIDE) % reached.length]].filter(
    (cell) => cell !== undefined,
  )
  const webhooks = isAtVendor ? random.pick(['good', 'good', 'bad', 'none'] as const) : null
  const isRestless = cells.some(({ point }) => /^(stop-run|release-dependants):/.test(point)) || random.chance(0.1)
  return {
    isRestless,
    webhooks,
    projects: random.chance(0.3) ? ['A', 'B'] : ['A'],
    tasks: isRestless ? 3 : random.int(1, 3),
    isColliding: random.chance(0.2),
    isBurst: random.chance(0.5),
    orchestrators: random.chance(0.35) ? 2 : 1,
    policy: {
      ...POLICY,
      pipeline: isAtVendor ? pipelineThere(random) : PIPELINE,
      configHash: '',
      setup: random.chance(0.3) ? ['make ready'] : [],
      verify: [{ run: 'make test', timeoutSeconds: 600, cwd: '.', paths: [] }],
      verifyParallel: random.chance(0.3),
      approval: random.chance(0.25) ? 'human' : 'auto',
      land: {
        method: random.chance(0.2) ? 'squash' : 'merge',
        ...(isAtVendor && random.chance(0.5) ? { via: 'forge' as const } : {}),
      },
      protected: ['guarded/**'],
      roles: { maker: { agent: 'bot', ...(random.chance(0.4) ? { fallback: ['alt'] } : {}) }, judge: { agent: 'alt' } },
      limits: { attempts: 3, transient: random.int(2, 4), infra: random.int(2, 4), runMinutes: 30, parallel: 2 },
    },
    faultRate: random.pick([0, 0.01, 0.03, 0.08]),
    trouble: random.pick([0.05, 0.2, 0.4]),
    chaosMs: random.int(20, 90) * MINUTE,
    outsideMs: random.int(2, 15) * MINUTE,
    peopleMs: random.int(30, 300) * 1_000,
    targets: cells.map((cell) => ({ cell, nth: random.chance(0.7) ? 1 : random.int(1, 4) })),
    deaths: random.int(2, 4),
  }
}
