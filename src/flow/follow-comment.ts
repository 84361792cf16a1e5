// A comment at an issue or a change: commands that somebody with rights gives by it. Each comment is obeyed once, whoever
// delivers it how often; a bot's or Orch's own is never (the ancestor once took an agent's words for a command).

import type { TrackerSettings } from '../config/config.ts'
import { isTerminal } from '../core/lifecycle.ts'
import type { Command } from '../core/messages.ts'
import type { Task } from '../core/task.ts'
import { explain } from '../core/why.ts'
import type { IssueComment, Sign } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { type CommentCommand, type COMMENT_VERBS, readCommands } from './comment-commands.ts'
import type { Engine } from './engine.ts'
import { becauseOf } from './journal-facts.ts'
import { iso } from './views.ts'

/** Where a comment stands and can be answered: an issue, or a change. */
export interface CommentPlace {
  trustOf(login: string): Promise<boolean>
  reply(answer: { key: string; body: string }): Promise<unknown>
  sign(comment: string, sign: Sign): Promise<boolean>
}

export interface CommentDeps extends Pick<Capabilities, 'store' | 'now' | 'adapters'> {
  engine: Engine
}

export interface OnComment {
  project: Project
  /** Of the issue or the change; null when there is none. */
  task: string | null
  comment: IssueComment
  settings: TrackerSettings
  place: CommentPlace
  cause: string
}

/** What came of a comment, as a sentence for the audit. */
export async function followComment(deps: CommentDeps, on: OnComment): Promise<string> {
  const { project, task: id, comment, settings, place } = on
  const obeys = settings.commands ?? project.tracker?.driver !== 'plane'
  const commands = readCommands(comment.body)
  if (commands.length === 0) return 'no command in it'
  if (!obeys) return 'commands in comments are switched off here (tracker.commands)'
  if (comment.author.isBot || comment.isOwn) return 'a bot’s own words are no command'
  if (id === null || !deps.store.getTask(id)) return 'there is no task for it'
  if (!(await place.trustOf(comment.author.login))) {
    await place.sign(comment.id, 'refused')
    return `${comment.author.login} may not give commands here`
  }
  const what = `comment:${comment.id}`
  if (deps.store.mark({ project: project.id, what }) !== null) return 'it was obeyed before'
  const answers: Answer[] = []
  for (const [index, command] of commands.entries())
    answers.push(await obey(deps, { on, id, command, key: `${what}/${index}` }))
  const isRefused = answers.some(({ refused }) => refused)
  const signed = await place.sign(comment.id, isRefused ? 'refused' : 'done')
  // Said in words where something is to be said, or where the vendor has no sign.
  const said = answers.flatMap(({ text }) => (text === null ? [] : [text])).join('\n\n')
  if (said !== '' || !signed) await place.reply({ key: what, body: said || 'Done.' })
  await deps.store.putMark({ project: project.id, what, value: String(comment.updatedAt), at: deps.now() })
  return `${comment.author.login}: ${commands.map((one) => (one.ok ? one.verb : 'unreadable')).join(', ')}`
}

interface Answer {
  /** Null when it was done and nothing need be said. */
  text: string | null
  refused: boolean
}

async function obey(
  deps: CommentDeps,
  at: { on: OnComment; id: string; command: CommentCommand; key: string },
): Promise<Answer> {
  const { on, id, command, key } = at
  if (!command.ok) return refusal(`I can't follow this: ${command.problem}.`)
  if (command.verb === 'help') return { text: helpText(), refused: false }
  if (command.verb === 'why') return { text: whyText(deps, id), refused: false }
  const asked = commandOf(deps, { id, command, writtenAt: on.comment.createdAt })
  if (typeof asked === 'string') return refusal(asked)
  const { login } = on.comment.author
  const submitted = await deps.engine.submit(asked, {
    actor: { kind: 'person', name: login },
    cause: on.cause,
    correlation: key,
    idempotencyKey: key,
  })
  if (submitted.ok || submitted.because !== 'refused') return { text: null, refused: false }
  return refusal(`\`/orch ${command.verb}\`: ${submitted.refusal.text}`)
}

const refusal = (text: string): Answer => ({ text, refused: true })

function commandOf(
  { store, adapters }: CommentDeps,
  at: { id: string; command: Extract<CommentCommand, { ok: true }>; writtenAt: number },
): Command | string {
  const { id, writtenAt } = at
  const { verb, text } = at.command
  const task = store.getTask(id)?.state
  if (!task) return `There is no task ${id} any more.`
  switch (verb) {
    case 'retry':
      return { type: 'retry', task: id, parallel: task.policy?.limits.parallel ?? task.parallel }
    case 'stop':
      return { type: 'cancel', task: id }
    case 'pause':
    case 'resume':
      return { type: verb, task: id }
    case 'approve': {
      const named = /^[0-9a-f]{7,40}$/i.exec(text)?.[0]?.toLowerCase()
      const sha = named ?? task.headSha
      // A comment that comes late (its delivery was lost) must not say yes to a head that nobody saw then (S8).
      if (named === undefined && headSince(store, task) > writtenAt)
        return `The head has changed since you wrote that; it is now ${task.headSha?.slice(0, 10)}. Look at it and approve again.`
      return { type: 'approve', task: id, ...(sha ? { sha } : {}) }
    }
    case 'reject':
      return { type: 'reject', task: id, reason: text }
    case 'answer':
      return { type: 'answer', task: id, text }
    case 'reroute': {
      const agent = text.split(/\s/, 1)[0]?.toLowerCase() ?? ''
      if (Object.hasOwn(adapters, agent)) return { type: 'reroute', task: id, agent }
      return `I know no agent \`${agent.slice(0, 40)}\`; there are ${Object.keys(adapters).join(', ')}.`
    }
    case 'why':
    case 'help':
      throw new Error(`${verb} is no command of the engine`)
    default:
      return verb satisfies never
  }
}

/** When the present head was first shown: pushed, or else come out of its run. */
function headSince(store: CommentDeps['store'], task: Task): number {
  const shown = store
    .listEvents({ task: task.id })
    .filter(
      ({ type, data }) =>
        (type === 'change.published' && data['sha'] === task.headSha) ||
        (type === 'run.ended' && data['headSha'] === task.headSha),
    )
  const published = shown.find(({ type }) => type === 'change.published')
  return (published ?? shown[0])?.at ?? 0
}

function helpText(): string {
  const lines: Record<(typeof COMMENT_VERBS)[number], string> = {
    retry: 'try again, with a fresh budget',
    stop: 'cancel the task',
    pause: 'start nothing new for it',
    resume: 'go on',
    approve: 'yes to the present head',
    reject: 'send it back; say what to change',
    answer: 'answer what the agent asked',
    reroute: 'let another agent write it, such as `/orch reroute codex`',
    why: 'where it is and whose move it is',
    help: 'this',
  }
  return Object.entries(lines)
    .map(([verb, text]) => `- \`/orch ${verb}\`: ${text}`)
    .join('\n')
}

function whyText({ store, now }: CommentDeps, id: string): string {
  const task = store.getTask(id)?.state
  if (!task) return `There is no task ${id} any more.`
  const facts = { serviceRunning: true, liveRun: null, because: becauseOf(store, task), now: now(), time: iso }
  const { because, owner } = explain(task, facts)
  const whose = isTerminal(task.status) ? '' : ` Whose move: ${owner}.`
  return `${id} is ${task.status.replace('_', ' ')} at ${task.stage}. ${because}${whose}`
}
