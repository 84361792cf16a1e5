import type { ChangeRow } from '../../../flow/app.ts'
import { isoTime } from '../time.ts'

/** A change as scripts get it: times as ISO 8601. */
export function changeJson(change: ChangeRow): Record<string, unknown> {
  return { ...change, createdAt: isoTime(change.createdAt), updatedAt: isoTime(change.updatedAt) }
}
