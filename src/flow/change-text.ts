// What a change says of itself at the forge: what and why, the evidence for each gate at this head, and what it cost.
// Pure: the same task is the same text, so that bringing a change up to date writes only when something differs.

import type { Task } from '../core/task.ts'
import type { Project } from '../store/store.ts'

const MARKS = { pass: '✅', fail: '❌', wait: '⏳', unknown: '❔' } as const
/** Forges cut or refuse longer texts (GitHub's limit is 65,536 characters); the issue has the rest. */
const BODY_MAX = 60_000

export function changeText(
  task: Task,
  project: Pick<Project, 'tracker' | 'forge'>,
  head: string,
): { title: string; body: string } {
  const closes = closingWord(task, project)
  const parts = [
    task.body.trim(),
    ...(closes === null ? [] : [closes]),
    evidenceTable(task, head),
    `<sub>${task.id}, attempt ${task.attempts.code + 1}${task.costUsd > 0 ? `, $${task.costUsd.toFixed(2)}` : ''}. Made and kept up to date by Orch.</sub>`,
  ]
  const body = parts.filter((part) => part !== '').join('\n\n')
  return {
    title: `${task.id}: ${task.title}`,
    body: body.length > BODY_MAX ? `${body.slice(0, BODY_MAX)}\n\n(cut)` : body,
  }
}

/** Where issue and change are in one place, the forge closes the issue with the merge. */
function closingWord(task: Task, { tracker, forge }: Pick<Project, 'tracker' | 'forge'>): string | null {
  if (!tracker || !forge || tracker.driver !== forge.driver || tracker.ref !== forge.ref) return null
  const [driver, id] = task.origin.split(':', 2)
  return driver === tracker.driver && id !== undefined && /^\d+$/.test(id) ? `Closes #${id}` : null
}

function evidenceTable(task: Task, head: string): string {
  const verdicts = task.verdicts.filter((verdict) => verdict.sha === head)
  if (verdicts.length === 0) return ''
  const rows = verdicts.map(
    (verdict) => `| ${MARKS[verdict.result]} | ${verdict.stage} | ${verdict.gate} | ${cell(verdict.note)} |`,
  )
  return [`Evidence at ${head.slice(0, 10)}:`, '', '| | stage | gate | seen |', '|---|---|---|---|', ...rows].join('\n')
}

/** One line of a table, whatever the note holds. */
function cell(text: string): string {
  return text.replaceAll(/[\r\n|]+/g, ' ').slice(0, 300)
}
