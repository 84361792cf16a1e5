// Waiting for CI and people at the forge: the stage's gates look, and what has yet to be said is looked for again. Webhooks
// bring the news sooner (`look-again`); looking is what remains when none comes. Nothing is begun here and no base is
// fetched: a look costs what the forge's API takes and nothing else.

import { isTerminal } from '../core/lifecycle.ts'
import { stageOf } from '../core/pipeline.ts'
import type { Task } from '../core/task.ts'
import type { Finding, Judgement, Verdict } from '../core/verdict.ts'
import { waitsFor } from '../core/verdict.ts'
import type { RemoteForge } from '../drivers/driver.ts'
import type { AwaitInput } from '../gates/gate.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { heedClosed } from './closed-change.ts'
import { StepOver, StepTrouble } from './dispatch.ts'
import { makeInLine } from './in-line.ts'
import { noteLook } from './last-look.ts'
import { openFollowUps } from './follow-ups.ts'
import { readyChange } from './publish.ts'
import { openThreads } from './review-threads.ts'
import type { Handler, JobContext } from './worker.ts'

/** Right after a push CI is about to begin: 12 looks (C-17). Then a look only catches what no webhook told. */
const EAGER_LOOKS = 12
/** A person who has had a change for three days is reminded, once (issue 5). */
const REMIND_AFTER_MS = 3 * 24 * 3_600_000
/** Somebody's rights seldom change; a look need not ask for them each time. */
const TRUST_MS = 10 * 60_000

type AwaitDeps = Pick<
  Capabilities,
  'store' | 'now' | 'newId' | 'awaitGates' | 'remoteForgeOf' | 'trackerOf' | 'webhooksHealthy' | 'pollIntervals'
>

interface Look {
  task: Task
  project: Project
  forge: RemoteForge
  sha: string
  since: number
}

interface Known {
  trusted: boolean
  at: number
}

type IsTrusted = (login: string) => Promise<boolean>

export function makeAwaitHandler(deps: AwaitDeps): Handler {
  const trust = new Map<string, Known>()
  const inLine = makeInLine()
  const lookOnce = async (effect: { task: string; epoch: number }, context: JobContext): ReturnType<Handler> => {
    const look = prepare(deps, effect)
    const isTrusted = trustAt(deps, look, trust)
    const { verdicts, trouble } = await judgeAll(deps, look, isTrusted)
    // News has come meanwhile: what is to be said and done is the next look's to know.
    if (context.signal.aborted) throw new StepOver()
    // A red or unfinished CI is the agent's to mend and nobody's to read.
    if (verdicts.every(({ gate, result }) => gate === 'reviews' || result === 'pass'))
      await makeReady(deps, look, { isTrusted, context })
    const waiting = verdicts.filter((verdict) => verdict.result === 'wait')
    const isDecided = waiting.length === 0 || verdicts.some((verdict) => verdict.result === 'fail')
    if (isDecided) {
      await deps.store.putEvidence(verdicts.map((verdict) => evidenceOf(deps, look, verdict)))
      const { task, sha } = look
      if (task.policy?.change?.followUps && waiting.length === 0 && verdicts.every(({ result }) => result === 'pass'))
        await takeUp(deps, look, { isTrusted, context })
      return { type: 'judge-stage', task: task.id, epoch: effect.epoch, stage: task.stage, sha, verdicts }
    }
    await tell(deps, context, { look, epoch: effect.epoch, waiting, trouble })
    await remind(deps, look, waiting)
    return { again: nextLook(deps, look) }
  }
  return async (job, context) => {
    const { effect } = job
    if (effect.kind !== 'await') throw new Error(`no waiting: ${effect.kind}`)
    // News makes a new step while the look before may still be under way.
    return inLine(effect.task, () => lookOnce(effect, context))
  }
}

/** What was said and asked for nothing now. */
async function takeUp(
  deps: AwaitDeps,
  { task, project, forge }: Look,
  at: { isTrusted: IsTrusted; context: JobContext },
): Promise<void> {
  const threads = await openThreads(await forge.listThreads(task.id), at.isTrusted)
  await openFollowUps(deps, { task, project, forge, threads }, at.context.submit)
}

function prepare(deps: AwaitDeps, effect: { task: string; epoch: number }): Look {
  const { store } = deps
  const task = store.getTask(effect.task)?.state
  const project = store.listProjects().find((one) => one.id === task?.project)
  if (!task || !project || isTerminal(task.status) || task.paused) throw new StepOver()
  if (task.epoch !== effect.epoch || task.step?.kind !== 'await') throw new StepOver()
  const forge = deps.remoteForgeOf(project)
  if (!forge) {
    const text = `stage ${task.stage} waits for a forge's CI and reviews, and project ${project.id} has no forge; see \`orch project add\``
    throw new StepTrouble({ class: 'hold', code: 'no-forge', text })
  }
  return { task, project, forge, sha: task.step.sha, since: task.step.since }
}

/** Whether somebody may write to the repository; asked anew after a while. */
function trustAt(deps: AwaitDeps, { project, forge }: Look, known: Map<string, Known>): IsTrusted {
  return async (login) => {
    const key = `${project.id}/${login}`
    const before = known.get(key)
    if (before && deps.now() - before.at < TRUST_MS) return before.trusted
    const trusted = (await forge.trustOf(login)) !== 'none'
    known.set(key, { trusted, at: deps.now() })
    return trusted
  }
}

/** Once for each head: from here on people are asked. */
async function makeReady(
  deps: AwaitDeps,
  look: Look,
  { isTrusted, context }: { isTrusted: IsTrusted; context: JobContext },
): Promise<void> {
  const { store, now } = deps
  const { task, project, forge, sha } = look
  const mark = { project: project.id, what: `ready:${task.id}` }
  const change = store.getChange(task.id)
  if (!change || change.head !== sha || store.mark(mark) === sha) return
  await heedClosed(deps, { ...look, context })
  await forge.ensureChange(readyChange(task, project, change))
  await replyToThreads(deps, look, isTrusted)
  await store.putMark({ ...mark, value: sha, at: now() })
}

/**
 * Whoever asked for something is told where it was answered: those whose last words were among the findings that this head
 * mends. What was said since is news, and a thread that somebody went on with is theirs to close.
 */
async function replyToThreads({ store }: AwaitDeps, { task, forge, sha }: Look, isTrusted: IsTrusted): Promise<void> {
  if (task.attempts.code === 0) return
  const back = store.listEvents({ task: task.id }).findLast(({ type }) => type === 'task.sent_back')
  const findings = (back?.data['findings'] ?? []) as Finding[]
  for (const { id, comments } of await openThreads(await forge.listThreads(task.id), isTrusted)) {
    const said = comments.at(-1)?.body ?? ''
    if (said === '' || !findings.some(({ gate, text }) => gate === 'review' && text.includes(said))) continue
    const body = `Addressed in ${sha.slice(0, 10)}; please look again.`
    await forge.ensureReply(task.id, { thread: id, key: `addressed-${id}-${sha.slice(0, 12)}`, body })
  }
}

/** `trouble`: why the forge could not be asked all of it. */
async function judgeAll(
  deps: AwaitDeps,
  look: Look,
  isTrusted: IsTrusted,
): Promise<{ verdicts: Verdict[]; trouble: string | null }> {
  const { task, forge, sha, since } = look
  const input: AwaitInput = {
    headSha: sha,
    since,
    now: deps.now(),
    forge: {
      checks: () => forge.checksOf(sha),
      reviews: () => forge.listReviews(task.id),
      threads: async () => openThreads(await forge.listThreads(task.id), isTrusted),
      isTrusted,
    },
  }
  const verdicts: Verdict[] = []
  let trouble: string | null = null
  for (const name of task.policy ? (stageOf(task.policy.pipeline, task.stage)?.gates ?? []) : []) {
    if (name !== 'ci' && name !== 'reviews') continue
    const { judgement, away } = await collect(deps, name, input)
    trouble ??= away
    verdicts.push({ ...judgement, gate: name, stage: task.stage, sha, configHash: task.policy?.configHash ?? '' })
  }
  return { verdicts, trouble }
}

/** A forge out of reach has said nothing yet: that is waited out, and no repeat of the task is spent on it. */
async function collect(
  deps: AwaitDeps,
  name: 'ci' | 'reviews',
  input: AwaitInput,
): Promise<{ judgement: Judgement; away: string | null }> {
  try {
    return { judgement: await deps.awaitGates[name].collect(input), away: null }
  } catch (error) {
    const passes = ['unreachable', 'timed-out', 'rate-limited', 'conflict']
    if (!(error instanceof ExternalError) || !passes.includes(error.kind)) throw error
    return { judgement: waitsFor(name === 'ci' ? 'ci' : 'review', error.message), away: error.message }
  }
}

async function tell(
  deps: AwaitDeps,
  context: JobContext,
  at: { look: Look; epoch: number; waiting: Verdict[]; trouble: string | null },
): Promise<void> {
  const { look, epoch, waiting, trouble } = at
  const { task, sha } = look
  const known = task.waitingFor === 'ci' || task.waitingFor === 'review' ? task.waitingFor : null
  const found = waiting.some((verdict) => verdict.waitFor === 'ci') ? 'ci' : 'review'
  // What it waits for stays what it waits for while nobody can say otherwise.
  const what = (trouble === null ? null : known) ?? found
  const why = waiting.map((verdict) => `${verdict.gate}: ${verdict.note}`).join('; ')
  const told = await context.submit({ type: 'wait-outside', task: task.id, epoch, for: what, why })
  if (!told.ok) throw new StepOver()
  await noteLook(deps.store, { task, sha, why, trouble, now: deps.now() })
}

/** Once for each head, and only when people alone are waited for. */
async function remind(deps: AwaitDeps, { task, forge, sha, since }: Look, waiting: Verdict[]): Promise<void> {
  if (deps.now() - since < REMIND_AFTER_MS || waiting.some((verdict) => verdict.waitFor === 'ci')) return
  const body = `This change has been waiting for a review since ${new Date(since).toISOString().slice(0, 10)}. Could somebody have a look?`
  await forge.ensureComment(task.id, { key: `reminder-${sha.slice(0, 12)}`, body, role: null })
}

function nextLook(deps: AwaitDeps, { project, since }: Look): number {
  const now = deps.now()
  const { ciMs, healthyMs, unhealthyMs } = deps.pollIntervals()
  if (now - since < EAGER_LOOKS * ciMs) return now + ciMs
  return now + (deps.webhooksHealthy(project.forge?.driver ?? '') ? healthyMs : unhealthyMs)
}

function evidenceOf(deps: AwaitDeps, { task, project }: Look, verdict: Verdict) {
  const { gate, stage, sha, configHash, result, note, findings } = verdict
  const facts = { tree: null, environmentId: null, at: deps.now(), data: { note, findings } }
  return { id: deps.newId(), task: task.id, project: project.id, gate, stage, sha, configHash, result, ...facts }
}
