// Rows as scripts get them: the same names as in Orch, times as ISO 8601.

import type { JournalEntry, StatusView, TaskLine } from '../../flow/app.ts'
import { isoTime } from './time.ts'

export function lineJson(
  line: TaskLine & { lastActivityAt?: number | null; stallsAt?: number | null },
): Record<string, unknown> {
  return {
    ...line,
    waitingUntil: isoTime(line.waitingUntil),
    createdAt: isoTime(line.createdAt),
    updatedAt: isoTime(line.updatedAt),
    since: isoTime(line.since),
    ...(line.lastActivityAt === undefined ? {} : { lastActivityAt: isoTime(line.lastActivityAt) }),
    ...(line.stallsAt === undefined ? {} : { stallsAt: isoTime(line.stallsAt) }),
  }
}

export function eventJson(entry: JournalEntry): Record<string, unknown> {
  return { ...entry, at: isoTime(entry.at) }
}

export function statusJson(view: StatusView): Record<string, unknown> {
  return { ...view, tasks: view.tasks.map(lineJson) }
}
