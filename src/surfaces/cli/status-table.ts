// The table of tasks that `status` and `demo` show.

import type { TaskStatus } from '../../core/lifecycle.ts'
import type { ServiceView, StatusView } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { describeStatus } from './describe-status.ts'
import { type Column, paint, table } from './print.ts'
import { sanitizeLine } from './sanitize.ts'
import { clockTime, shortDuration } from './time.ts'

type Line = StatusView['tasks'][number]

export const STATUS_PAINTS: Record<TaskStatus, 'green' | 'yellow' | 'cyan' | 'dim' | 'red' | null> = {
  queued: null,
  running: 'cyan',
  waiting: 'yellow',
  blocked: 'dim',
  needs_review: 'red',
  done: 'green',
  cancelled: 'dim',
}

function columns(nowMs: number): Column<Line>[] {
  const ended = (line: Line): boolean => line.status === 'done' || line.status === 'cancelled'
  return [
    { title: 'ID', text: (line) => line.id, paint: () => 'bold' },
    { title: 'STAGE', text: (line) => line.stage },
    {
      title: 'STATUS',
      text: (line) => describeStatus({ ...line, reason: line.reasonCode }),
      paint: (line) => STATUS_PAINTS[line.status],
    },
    { title: 'TRY', text: (line) => String(line.attempt) },
    { title: 'AGENT', text: (line) => line.agent ?? '-' },
    {
      title: 'OUTPUT',
      text: (line) =>
        line.lastActivityAt === null || ended(line) ? '-' : `${shortDuration(nowMs - line.lastActivityAt)} ago`,
    },
    { title: 'FOR', text: (line) => shortDuration(nowMs - line.since) },
    { title: 'TITLE', text: (line) => line.title },
  ]
}

/** Lines for a terminal or a pipe: the table, what was left out, the counts, the service. */
export function statusLines(view: StatusView, context: CliContext): string[] {
  const rows = view.tasks
  return [
    ...(rows.length > 0 ? table(columns(context.now()), rows, context) : ['No open tasks.']),
    ...rows.flatMap((line) => quietLine(line, context)),
    ...(view.more > 0 ? [`… and ${view.more} more: \`orch task list --limit N\` shows them`] : []),
    '',
    paint(context, 'dim', `${countsLine(view.counts)} · ${serviceLine(view.service)}`),
  ]
}

/** A run that has printed nothing for long, before it is ended for it. */
function quietLine(line: Line, context: CliContext): string[] {
  if (line.stallsAt === null) return []
  const silence = line.lastActivityAt === null ? '' : ` for ${shortDuration(context.now() - line.lastActivityAt)}`
  const text = `${line.id}: ${line.agent ?? 'its agent'} has printed nothing${silence}; it is ended at ${clockTime(line.stallsAt)} unless it goes on`
  return [paint(context, 'yellow', sanitizeLine(text))]
}

/** What a redraw is for: everything shown except the times that only count up. */
export function statusKey(view: StatusView): string {
  const shown = view.tasks.map((line) => [
    line.id,
    line.stage,
    line.status,
    line.waitingFor,
    line.reasonCode,
    line.paused,
    line.attempt,
    line.agent,
    line.stallsAt !== null,
    line.title,
  ])
  return JSON.stringify([shown, view.counts, view.service.running])
}

/** `2 running, 1 waiting, 40 done`. */
export function countsLine(counts: Record<TaskStatus, number>): string {
  const shown = (Object.keys(STATUS_PAINTS) as TaskStatus[]).filter((status) => counts[status] > 0)
  return shown.length === 0 ? 'no tasks' : shown.map((status) => `${counts[status]} ${status}`).join(', ')
}

function serviceLine(service: ServiceView): string {
  return service.running ? `orch up is running (pid ${service.pid})` : 'orch up is not running'
}
