// What surfaces ask and are told of trackers, forges and two confirmations: plain data.

/** What `orch project add` was asked. */
export interface AddProject {
  /** A clone's folder, an address of git or of a browser, or `owner/name`. */
  source: string
  cwd: string
  prefix: string | null
  /** `none`, or a driver such as `github`, with the project's name there where that is not the repository: `plane:acme/…`. Null: not said. */
  tracker: string | null
  forge: string | null
}

/** What must be so before the first of two confirmations. */
export interface DefinitionOfDone {
  met: boolean
  criteria: {
    name: 'gates' | 'handoff' | 'threads'
    met: boolean
    /** Whether a person may pass over it, with a reason. */
    bypassable: boolean
    text: string
  }[]
}

/** What somebody looks at before they say yes. The token is told here and nowhere else. */
export interface ApprovalRequest {
  task: string
  sha: string
  token: string
  expiresAt: string
  title: string
  body: string
  files: number
  addedLines: number
  deletedLines: number
  done: DefinitionOfDone
  /** Why what is not met was passed over; null: it is met. */
  bypass: string | null
}

export interface OnboardRequest {
  mode: 'plan' | 'apply' | 'verify'
  /** Where the vendor reaches this machine's webhooks; null: as given before, else none. */
  url: string | null
}

/** One thing that the project needs at a vendor. */
export interface OnboardStep {
  /** Such as `github acme/shop`. */
  at: string
  what: 'permissions' | 'label' | 'column' | 'webhook'
  name: string
  /** `impossible`: the vendor would not say or do it, and `text` says why. */
  state: 'there' | 'missing' | 'made' | 'mended' | 'impossible'
  text: string
}

export interface OnboardView {
  project: string
  mode: OnboardRequest['mode']
  /** Nothing is missing; after `apply`: all that Orch could make is there. */
  ok: boolean
  steps: OnboardStep[]
  notes: string[]
  /** What the project could say of it in `.orch.yml`. */
  config: string
}

export interface SyncView {
  dryRun: boolean
  /** By project: what came of it (of a dry run: what would), in sentences. */
  projects: {
    project: string
    said: string[]
    /** What kept it from being asked or followed; null: nothing. */
    trouble: { code: string; text: string; exit: 1 | 3 | 6 } | null
  }[]
}
