// What the matrix must know of an agent to try it: where its program is, how it reaches the scripted model, what it tells.
// A subject is the agent as a person has it; what Orch does with it is the adapter's, and is what is tried.

import type { AgentAdapter } from '../../src/agents/agent.ts'
import type { AgentProgram } from '../../src/core/policy.ts'
import type { RunFailure } from '../../src/core/run.ts'
import type { Installed } from './install.ts'

/** Trouble that every agent is put through; also the name of its transcript. */
export type Trouble =
  | 'api-401'
  | 'api-403'
  | 'api-404'
  | 'api-429'
  | 'api-500'
  | 'api-529'
  | 'too-long'
  /** The model's answer breaks off in the middle, on every try. */
  | 'broken'
  /** The CLI's own output is cut in the middle of a line, though it ends with 0. */
  | 'cut'

/** Where a subject finds itself: the model server's address (no slash at its end) and the person's home folder. */
export interface SubjectPlace {
  url: string
  home: string
}

export interface Subject {
  /** How tests name it, such as `codex` or `opencode over ACP`. */
  title: string
  adapter: AgentAdapter
  /** The pinned version, as `find` gives it; null where it gives none. */
  version: string | null
  /** What the person's `~/.orch/config.yml` says under `agents.<adapter.name>`. */
  program(installed: Installed): AgentProgram
  /** The model asked for in each run; null: the agent's own choice. */
  model: string | null
  /** The person's environment, the login with it, besides HOME and PATH. */
  env(place: SubjectPlace): Record<string, string>
  /** The names in `env` that are its login; without them and without `homeFiles` it isn't logged in. */
  loginNames: string[]
  /** The person's own files, by their path below HOME. */
  homeFiles?(place: SubjectPlace): Record<string, string>
  tells: {
    /** Tokens: of the answers to the script alone, of every answer (titles and other asides too), or none. */
    usage: 'script' | 'all' | 'none'
    /** Tokens also of a run that was ended in the middle: every answer that came before its end. */
    partial: boolean
    cost: boolean
    /** When a limit ends, when the API says so (`retry-after`, or `says`). */
    reset: boolean
  }
  /**
   * The vendor's own words for a trouble (or the whole body of its answer), where the class or the reset time is read
   * from them. `{seconds}` stands for those until the limit ends, `{epoch}` for when that is, in seconds since 1970.
   */
  says?: Partial<Record<Trouble, string | Record<string, unknown>>>
  /** Classes that differ from the usual ones, each with what the CLI does. `succeeded`: it takes it for a good end. */
  differs?: Partial<Record<Trouble, { code: RunFailure | 'succeeded'; because: string }>>
  /** From its start to its first tool on a quiet machine, times five. Default 5 s. */
  startMs?: number
  /** Longest that any one run may take, its own retries included. Default 60 s. */
  runMs?: number
  /** Folder of its transcripts in `src/agents/__fixtures__`. */
  transcripts: string
}
