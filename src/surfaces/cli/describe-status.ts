import { shortTime } from './time.ts'

/** The task's status with what it waits for and until when, as people read it. */
export function describeStatus(task: {
  status: string
  waitingFor?: string | null
  /** In ms or ISO 8601. */
  waitingUntil?: number | string | null
  reason?: string | null
  paused: boolean
}): string {
  const until = task.waitingUntil ? ` until ${shortTime(new Date(task.waitingUntil))}` : ''
  const detail = task.status === 'waiting' && task.waitingFor ? `waiting for ${task.waitingFor}${until}` : task.status
  const reason = task.status === 'needs_review' && task.reason ? `${detail}: ${task.reason}` : detail
  const ended = task.status === 'done' || task.status === 'cancelled'
  return task.paused && !ended ? `${reason} (paused)` : reason
}
