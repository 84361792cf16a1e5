// What verbs print of tasks, as schemas.

import { z } from 'zod'
import type {
  ChangeStat,
  InspectView,
  RunEvent,
  RunView,
  StatusView,
  TaskNode,
  TaskView,
  WhyView,
} from '../../../flow/app.ts'
import type { TaskStatus } from '../../../core/lifecycle.ts'
import { RUN_FAILURE_WORDS } from './words.ts'
import { type WithTimes, describes } from './describes.ts'

const time = z.string().meta({ description: 'ISO 8601', format: 'date-time' })
const sha = z.string().meta({ description: 'A full commit name' })
const count = z.int()
const optional = z.exactOptional

const status = describes<TaskStatus>()(
  z.enum(['queued', 'running', 'waiting', 'blocked', 'needs_review', 'done', 'cancelled']),
)
const counts = describes<Record<TaskStatus, number>>()(
  z.object({
    queued: count,
    running: count,
    waiting: count,
    blocked: count,
    needs_review: count,
    done: count,
    cancelled: count,
  }),
)
const verdictResult = z.enum(['pass', 'fail', 'wait', 'unknown'])

const usage = z.object({ input: count, output: count, cacheRead: count, cacheWrite: count })

const finding = z.object({
  gate: z.string(),
  severity: z.enum(['P0', 'P1', 'P2', 'P3']),
  text: z.string(),
  file: optional(z.string()),
  line: optional(count),
})

export const run = describes<RunView>()(
  z.object({
    id: z.string(),
    stage: z.string(),
    role: z.string(),
    agent: z.string(),
    model: z.string().nullable(),
    attempt: count,
    outcome: z
      .string()
      .meta({ description: 'running, succeeded, failed, timed-out, stalled, cancelled, could-not-start or lost' }),
    failure: optional(z.string().meta({ description: 'For failed: the class, such as rate-limit' })),
    text: optional(z.string()),
    startedAt: time,
    endedAt: time.nullable(),
    exitCode: optional(count),
    sessionId: optional(z.string()),
    usage,
    costUsd: optional(z.number().meta({ description: 'Absent while the run goes on' })),
  }),
)

export const task = describes<TaskView>()(
  z.object({
    id: z.string(),
    project: z.string(),
    title: z.string(),
    body: z.string(),
    labels: z.array(z.string()),
    priority: count,
    pipeline: z.string(),
    stage: z.string(),
    status,
    reason: optional(z.string().meta({ description: 'For needs_review: the code' })),
    reasonText: optional(z.string()),
    paused: z.boolean(),
    dependsOn: z.array(z.string()),
    openDependencies: z.array(z.string()),
    attempts: z.object({ code: count, transient: count, infra: count }),
    branch: z.string().nullable(),
    baseSha: sha.nullable(),
    headSha: sha.nullable(),
    mergedSha: optional(sha),
    waitingFor: optional(z.string()),
    waitingUntil: optional(time),
    costUsd: z.number(),
    tokens: usage,
    createdAt: time,
    updatedAt: time,
    runs: z.array(run),
    verdicts: z.array(
      z.object({
        gate: z.string(),
        stage: z.string(),
        result: verdictResult,
        sha,
        note: z.string(),
        findings: z.array(finding),
      }),
    ),
    findings: z.array(finding).meta({ description: 'What the next run will be given' }),
    approvals: z.array(
      z.object({
        sha,
        by: z.string(),
        at: time,
        covers: z.array(z.string()),
        bypass: optional(
          z.string().meta({ description: 'Why it was given although the definition of done was not met' }),
        ),
      }),
    ),
    request: optional(
      z
        .object({ sha, expiresAt: time, bypass: optional(z.string()) })
        .meta({ description: 'Of two confirmations the first' }),
    ),
    preferredAgent: optional(z.string().meta({ description: 'Whom a person wants to write it' })),
    artifacts: z.array(
      z.object({
        task: z.string(),
        runId: z.string().nullable(),
        name: z.string(),
        path: z.string().meta({ description: 'Relative to ORCH_HOME' }),
        bytes: count,
        at: time,
      }),
    ),
    tampering: optional(z.array(z.object({ run: z.string(), agent: z.string(), tried: z.array(z.string()) }))),
  }),
)

type Line = Omit<StatusView['tasks'][number], 'lastActivityAt' | 'stallsAt'>

const lineFields = {
  id: z.string(),
  project: z.string(),
  title: z.string(),
  pipeline: z.string(),
  stage: z.string(),
  status,
  waitingFor: z.string().nullable(),
  waitingUntil: time.nullable(),
  reasonCode: z.string().nullable(),
  paused: z.boolean(),
  priority: count,
  attempt: count,
  agent: z.string().nullable(),
  runId: z.string().nullable(),
  costUsd: z.number(),
  createdAt: time,
  updatedAt: time,
  since: time,
}

export const line = describes<
  WithTimes<Line, 'waitingUntil' | 'createdAt' | 'updatedAt' | 'since'> & {
    lastActivityAt: string | null
    stallsAt: string | null
  }
>()(
  z.object({
    ...lineFields,
    lastActivityAt: time.nullable().meta({ description: 'The last output of its latest run' }),
    stallsAt: time.nullable().meta({
      description: 'When a run that has printed nothing for half of limits.stallMinutes is ended; null for any other',
    }),
  }),
)

export const board = z.object({
  tasks: z.array(line),
  counts,
  more: count.meta({ description: 'Open tasks that were left out' }),
  service: z.object({ running: z.boolean(), pid: count.nullable(), since: time.nullable() }),
})

export const why = describes<WhyView>()(
  z.object({
    id: z.string(),
    because: z.string(),
    owner: z.string().meta({ description: 'Whose move it is: you, orch, an agent, another task' }),
    since: time,
    actions: z.array(z.string()).meta({ description: 'Commands that move the task' }),
  }),
)

export const event = z.object({
  seq: count,
  at: time,
  stream: z.enum(['task', 'repository', 'account']),
  id: z.string(),
  task: z.string().nullable(),
  type: z.string(),
  v: count,
  actor: z.object({ kind: z.enum(['person', 'engine', 'run']), name: z.string() }),
  cause: z.string(),
  correlation: z.string(),
  data: z.record(z.string(), z.unknown()),
})

const taskField = { task: z.string() }

/** A line of `stream` and `task logs`. */
export const runItem = describes<{ task: string; line: string } | ({ task: string } & RunEvent)>()(
  z.union([
    z.object({ ...taskField, line: z.string() }),
    z.object({
      ...taskField,
      type: z.literal('started'),
      sessionId: z.string().nullable(),
      model: z.string().nullable(),
    }),
    z.object({ ...taskField, type: z.literal('message'), text: z.string() }),
    z.object({
      ...taskField,
      type: z.literal('tool'),
      name: z.string(),
      detail: z.string(),
      state: z.enum(['started', 'ok', 'failed']),
    }),
    z.object({ ...taskField, type: z.literal('usage'), usage, costUsd: z.number().nullable() }),
    z.object({ ...taskField, type: z.literal('limit'), text: z.string(), retryAfterMs: z.number().nullable() }),
    z.object({ ...taskField, type: z.literal('error'), code: z.enum(RUN_FAILURE_WORDS), text: z.string() }),
  ]),
)

export const diffFile = z.object({
  path: z.string(),
  from: optional(z.string().meta({ description: 'Old path of a rename' })),
  status: z.enum(['added', 'modified', 'deleted', 'renamed', 'mode']),
  addedLines: count,
  deletedLines: count,
  binary: z.boolean(),
})

/** `task diff` and `change diff`. */
export const diff = z.object({ ...taskField, diff: z.string() })
export const diffStat = describes<{ task: string } & ChangeStat>()(
  z.object({ ...taskField, base: sha, head: sha, files: z.array(diffFile), addedLines: count, deletedLines: count }),
)

export const node: z.ZodType<TaskNode> = z.object({
  id: z.string(),
  title: z.string(),
  stage: z.string(),
  status,
  waitingFor: optional(z.string()),
  reason: optional(z.string()),
  paused: z.boolean(),
  get dependsOn() {
    return z.array(node)
  },
  repeated: z.boolean().meta({ description: 'What it waits for stands further above' }),
})

const keptFile = z.object({ name: z.string(), path: z.string(), bytes: count })

export const inspection = describes<Omit<InspectView, 'policy'> & { policy: { configHash: string } | null }>()(
  z.object({
    task,
    why,
    policy: z
      .object({ configHash: z.string() })
      .loose()
      .nullable()
      .meta({ description: 'What the task was started with; its keys are those of the configuration' }) as z.ZodType<{
      configHash: string
    } | null>,
    epoch: count,
    step: z.record(z.string(), z.unknown()).nullable(),
    runs: z.array(
      z.object({
        id: z.string(),
        why: z.string().meta({ description: 'Why this agent was chosen' }),
        headSha: sha.nullable(),
        promptSha256: z.string().nullable(),
        files: z.array(keptFile),
        tails: optional(z.object({ output: z.array(z.string()), stderr: z.array(z.string()) })),
      }),
    ),
    evidence: z.array(
      z.object({
        id: z.string(),
        task: z.string().nullable(),
        project: z.string(),
        gate: z.string(),
        stage: z.string(),
        sha,
        tree: z.string().nullable(),
        configHash: z.string(),
        environmentId: z.string().nullable(),
        result: verdictResult,
        at: time,
        data: z.record(z.string(), z.unknown()),
      }),
    ),
    intents: z.array(
      z.object({
        id: count,
        kind: z.enum(['change', 'merge']),
        task: z.string(),
        key: z.string(),
        data: z.record(z.string(), z.string()),
        state: z.enum(['open', 'confirmed', 'compensated', 'held']),
        openedAt: time,
        settledAt: time.nullable(),
      }),
    ),
    jobs: z.array(
      z.object({ id: count, kind: z.string(), state: z.string(), epoch: count.nullable(), runAt: time }),
    ),
    faults: z.array(
      z.object({ id: count, kind: z.string(), state: z.string(), failures: count, error: z.string() }),
    ),
    events: z.object({ count, byType: z.record(z.string(), count) }),
    places: z.array(z.object({ what: z.enum(['workspace', 'runtime', 'saved']), path: z.string() })),
  }),
)
