// A task as one file that explains itself on another machine: what it holds, and its version.

import type { RunEvent } from '../agents/agent.ts'
import type { ChangeRow, JournalEntry, ReviewRow } from '../store/store.ts'
import type { DiffFile } from '../workspace/workspace.ts'

/** Another number means that an older reader would misread it; fields may be added under the same one. */
export const EXPORT_FORMAT = 'orch-task/1'

/** A text, or the end of one that was too long. */
export interface KeptText {
  text: string
  /** Of the whole. */
  bytes: number
  cut: boolean
}

/** What a run was asked and printed; null where there is no such file any more. */
export interface ExportedRun {
  id: string
  agent: string
  prompt: KeptText | null
  output: KeptText | null
  stderr: KeptText | null
  /** The output's events, the latest ones, as `orch task logs --json` prints them. */
  events: ({ task: string; line: string } | ({ task: string } & RunEvent))[]
  eventsCut: boolean
}

/** What the task changed when this run had ended, against the point where it left the base. */
export interface ExportedDiff {
  run: string
  base: string
  head: string
  files: DiffFile[]
  diff: KeptText
}

export interface ExportedArtifact {
  name: string
  run: string | null
  bytes: number
  encoding: 'utf8' | 'base64'
  content: string
  cut: boolean
}

export interface TaskExport<Inspection> {
  format: typeof EXPORT_FORMAT
  exportedAt: string
  project: { id: string; name: string; remote: string }
  /** All that `orch task inspect` shows; paths relative to ORCH_HOME. */
  inspection: Inspection
  events: (Omit<JournalEntry, 'at'> & { at: string })[]
  change: (Omit<ChangeRow, 'createdAt' | 'updatedAt'> & { createdAt: string; updatedAt: string }) | null
  reviews: (Omit<ReviewRow, 'at'> & { at: string })[]
  runs: ExportedRun[]
  diffs: ExportedDiff[]
  artifacts: ExportedArtifact[]
  costs: { usd: number; runs: { run: string; role: string; agent: string; usd: number; tokens: number }[] }
  /** What could not be put in, in sentences. */
  missing: string[]
  /** Secrets that were found and taken out. */
  hidden: number
}
