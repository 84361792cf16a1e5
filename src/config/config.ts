// The contract of configuration: layers in, one resolved value with its sources out, or problems with line and key.
// Invariant: what judges comes from the base commit (or, before there is one, the registered clone), never from a task's branch.

import type { Pipeline } from '../core/pipeline.ts'
import type { ApprovalPolicy, Policy } from '../core/policy.ts'

/** One layer's text and the name people know it by, such as `.orch.yml at origin/main`. */
export interface ConfigFile {
  name: string
  text: string
}

export interface ConfigLayers {
  /** From command-line flags, already as configuration keys. */
  flags?: Record<string, unknown>
  /** The user's environment; only ORCH_* names are read. An empty variable never erases a default. */
  env: Record<string, string | undefined>
  project: ConfigFile | null
  user: ConfigFile | null
  /** Whose part of the user's file counts: the project's prefix; null where there is no project (yet). */
  projectId: string | null
}

export interface ConfigProblem {
  file: string
  /** 1-based; null when the value did not come from a file. */
  line: number | null
  /** Dotted key, such as `verify[0].run`. */
  key: string
  text: string
}

/** Where one effective value comes from. */
export interface ConfigSource {
  key: string
  value: unknown
  /** `default`, `ORCH_…`, `--flag`, or a file's name with its line. */
  source: string
}

/** Files of a project at one commit (or in the registered clone when the commit has none). */
export interface ProjectFiles {
  /** `.orch.yml`, or null. */
  config: ConfigFile | null
  /** Pipelines under `.orch/pipelines/`, by file. */
  pipelines: ConfigFile[]
  /** Prompts under `.orch/prompts/`, by role. */
  prompts: Record<string, ConfigFile>
}

/** What every stage of a task is judged and prompted by. */
export interface ResolvedProject {
  /** Everything but the pipeline is from the configuration; `configHash` covers all of it, pipeline and prompts. */
  policy: Policy
  prefix: string | null
  tracker: TrackerSettings
  /** By role: the instructions text. */
  prompts: Record<string, string>
  sources: ConfigSource[]
}

/** Which issues become tasks, and how they show where those are. */
export interface TrackerSettings {
  intake: {
    labels: string[]
    columns: string[]
    assignees: string[]
    /** A word such as `@orch`. */
    mention: string | null
    /** Whose word counts beside owners and members. */
    people: string[]
    strangers: 'ignore' | 'park'
  }
  /** `columns`: by status or stage. */
  show: { columns: Record<string, string>; labels: boolean; comments: boolean }
  /** Null: as the driver's own habit is. */
  commands: boolean | null
}

export type Resolution = { ok: true; project: ResolvedProject } | { ok: false; problems: ConfigProblem[] }

/** A pipeline as listed. `pipeline` is null when it has problems. */
export interface ListedPipeline {
  name: string
  description: string
  file: string
  source: 'built-in' | 'project'
  problems: ConfigProblem[]
  pipeline: Pipeline | null
}

/** What lies at a repository's root, for guessing its commands. */
export interface RootFiles {
  /** Names of files and folders directly at the root. */
  list: string[]
  /** Text of one of them, null when it isn't a readable file. */
  read(name: string): string | null
}

/** Commands as they are most likely meant; empty where nothing was found, and `why` says so. */
export interface Guess {
  setup: string[]
  verify: string[]
  /** One sentence for each thing found or missing. */
  why: string[]
}

/** What `orch init` was told or guessed; null leaves the default. */
export interface InitChoices {
  prefix: string | null
  pipeline: string | null
  /** Agent of all roles. */
  agent: string | null
  setup: string[]
  /** `none`, or a list with just that word: the project has nothing to verify with. */
  verify: string[] | 'none'
  approval: ApprovalPolicy | null
}

/** The files that have a schema. */
export type SchemaName = 'config' | 'user' | 'pipeline'

/** What a person's file and environment say of the listener for webhooks. */
export interface WebhookSettings {
  /** Null: there is no listener. */
  port: number | null
  host: string
  maxBytes: number
  /** For local development: what has no signature is taken. */
  unsigned: boolean
}

/** How often a running service asks trackers and forges by itself, in ms. */
export interface PollIntervals {
  /** While webhooks reach us. */
  healthyMs: number
  unhealthyMs: number
  /** Of the first looks at CI after a push. */
  ciMs: number
}

export interface Config {
  /** The listener's settings, from the person's file and ORCH_WEBHOOKS_…; null where one of them has problems. */
  webhooks(layers: Pick<ConfigLayers, 'user' | 'env'>): {
    settings: WebhookSettings | null
    sources: ConfigSource[]
    problems: ConfigProblem[]
  }
  /** The defaults where the file has problems. */
  poll(user: ConfigFile | null): PollIntervals
  /** Resolves all layers and the named pipeline (null: the project's default). Pure but for the built-in pipelines and prompts. */
  resolve(request: { layers: Omit<ConfigLayers, 'project'>; files: ProjectFiles; pipeline: string | null }): Resolution
  /** Built-in pipelines and the project's own, with their problems. A project's own hides a built-in one of the same name. */
  listPipelines(files: ProjectFiles): ListedPipeline[]
  /** Problems of one pipeline file, and the pipeline when it has none. */
  checkPipeline(file: ConfigFile): { pipeline: Pipeline | null; problems: ConfigProblem[] }
  /** JSON Schema of `.orch.yml`, of a person's `config.yml` or of a pipeline file, for editors. */
  schema(of: SchemaName): Record<string, unknown>
  /** Setup and verify commands by what a repository has. Runs nothing. */
  guess(files: RootFiles): Guess
  /** Text of a new, commented `.orch.yml`. */
  render(choices: InitChoices): string
}
