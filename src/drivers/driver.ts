// The roles a driver may fill. A driver is one vendor; one connection serves all its roles.

import type { ChangeRow, ReviewRow } from '../store/store.ts'

export interface ChangeRequest {
  project: string
  task: string
  branch: string
  base: string
  head: string
  title: string
  body: string
}

/** Where changes (branch and pull request) are kept. Git itself is the mirror's matter. */
export interface Forge {
  /** Opens the task's change or brings it up to date. Idempotent: twice is one change. */
  ensureChange(request: ChangeRequest): Promise<ChangeRow>
  /** Records a review of one head. Twice the same is one review. */
  addReview(review: ReviewRow): Promise<void>
  /** Marks the change merged at `mergedSha`. Idempotent. Null when there is no change. */
  markMerged(task: string, mergedSha: string): Promise<ChangeRow | null>
  /** Closes without merging. Idempotent; a merged change stays merged. Null when there is no change. */
  closeChange(task: string): Promise<ChangeRow | null>
}

export interface Issue {
  /** Unique among the project's issues for ever, such as `local:7`. */
  origin: string
  number: number
}

/** Where issues come from. */
export interface Tracker {
  /** Records an issue and gives its origin and number. Twice is two issues. */
  createIssue(project: string): Promise<Issue>
}
