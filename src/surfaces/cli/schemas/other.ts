// What verbs print of everything that is not a task, as schemas.

import { z } from 'zod'
import type {
  AgentView,
  ApprovalRequest,
  BackupView,
  ChangeRow,
  ConfigProblem,
  ConfigSource,
  ConformanceResult,
  DoctorReport,
  InitResult,
  OnboardView,
  PipelineView,
  Project,
  RestoreView,
  ReviewRow,
  StatusView,
  SyncView,
} from '../../../flow/app.ts'
import { PROFILES } from '../../../flow/app.ts'
import { type WithTimes, describes } from './describes.ts'
import { board, line, run, task } from './task.ts'

const time = z.string().meta({ description: 'ISO 8601', format: 'date-time' })

const remoteRef = z.object({ driver: z.string(), ref: z.string() })

export const project = describes<WithTimes<Project, 'createdAt'>>()(
  z.object({
    id: z.string().meta({ description: 'The task prefix' }),
    name: z.string(),
    path: z.string(),
    remote: z.string().meta({ description: 'Without the user and password that may stand in it' }),
    createdAt: time,
    tracker: remoteRef.exactOptional().meta({ description: 'Where its issues come from' }),
    forge: remoteRef.exactOptional().meta({ description: 'Where its changes are shown' }),
  }),
)

export const initResult = describes<Omit<InitResult, 'project'> & { project: WithTimes<Project, 'createdAt'> }>()(
  z.object({
    project,
    wroteConfig: z.boolean(),
    alreadyRegistered: z.boolean(),
    notes: z.array(z.string()),
    setup: z.array(z.string()),
    verify: z.array(z.string()),
  }),
)

export const onboarding = describes<OnboardView>()(
  z.object({
    project: z.string(),
    mode: z.enum(['plan', 'apply', 'verify']),
    ok: z.boolean().meta({ description: 'Nothing is missing; after --apply: all that Orch could make is there' }),
    steps: z.array(
      z.object({
        at: z.string().meta({ description: 'Such as github acme/shop' }),
        what: z.enum(['permissions', 'label', 'column', 'webhook']),
        name: z.string(),
        state: z.enum(['there', 'missing', 'made', 'mended', 'impossible']),
        text: z.string(),
      }),
    ),
    notes: z.array(z.string()),
    config: z.string().meta({ description: 'What .orch.yml could say of it' }),
  }),
)

export const approvalRequest = describes<ApprovalRequest>()(
  z.object({
    task: z.string(),
    sha: z.string(),
    token: z.string().meta({ description: 'For `orch approve --token`; told this once' }),
    expiresAt: time,
    title: z.string(),
    body: z.string(),
    files: z.int(),
    addedLines: z.int(),
    deletedLines: z.int(),
    done: z.object({
      met: z.boolean(),
      criteria: z.array(
        z.object({
          name: z.enum(['gates', 'handoff', 'threads']),
          met: z.boolean(),
          bypassable: z.boolean(),
          text: z.string(),
        }),
      ),
    }),
    bypass: z.string().nullable().meta({ description: 'Why what is not met was passed over' }),
  }),
)

export const syncResult = describes<SyncView>()(
  z.object({
    dryRun: z.boolean(),
    projects: z.array(
      z.object({
        project: z.string(),
        said: z.array(z.string()).meta({ description: 'What came of it; with --dry-run what would' }),
        trouble: z
          .object({ code: z.string(), text: z.string(), exit: z.union([z.literal(1), z.literal(3), z.literal(6)]) })
          .nullable()
          .meta({ description: 'What kept it from being asked or followed' }),
      }),
    ),
  }),
)

const check = z.object({
  name: z.string(),
  status: z.enum(['ok', 'warning', 'failed']),
  text: z.string(),
  fix: z.string().nullable(),
})

export const checks = describes<DoctorReport & { ok: boolean }>()(
  z.object({
    ok: z.boolean().meta({ description: 'No check failed' }),
    checks: z.array(check.extend({ profile: z.enum(PROFILES) })).meta({ description: 'With --fix: as it is after that' }),
    fixed: z.array(z.string()).meta({ description: 'What --fix mended, in sentences' }),
    notFixed: z.array(z.string()).meta({ description: 'What --fix left as it is, and why' }),
  }),
)

export const conformance = describes<ConformanceResult & { ok: boolean }>()(
  z.object({
    ok: z.boolean().meta({ description: 'No check failed' }),
    protocol: z.enum(['acp', 'command']),
    checks: z.array(check),
  }),
)

const changeFields = {
  project: z.string(),
  number: z.int(),
  task: z.string(),
  branch: z.string(),
  base: z.string(),
  head: z.string(),
  title: z.string(),
  body: z.string(),
  state: z.enum(['open', 'merged', 'closed']),
  mergedSha: z.string().nullable(),
  url: z.string().nullable(),
  createdAt: time,
  updatedAt: time,
}

export const change = describes<WithTimes<ChangeRow, 'createdAt' | 'updatedAt'>>()(z.object(changeFields))

export const review = describes<WithTimes<ReviewRow, 'at'>>()(
  z.object({
    project: z.string(),
    change: z.int(),
    sha: z.string(),
    by: z.string(),
    verdict: z.enum(['approve', 'request_changes']),
    text: z.string(),
    at: time,
  }),
)

export const changeWithReviews = z.object({
  ...changeFields,
  reviews: z.array(review),
  approvals: task.shape.approvals,
})

const problem = describes<ConfigProblem>()(
  z.object({ file: z.string(), line: z.int().nullable(), key: z.string(), text: z.string() }),
)
export const problems = z.object({ ok: z.boolean(), problems: z.array(problem) })

export const source = describes<ConfigSource>()(
  z.object({
    key: z.string(),
    value: z.unknown(),
    source: z.string().meta({ description: 'default, ORCH_…, --flag, or a file with its line' }),
  }),
)

export const pipeline = describes<PipelineView>()(
  z.object({
    name: z.string(),
    description: z.string(),
    source: z.enum(['built-in', 'project']),
    file: z.string(),
    problems: z.array(problem),
    stages: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        role: z.string().nullable(),
        gates: z.array(z.string()),
        onFail: z.string().nullable(),
      }),
    ),
  }),
)

export const agent = describes<AgentView>()(
  z.object({
    name: z.string(),
    found: z.boolean(),
    path: z.string().nullable(),
    version: z.string().nullable(),
    loggedIn: z.enum(['yes', 'no', 'unknown']),
    note: z.string(),
    sandbox: z.string().nullable().meta({ description: 'What holds its runs on this machine; null: nothing does' }),
    tested: z.boolean().nullable().meta({ description: 'Whether Orch was tested with its version' }),
    limitedUntil: time.nullable(),
    limitReason: z.string().nullable(),
    breaker: z
      .object({
        state: z.enum(['closed', 'open', 'trying']),
        failures: z.int(),
        reason: z.string(),
        retryAt: time.nullable(),
        trial: z.string().nullable().meta({ description: 'The run that tries it' }),
      })
      .nullable(),
  }),
)

export const agentTest = z.object({
  agent: z.string(),
  passed: z.boolean(),
  why: z.string().nullable(),
  costUsd: z.number(),
  tokens: task.shape.tokens,
  runs: z.array(run),
  kept: z.string().nullable().meta({ description: 'The folder in which everything was kept' }),
})

export const demo = z.object({
  dir: z.string(),
  clone: z.string(),
  remote: z.string(),
  project: z.string(),
  tasks: z.array(line),
  home: z.string(),
  ok: z.boolean(),
  counts: describes<StatusView['counts']>()(board.shape.counts),
  landed: z.string().meta({ description: 'git log of the sample’s main' }),
  logs: z.string().meta({ description: 'The folder of all runs' }),
})

export const backup = describes<BackupView>()(
  z.object({
    file: z.string(),
    bytes: z.int(),
    madeAt: time.nullable().meta({ description: 'Null for a plain copy of a database' }),
    version: z.int().meta({ description: 'Of the database’s schema' }),
    projects: z.array(z.string()),
    tasks: z.int(),
    events: z.int(),
    liveRuns: z.int().meta({ description: 'Runs that worked when it was made' }),
    files: z.int(),
    bundles: z.int().meta({ description: 'Git bundles of work that was not at origin, one a project' }),
    durationMs: z.int(),
  }),
)

export const restore = describes<RestoreView>()(
  backup.extend({
    before: z.string().nullable().meta({ description: 'The folder with the state from before; null: there was none' }),
    moved: z.array(z.string()).meta({ description: 'Files that differed and were moved there' }),
  }),
)

/** The line on standard error of every verb that fails with --json. */
export const failure = z.object({
  error: z.object({
    code: z.string().meta({ description: 'Name of the rule or problem, for scripts' }),
    text: z.string(),
    exit: z.int().meta({ description: 'The exit code' }),
  }),
})
