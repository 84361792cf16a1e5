// The façade's part that looks after the state as a whole: backup, check, restore. Apart from `App`, because a restore
// must work where the database can't be opened. Plain data in and out.

/** What a backup holds. */
export interface BackupView {
  /** Absolute. */
  file: string
  bytes: number
  /** Null for a plain copy of a database, which has no files beside it. */
  madeAt: string | null
  /** Of the database's schema. */
  version: number
  projects: string[]
  tasks: number
  events: number
  /** Runs that worked at the time: their uncommitted files and logs are not in it. */
  liveRuns: number
  files: number
  /** Bundles of work that was not at origin, one a project. */
  bundles: number
  durationMs: number
}

export interface RestoreView extends BackupView {
  /** Where the state from before lies now; null when there was none. */
  before: string | null
  /** Files from before that were other than the backup's, and were moved there as well. */
  moved: string[]
}

/** Each throws UserError for what the user can mend, and leaves everything as it was then. */
export interface Vault {
  /** Writes a proved backup to a file; an existing one is replaced only with `force`, and only by a whole one. */
  backup(request: { file: string; force: boolean; logs: boolean }): Promise<BackupView>
  /** Reads a backup whole and proves it. */
  check(file: string): Promise<BackupView>
  /** Puts a backup's state in the place of the present one, which is moved aside. `force`: there may be a present one. */
  restore(request: { file: string; force: boolean }): Promise<RestoreView>
}
