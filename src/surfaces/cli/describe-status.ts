/** The task's status with what it waits for, as people read it. */
export function describeStatus(task: {
  status: string
  waitingFor?: string | null
  reason?: string | null
  paused: boolean
}): string {
  const detail = task.status === 'waiting' && task.waitingFor ? `waiting for ${task.waitingFor}` : task.status
  const reason = task.status === 'needs_review' && task.reason ? `${detail}: ${task.reason}` : detail
  const ended = task.status === 'done' || task.status === 'cancelled'
  return task.paused && !ended ? `${reason} (paused)` : reason
}
