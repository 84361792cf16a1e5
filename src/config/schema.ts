// The one schema of `.orch.yml` and of `ORCH_HOME/config.yml`, its defaults, and the words that explain a wrong value.
// Invariant: every key is optional; an unknown key is a problem, never ignored.

import { z } from 'zod'
import { APPROVAL_POLICIES, EFFORTS, STALL_MINUTES } from '../core/policy.ts'
import { group, list, text, truth, whole } from './schema-parts.ts'
import { approvalBySchema, changeSchema, intakeSchema, trackerSchema } from './tracker-schema.ts'

/** Bytes of a configuration file. Real ones have a few hundred; past this somebody is trying something. */
export const MAX_CONFIG_BYTES = 256 << 10
/** Aliases followed in one file: enough for shared lists, too few for a bomb. */
export const MAX_CONFIG_ALIASES = 100

/** 900 s: the time ORCH gave a retest. */
export const VERIFY_TIMEOUT_SECONDS = 900
const DAY_SECONDS = 86_400

/** Paths that steer what judges a change or what an agent does next. A project's own list adds to these, never replaces them. */
export const PROTECTED_PATHS = [
  '.github/workflows/**',
  '.github/actions/**',
  '.gitea/**',
  '.forgejo/**',
  '.gitlab-ci.yml',
  '.circleci/**',
  'Jenkinsfile',
  '**/.claude/**',
  '**/.mcp.json',
  '**/AGENTS.md',
  '**/CLAUDE.md',
  '**/.codex/**',
  '**/.opencode/**',
  '**/.gemini/**',
  '.orch*',
  '.orch/**',
  '**/.gitattributes',
  '.gitmodules',
  '.husky/**',
] as const

const PATTERN_ERROR = 'must be a regular expression'
const pattern = (what: string): z.ZodString =>
  text(what).refine(
    (value) => {
      try {
        return new RegExp(value) instanceof RegExp
      } catch {
        return false
      }
    },
    { error: PATTERN_ERROR },
  )

const DURATION = /^(\d+(?:\.\d+)?)\s*(s|m|h)$/

/** Seconds of `90`, `"90s"`, `"10m"` or `"1h"`; null when it is none of these or not above zero and within a day. */
export function durationSeconds(value: number | string): number | null {
  const match = typeof value === 'string' ? DURATION.exec(value.trim()) : null
  if (typeof value === 'string' && !match) return null
  const seconds =
    typeof value === 'number'
      ? value
      : Number(match?.[1]) * { s: 1, m: 60, h: 3600 }[(match?.[2] ?? 's') as 's' | 'm' | 'h']
  return Number.isFinite(seconds) && seconds > 0 && seconds <= DAY_SECONDS ? seconds : null
}

const DURATION_ERROR = 'must be seconds or a duration such as "90s", "10m" or "1h", above zero and within a day'
const duration = z
  .union([z.number(), z.string()], { error: DURATION_ERROR })
  .refine((value) => durationSeconds(value) !== null, { error: DURATION_ERROR })

const insidePath = (what: string): z.ZodString =>
  text(what).refine((path) => !path.startsWith('/') && !path.split(/[/\\]/).includes('..'), {
    error: 'must be a path inside the repository, relative to its root, without ".."',
  })

const verifyCommand = z.union(
  [
    text('Shell command.'),
    group(
      {
        run: text('Shell command.'),
        timeout: duration
          .describe('Limit of this command: seconds, or "90s", "10m", "1h". Default 15 minutes.')
          .optional(),
        cwd: insidePath('Folder it runs in, relative to the root of the repository.').optional(),
        paths: list(text('Glob.'), 'Runs only when a changed file matches one of these globs.').optional(),
      },
      'A command and its limits.',
    ),
  ],
  { error: 'must be a command or a group with run, timeout, cwd, paths' },
)

const NAME = /^[a-z][a-z0-9-]{0,39}$/
const PREFIX = /^[A-Z][A-Z0-9]{0,9}$/
const ENV_NAME = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]*$/
const envName = z.string().regex(ENV_NAME, { error: 'must be the name of an environment variable' })

const agentName = (what: string): z.ZodString => {
  const error = 'must be the name of an agent'
  return z.string({ error }).regex(NAME, { error }).describe(what)
}

const agentEntry = group(
  {
    agent: agentName('For a role: which agent plays it.').optional(),
    model: text('For a role: the model, as the agent names it.').optional(),
    effort: z
      .enum(EFFORTS, { error: `must be one of ${EFFORTS.join(', ')}` })
      .describe("For a role: how hard the model should think. Default: the agent's own.")
      .optional(),
    fallback: list(
      agentName('Name of an agent.'),
      'For a role: agents that may take over, in this order, while the chosen one is limited, keeps failing, is missing or not logged in.',
    ).optional(),
    bin: text('For an agent: path or name of its program.').optional(),
    command: text('For the agent `command`: the shell command to run.').optional(),
  },
  'A role (agent, model, effort, fallback) or an agent (bin, command).',
)

/** Branch names by git's own rules, the ones a person could break by accident. */
const BRANCH = /^(?![-/.])(?!.*(?:\.\.|@\{|\/\/|\.lock$|[/.]$))[^\s~^:?*[\\]+$/

export const configSchema = group(
  {
    prefix: z
      .string({ error: 'must be text' })
      .regex(PREFIX, { error: 'must be 1 to 10 capital letters and digits, a letter first' })
      .describe('Prefix of task ids, such as SHOP in SHOP-12.')
      .optional(),
    base: z
      .string({ error: 'must be text' })
      .regex(BRANCH, { error: 'must be the name of a branch' })
      .refine((name) => !/\p{Cc}/u.test(name), { error: 'must be the name of a branch' })
      .describe('Branch that changes land on. Default: what origin/HEAD says.')
      .optional(),
    pipeline: z
      .string({ error: 'must be text' })
      .regex(NAME, { error: 'must be the name of a pipeline' })
      .describe('Pipeline of new tasks. Default: direct.')
      .optional(),
    checkout: group(
      {
        sparse: list(
          insidePath('Folder, relative to the root of the repository.'),
          'Folders that are checked out, beside all files at the root. Default: everything.',
        ).optional(),
      },
      'What of the repository agents and verification see.',
    ).optional(),
    setup: list(text('Shell command.'), 'Commands that make a fresh checkout ready, in order.').optional(),
    verify: z
      .union([z.literal('none'), list(verifyCommand, 'Commands that must exit 0 before anything lands, in order.')], {
        error: 'must be a list of commands, or the word none',
      })
      .describe('How a change is proved. `none`: there is nothing to prove it with.')
      .optional(),
    parallelVerify: truth(
      "Several verifications of this repository at once: its ports and databases don't collide. Default false.",
    ).optional(),
    knownFailures: list(
      pattern('Regular expression.'),
      'A failing command whose output matches one of these was failing before and does not count.',
    ).optional(),
    env: group(
      {
        pass: list(envName, 'Variables of your environment that setup commands alone may see.').optional(),
        set: z
          .record(
            envName,
            z.union([z.string(), z.number(), z.boolean()], { error: 'must be text, a number or a truth value' }),
            { error: 'must be a group of names and values' },
          )
          .describe(
            'Variables set for agents and commands. Placeholders: {repo_dir} {runtime_dir} {cache_dir} {data_dir} {tmp_dir}.',
          )
          .optional(),
      },
      'Environment of agents and commands.',
    ).optional(),
    approval: z
      .enum(APPROVAL_POLICIES, { error: `must be one of ${APPROVAL_POLICIES.join(', ')}` })
      .describe(
        'Who lets a change land. human: one yes; human-twice: a request with a token that expires, then the token; label and tracker-state: where the change or the issue is. Default: human.',
      )
      .optional(),
    approvalBy: approvalBySchema.optional(),
    land: group(
      {
        method: z
          .enum(['merge', 'squash', 'rebase'], { error: 'must be merge, squash or rebase' })
          .describe('How the change enters the base; rebase only where the forge merges. Default: merge.')
          .optional(),
        via: z
          .enum(['push', 'forge'], { error: 'must be push or forge' })
          .describe('Who moves the base: Orch by a push of exactly the tested commit, or the forge. Default: push.')
          .optional(),
        markers: list(
          text('Text.'),
          'Texts that the base must never lose: a merge without one of them is held for a person.',
        ).optional(),
      },
      'How a change lands.',
    ).optional(),
    change: changeSchema.optional(),
    intake: intakeSchema.optional(),
    tracker: trackerSchema.optional(),
    agents: z
      .record(z.string().regex(NAME, { error: 'must be the name of a role or an agent' }), agentEntry, {
        error: 'must be a group of roles and agents',
      })
      .describe('By role: which agent plays it. By agent: where its program is.')
      .optional(),
    limits: group(
      {
        attempts: whole(1, 20, 'Developer runs a task may have. Default 3.').optional(),
        runMinutes: z
          .number({ error: 'must be a number of minutes' })
          .gt(0, { error: 'must be above zero' })
          .max(1440, { error: 'must be at most a day (1440)' })
          .describe('Time limit of one run, in minutes. Default 60.')
          .optional(),
        stallMinutes: z
          .number({ error: 'must be a number of minutes' })
          .gt(0, { error: 'must be above zero' })
          .max(1440, { error: 'must be at most a day (1440)' })
          .describe('A run that prints nothing for so many minutes is ended. Default 30.')
          .optional(),
        parallel: whole(1, 64, 'Runs of this project at once. Default 4.').optional(),
        transient: whole(0, 100, 'Repeats after a rate limit or an overload. Default 6.').optional(),
        infra: whole(0, 100, 'Repeats after trouble of tools or host. Default 3.').optional(),
      },
      'Budgets and limits.',
    ).optional(),
    protected: list(
      text('Glob.'),
      'Paths that need a person when a change touches them, beside the built-in ones.',
    ).optional(),
    diffBudget: group(
      {
        files: whole(1, 100_000, 'Changed files. Default 50.').optional(),
        addedLines: whole(1, 10_000_000, 'Added lines. Default 2000.').optional(),
      },
      "Largest change; lock files and generated paths don't count.",
    ).optional(),
    sandbox: group(
      {
        network: truth('Whether agents and commands have the network. Default true.').optional(),
        read: list(text('Path.'), 'More paths that agents and commands may read.').optional(),
      },
      'What agents and commands can reach.',
    ).optional(),
    commits: group(
      { pattern: pattern("Regular expression that every commit's subject or message must match.").optional() },
      'Policy of commits.',
    ).optional(),
  },
  'Orch: configuration of a project (.orch.yml).',
)

export type ConfigInput = z.infer<typeof configSchema>

/** 1 MiB: agentpr's limit. GitHub sends nothing above 25 MB. */
export const WEBHOOK_BYTES = { usual: 1 << 20, most: 25 << 20 } as const

const webhooksSchema = group(
  {
    port: whole(
      1,
      65_535,
      'Port that `orch up` listens on for webhooks. Default: none, and it does not listen.',
    ).optional(),
    host: text('Address it listens on. Default 127.0.0.1: a proxy with TLS stands before it.').optional(),
    maxBytes: whole(
      1_024,
      WEBHOOK_BYTES.most,
      `Largest body that is taken. Default ${WEBHOOK_BYTES.usual}.`,
    ).optional(),
    unsigned: truth('Takes what has no signature: for local development only. Default false.').optional(),
  },
  'Where trackers and forges tell of what happened. Secrets stand in the environment: ORCH_GITHUB_WEBHOOK_SECRET …',
)

/** How often trackers and forges are asked where nobody chose, in seconds: O-18 for the first two, C-17 for the third. */
export const POLL_SECONDS = { healthy: 120, unhealthy: 30, ci: 10 } as const

const pollSchema = group(
  {
    healthy: duration.describe('While webhooks reach us, and only what is open. Default "2m".').optional(),
    unhealthy: duration.describe('While webhooks don\'t reach us, or there are none. Default "30s".').optional(),
    ci: duration.describe('The first twelve looks at CI after a push. Default "10s".').optional(),
  },
  'How often `orch up` asks trackers and forges by itself: seconds, or "90s", "10m", "1h".',
)

/** A person's own file: the same keys for all projects, and under `projects` for one of them. */
export const userConfigSchema = configSchema
  .extend({
    projects: z
      .record(
        z.string().regex(PREFIX, { error: 'must be the prefix of a project' }),
        configSchema.omit({ prefix: true }).describe('What holds in this project, over the rest of this file.'),
        { error: 'must be a group of projects, each under its prefix' },
      )
      .describe('By prefix of a project: what holds there, over the rest of this file. What its .orch.yml says wins.')
      .optional(),
    webhooks: webhooksSchema.optional(),
    poll: pollSchema.optional(),
  })
  .describe("Orch: a person's own configuration (config.yml in ORCH_HOME).")

export type UserConfigInput = z.infer<typeof userConfigSchema>

/** How one key is written in an environment variable. */
export type LeafKind = 'text' | 'number' | 'truth' | 'list'

/** Every key with a fixed name: its kind and its default. `env.set.NAME`, `tracker.columns.NAME` and `agents.NAME.FIELD` come beside these. */
export const LEAVES: Record<string, { kind: LeafKind; value: unknown }> = {
  prefix: { kind: 'text', value: null },
  base: { kind: 'text', value: null },
  pipeline: { kind: 'text', value: 'direct' },
  'checkout.sparse': { kind: 'list', value: [] },
  setup: { kind: 'list', value: [] },
  verify: { kind: 'list', value: [] },
  parallelVerify: { kind: 'truth', value: false },
  knownFailures: { kind: 'list', value: [] },
  'env.pass': { kind: 'list', value: [] },
  approval: { kind: 'text', value: 'human' },
  'approvalBy.label': { kind: 'text', value: 'orch:approved' },
  'approvalBy.column': { kind: 'text', value: 'Approved' },
  'land.method': { kind: 'text', value: 'merge' },
  'land.via': { kind: 'text', value: 'push' },
  'land.markers': { kind: 'list', value: [] },
  'change.draft': { kind: 'truth', value: true },
  'change.labels': { kind: 'list', value: [] },
  'change.reviewers': { kind: 'list', value: [] },
  'change.followUps': { kind: 'truth', value: false },
  'intake.labels': { kind: 'list', value: ['orch'] },
  'intake.columns': { kind: 'list', value: [] },
  'intake.assignees': { kind: 'list', value: [] },
  'intake.mention': { kind: 'text', value: null },
  'intake.people': { kind: 'list', value: [] },
  'intake.strangers': { kind: 'text', value: 'ignore' },
  'tracker.labels': { kind: 'truth', value: true },
  'tracker.comments': { kind: 'truth', value: true },
  'tracker.commands': { kind: 'truth', value: null },
  'limits.attempts': { kind: 'number', value: 3 },
  // One hour: ORCH's limit for a developer.
  'limits.runMinutes': { kind: 'number', value: 60 },
  'limits.stallMinutes': { kind: 'number', value: STALL_MINUTES },
  'limits.parallel': { kind: 'number', value: 4 },
  'limits.transient': { kind: 'number', value: 6 },
  'limits.infra': { kind: 'number', value: 3 },
  protected: { kind: 'list', value: [...PROTECTED_PATHS] },
  // agentpr had 6 files and 120 lines to be polite in other people's repositories. In one's own a feature with its
  // tests has several hundred lines; these only stop the change that no reviewer could read.
  'diffBudget.files': { kind: 'number', value: 50 },
  'diffBudget.addedLines': { kind: 'number', value: 2000 },
  'sandbox.network': { kind: 'truth', value: true },
  'sandbox.read': { kind: 'list', value: [] },
  'commits.pattern': { kind: 'text', value: null },
}

/** Fields under `agents.NAME`. */
export const AGENT_FIELDS = {
  agent: 'text',
  model: 'text',
  effort: 'text',
  fallback: 'list',
  bin: 'text',
  command: 'text',
} as const satisfies Record<string, LeafKind>
