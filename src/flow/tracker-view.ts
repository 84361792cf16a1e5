// What a tracker is shown of a task: labels, a board column and comments, as values. Pure, so that the same state is always
// the same view, and telling it twice changes nothing.

import type { TrackerSettings } from '../config/config.ts'
import type { TaskStatus } from '../core/lifecycle.ts'
import type { Task } from '../core/task.ts'
import type { Explanation } from '../core/why.ts'
import type { IssueView, OwnComment } from '../drivers/driver.ts'

export interface ViewFacts {
  settings: TrackerSettings['show']
  explained: Explanation
  /** The change's page, where it has one. */
  changeUrl: string | null
  /** Those that have ended, oldest first. */
  runs: RunFact[]
  /** Names of kept artifacts, oldest first. */
  artifacts: string[]
  /** Roles that speak for themselves. */
  speakers: readonly string[]
}

interface RunFact {
  stage: string
  role: string
  agent: string
  model: string | null
  outcome: string
  costUsd: number
  tokens: number
}

export interface TrackerView {
  view: IssueView
  comments: OwnComment[]
}

/** One label a status, so that a list of issues shows where each is. */
export const STATUS_LABELS: Record<TaskStatus, string> = {
  queued: 'orch:queued',
  running: 'orch:running',
  waiting: 'orch:waiting',
  blocked: 'orch:blocked',
  needs_review: 'orch:needs-review',
  done: 'orch:done',
  cancelled: 'orch:cancelled',
}

export function trackerView(task: Task, facts: ViewFacts): TrackerView {
  const { settings } = facts
  const label = STATUS_LABELS[task.status]
  const others = Object.values(STATUS_LABELS).filter((other) => other !== label)
  return {
    view: {
      column: columnOf(task, settings.columns),
      labelsOn: settings.labels ? [label] : [],
      labelsOff: settings.labels ? others : [],
      close: task.status === 'done' ? 'completed' : null,
    },
    comments: settings.comments ? commentsOf(task, facts) : [],
  }
}

/** The stage's own column wins; an ended task is shown by its status alone. */
function columnOf(task: Task, columns: Record<string, string>): string | null {
  const ended = task.status === 'done' || task.status === 'cancelled'
  const stage = ended || task.status === 'needs_review' ? undefined : columns[task.stage]
  return stage ?? columns[task.status] ?? null
}

/**
 * One comment is edited along, and one for each role that speaks for itself; one more comes only where a person has to act,
 * since an edit rings no bell.
 */
function commentsOf(task: Task, facts: ViewFacts): OwnComment[] {
  const comments: OwnComment[] = [{ key: `status-${task.id}`, role: null, body: statusText(task, facts) }]
  for (const role of facts.speakers) {
    const runs = facts.runs.filter((run) => run.role === role)
    if (runs.length > 0) comments.push({ key: `role-${task.id}-${role}`, role, body: roleText(task, facts, runs) })
  }
  const asks = task.status === 'needs_review' || (task.status === 'waiting' && facts.explained.owner === 'you')
  if (!asks) return comments
  const moment = `${task.epoch}-${task.reason?.code ?? task.waitingFor ?? ''}`
  return [...comments, { key: `ask-${task.id}-${moment}`, role: null, body: askText(task, facts) }]
}

function statusText(task: Task, { explained, changeUrl, runs, artifacts }: ViewFacts): string {
  const lines = [`**${task.id}** is ${task.status.replace('_', ' ')} at \`${task.stage}\`. ${explained.because}`]
  if (changeUrl) lines.push(`Change: ${changeUrl}`)
  if (task.mergedSha) lines.push(`Merged as ${task.mergedSha}.`)
  if (artifacts.length > 0) {
    const names = artifacts.map((name) => `\`${name}\``).join(', ')
    lines.push(`Kept where Orch runs (\`orch task show ${task.id}\`): ${names}.`)
  }
  if (runs.length > 0) lines.push(runsTable(runs, { costUsd: task.costUsd }))
  return lines.join('\n\n')
}

function roleText(task: Task, { changeUrl }: ViewFacts, runs: RunFact[]): string {
  const costUsd = runs.reduce((sum, run) => sum + run.costUsd, 0)
  const lines = [`My work on **${task.id}**${changeUrl ? `, ${changeUrl}` : ''}:`, runsTable(runs, { costUsd })]
  return lines.join('\n\n')
}

function runsTable(runs: RunFact[], all: { costUsd: number }): string {
  const rows = runs.map((run) => {
    const agent = `${run.agent}${run.model ? ` (${run.model})` : ''}`
    return `| ${run.stage} | ${run.role} | ${agent} | ${run.outcome} | ${run.tokens} | ${money(run.costUsd)} |`
  })
  const tokens = runs.reduce((sum, run) => sum + run.tokens, 0)
  return [
    '| stage | role | agent | run | tokens | cost |',
    '|---|---|---|---|---|---|',
    ...rows,
    `| all | | | | ${tokens} | ${money(all.costUsd)} |`,
  ].join('\n')
}

function askText(task: Task, { explained }: ViewFacts): string {
  const ways = commentWays(task)
  return [
    `**${task.id}** needs somebody. ${explained.because}`,
    ways.length > 0 ? `Here: ${ways.map((way) => `\`${way}\``).join(', ')}.` : '',
    explained.actions.length > 0 ? `On the machine: ${explained.actions.map((way) => `\`${way}\``).join(', ')}.` : '',
  ]
    .filter((line) => line !== '')
    .join('\n\n')
}

function commentWays(task: Task): string[] {
  if (task.status === 'needs_review') return ['/orch retry', '/orch stop']
  switch (task.waitingFor) {
    case 'approval':
      return task.policy?.approval === 'human-twice' ? ['/orch reject …'] : ['/orch approve', '/orch reject …']
    case 'answers':
      return ['/orch answer …', '/orch stop']
    default:
      return []
  }
}

/** `–` where an agent told no cost. */
function money(usd: number): string {
  return usd === 0 ? '–' : `$${usd.toFixed(2)}`
}
