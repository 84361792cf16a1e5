// One sentence for each entry of the journal, for people who follow a log.

import type { AccountEvent, RepositoryEvent, TaskEvent } from '../../core/messages.ts'
import type { RunOutcome } from '../../core/run.ts'
import type { JournalEntry } from '../../flow/app.ts'
import { sanitizeLine } from './sanitize.ts'
import { clockTime } from './time.ts'

/** `14:03:27 SHOP-1 claude begins attempt 2 as developer`; null for entries that tell a person nothing new. */
export function eventLine(entry: JournalEntry): string | null {
  const sentence = eventSentence(entry)
  return sentence === null ? null : `${clockTime(entry.at)} ${entry.task ?? entry.id} ${sentence}`
}

/** The sentence alone, safe to print. An entry of another version is told by its type. */
export function eventSentence(entry: JournalEntry): string | null {
  // Rows of the journal were written from this union; the default arms meet what other versions wrote.
  const event = { type: entry.type, data: entry.data } as unknown as TaskEvent | RepositoryEvent | AccountEvent
  const sentence =
    entry.stream === 'task' ? taskSentence(event as TaskEvent) : otherSentence(event as RepositoryEvent | AccountEvent)
  return sentence === null ? null : sanitizeLine(sentence)
}

function taskSentence(event: TaskEvent): string | null {
  switch (event.type) {
    case 'task.opened':
      return `opened: ${event.data.title}${event.data.openDeps.length > 0 ? ` (waits for ${event.data.openDeps.join(', ')})` : ''}`
    case 'task.edited':
      return `edited: ${Object.keys(event.data).join(', ')}`
    case 'task.unblocked':
      return `no longer waits for ${event.data.dependencies.join(', ')}`
    case 'task.started':
      return `started on ${short(event.data.baseSha)}, branch ${event.data.branch}`
    case 'run.begun':
      return `${event.data.agent} begins attempt ${event.data.attempt} as ${event.data.role} (run ${event.data.runId})`
    case 'run.ended':
      return `${event.data.agent} ended as ${event.data.role}: ${outcomeText(event.data.outcome)}`
    case 'task.paused':
      return 'paused'
    case 'task.resumed':
      return 'resumed'
    case 'task.cancel_requested':
      return 'is being cancelled'
    case 'task.cancelled':
      return `cancelled by ${event.data.by}${event.data.why === undefined ? '' : `: ${event.data.why}`}`
    case 'task.done':
      return 'done'
    case 'task.answered':
      return 'got its answer'
    default:
      return progressSentence(event)
  }
}

function progressSentence(event: TaskEvent): string | null {
  switch (event.type) {
    case 'stage.entered':
    case 'step.queued':
    case 'step.begun':
    case 'change.intended':
    case 'merge.intended':
      return null
    case 'stage.judged':
      return judged(event)
    case 'stage.passed':
      return `passed ${event.data.stage} at ${short(event.data.sha)}`
    case 'task.sent_back':
      return event.data.from === event.data.to
        ? `has to do ${event.data.to} again: ${event.data.why}`
        : `goes back from ${event.data.from} to ${event.data.to}: ${event.data.why}`
    case 'task.waiting':
      return `waits for ${event.data.for}${event.data.until === null ? '' : ` until ${clockTime(event.data.until)}`}: ${event.data.why}`
    case 'task.held':
      return `needs a person (${event.data.reason.code}): ${event.data.reason.text}`
    case 'retry.counted':
      return `will be tried again (${event.data.budget}): ${event.data.why}`
    case 'task.retried':
      return 'is tried again with a fresh budget'
    case 'change.published':
      return `pushed ${short(event.data.sha)} to ${event.data.branch}`
    case 'merge.abandoned':
      return `was not merged: ${event.data.why}`
    case 'task.landed':
      return `landed as ${short(event.data.mergedSha)}`
    case 'task.approved':
      return `approved by ${event.data.by} at ${short(event.data.sha)}${event.data.covers.length > 0 ? ` (covers ${event.data.covers.join(', ')})` : ''}`
    default:
      return event.type
  }
}

function judged(event: Extract<TaskEvent, { type: 'stage.judged' }>): string | null {
  const open = event.data.verdicts.filter((verdict) => verdict.result !== 'pass')
  if (open.length === 0) return null
  return `${event.data.stage}: ${open.map((verdict) => `${verdict.gate} ${verdict.result} (${verdict.note})`).join('; ')}`
}

function otherSentence(event: RepositoryEvent | AccountEvent): string | null {
  switch (event.type) {
    case 'train.entered':
    case 'train.left':
    case 'account.charged':
    case 'account.failed':
    case 'account.canary_allowed':
      return null
    case 'account.limited':
      return `is at its limit until ${clockTime(event.data.until)}: ${event.data.reason}`
    case 'account.opened':
      return `fails run after run and is left alone until ${clockTime(event.data.until)}`
    case 'account.canary_begun':
      return `is tried again by run ${event.data.runId}`
    case 'account.recovered':
      return 'works again'
    default:
      return (event as { type: string }).type
  }
}

function outcomeText(outcome: RunOutcome): string {
  switch (outcome.kind) {
    case 'succeeded':
      return 'finished'
    case 'failed':
      return `${outcome.code}: ${outcome.text}`
    case 'cancelled':
      return `cancelled by ${outcome.by}`
    case 'timed-out':
    case 'stalled':
    case 'could-not-start':
    case 'lost':
      return `${outcome.kind}: ${outcome.text}`
    default:
      return outcome satisfies never
  }
}

const short = (sha: string): string => sha.slice(0, 10)
