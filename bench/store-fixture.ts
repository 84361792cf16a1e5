// Databases for the benches, filled fast: one transaction, the store's own statements.

import type { Policy } from '../src/core/policy.ts'
import { type Task, evolve } from '../src/core/task.ts'
import type { TaskStatus } from '../src/core/lifecycle.ts'
import { connect } from '../src/store/sql-connection.ts'
import { type Durability, type Sql, keep, makeWrite } from '../src/store/sql.ts'
import { applyCommit } from '../src/store/sqlite-commit.ts'
import { insertJob } from '../src/store/sqlite-jobs.ts'

const PROJECTS = 5
const MINUTE = 60_000

/** What the fixture's tasks are, by share: most of an old database is done. */
const MIX: readonly [TaskStatus, number][] = [
  ['done', 0.9],
  ['cancelled', 0.05],
  ['queued', 0.03],
  ['waiting', 0.01],
  ['blocked', 0.005],
  ['needs_review', 0.0045],
  ['running', 0.0005],
]

/** Fills a new database at `path` with `count` tasks of five projects, each with its journal; about 10 s for 100,000. */
export async function buildStatusFixture(path: string, count = 100_000): Promise<void> {
  const sql = await connect(path)
  await makeWrite(sql)('durable', () => {
    for (let p = 0; p < PROJECTS; p++) {
      const values = [`P${p}`, `project ${p}`, `/srv/p${p}`, `/srv/p${p}.git`, 1]
      sql.run('INSERT INTO projects (id, name, path, remote, created_at) VALUES (?, ?, ?, ?, ?)', ...values)
    }
    for (let n = 1; n <= count; n++) addTask(sql, n)
    return keep(undefined)
  })
  sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  sql.close()
}

function addTask(sql: Sql, n: number): void {
  const at = 1_700_000_000_000 + n * MINUTE
  const { task, event } = openedTask({ id: `P${n % PROJECTS}-${n}`, project: `P${n % PROJECTS}`, at })
  const state: Task = {
    ...task,
    status: statusOf(n),
    policy: samplePolicy(),
    since: at + MINUTE,
    updatedAt: at + MINUTE,
  }
  const events = [{ id: task.id, body: { stream: 'task' as const, event } }]
  const result = applyCommit(sql, {
    ...EMPTY,
    at,
    aggregates: [{ kind: 'task', id: task.id, expected: 0, state }],
    events,
  })
  if (!result.value.ok) throw new Error(`task ${task.id} of the fixture was refused: ${result.value.because}`)
}

/** Spread by a multiplicative hash, so that statuses don't come in runs. */
function statusOf(n: number): TaskStatus {
  let left = ((n * 2_654_435_761) % 2 ** 32) / 2 ** 32
  for (const [status, share] of MIX) {
    left -= share
    if (left < 0) return status
  }
  return 'done'
}

export const EMPTY = {
  actor: { kind: 'engine' as const, name: 'bench' },
  cause: 'bench',
  correlation: 'bench',
  aggregates: [],
  events: [],
  effects: [],
  intents: [],
}

export function openedTask(options: { id: string; project: string; at: number }) {
  const event = {
    type: 'task.opened' as const,
    data: {
      id: options.id,
      project: options.project,
      origin: `local:${options.id}`,
      title: `Round the totals of ${options.id} to cents, not to whole units`,
      body: 'Totals are rounded down before the tax is added.\n\nExpected: round half up, once, at the end.\n'.repeat(
        3,
      ),
      labels: ['bug'],
      priority: 0,
      creator: { name: 'Ada', email: 'ada@example.org' },
      dependsOn: [],
      openDeps: [],
      pipeline: 'direct',
      stage: 'develop',
      parallel: 4,
    },
  }
  return { event, task: evolve(null, event, options.at) }
}

export function samplePolicy(): Policy {
  return {
    pipeline: {
      name: 'direct',
      description: 'develop, publish, review, land',
      stages: [
        {
          name: 'develop',
          kind: 'agent',
          role: 'developer',
          gates: ['handoff', 'changes', 'diff-budget', 'protected', 'secrets', 'verify'],
        },
        { name: 'publish', kind: 'publish', gates: [] },
        { name: 'review', kind: 'agent', role: 'reviewer', independent: true, gates: ['review'], onFail: 'develop' },
        { name: 'land', kind: 'land', gates: [], onFail: 'develop' },
      ],
    },
    configHash: 'c'.repeat(64),
    base: null,
    checkout: { sparse: [] },
    setup: ['npm ci'],
    verify: [{ run: 'npm test', timeoutSeconds: 900, cwd: '.', paths: [] }],
    verifyParallel: false,
    knownFailures: [],
    env: { pass: [], set: {} },
    approval: 'human',
    land: { method: 'merge' },
    roles: {},
    agents: {},
    limits: { attempts: 3, transient: 10, infra: 3, runMinutes: 60, stallMinutes: 30, parallel: 4 },
    protected: ['.github/**', '.orch*'],
    diffBudget: { files: 50, addedLines: 2_000 },
    sandbox: { network: true, read: [] },
    commits: { pattern: null },
  }
}

export interface LaneOfJobs {
  key: string
  capacity: number
  jobs: number
  firstRank: number
}

/** Lanes with their jobs, queued in one transaction. */
export async function queueJobs(sql: Sql, lanes: LaneOfJobs[], durability: Durability = 'durable'): Promise<void> {
  await makeWrite(sql)(durability, () => {
    for (const lane of lanes) {
      for (let n = 0; n < lane.jobs; n++) {
        const effect = { kind: 'run' as const, task: `${lane.key}-${n}`, epoch: 1 }
        insertJob(sql, { effect, lane: lane.key, laneCapacity: lane.capacity, rank: lane.firstRank + n, runAt: 0 }, 1)
      }
    }
    return keep(undefined)
  })
}
