// What a vendor holds: issues, changes, checks and words of people. Plain values, which outlive every crash.

import type { ChangeReview, Issue, IssueComment, ReviewThread } from '../../src/drivers/driver.ts'
import type { WebhookDoor } from '../../src/flow/webhooks.ts'
import type { Process } from './chaos.ts'
import type { Remote } from './git.ts'

export type Doors = Map<Process, WebhookDoor>

export interface VendorComment extends IssueComment {
  /** Of Orch's own. */
  key: string | null
  /** The task that was open for it when it was written. */
  toldTo: string | null
}

export interface VendorIssue extends Issue {
  comments: VendorComment[]
  /** Times that somebody made it wanted who has the right to. */
  wishes: number
  /** Somebody opened it again. */
  isReopened: boolean
  /** How it was shown last. */
  shown: string | null
}

export interface VendorChange {
  number: number
  task: string
  branch: string
  base: string
  head: string
  title: string
  body: string
  draft: boolean
  labels: string[]
  state: 'open' | 'merged' | 'closed'
  mergedSha: string | null
  /** Who merged or closed it. */
  endedBy: 'orch' | 'person' | 'git' | null
  reviews: ChangeReview[]
  threads: ReviewThread[]
  comments: VendorComment[]
  updatedAt: number
}

type CheckState = 'pending' | 'passed' | 'failed'

export interface Vendor {
  project: string
  ref: string
  remote: Remote
  issues: Map<string, VendorIssue>
  changes: VendorChange[]
  checks: Map<string, CheckState>
  /** Requests are refused until then, in elapsed ms. */
  limitedUntil: number
  /** Nothing it tells arrives until then. */
  muteUntil: number
  nextNumber: number
  nextId: number
  /** When people or CI last did something, and when the last look that found everything began; elapsed ms. */
  newsAt: number
  listedAt: number
  polledAt: number
}
