// The checks of an agent that speaks the Agent Client Protocol. Each starts the agent anew: what one breaks costs no other.

import { sleep } from '../lib/process.ts'
import type { AcpLine } from './acp-lines.ts'
import { type AcpProcess, startAcpProcess } from './acp-process.ts'
import { AcpFailure } from './acp-failure.ts'
import { converse } from './acp-session.ts'
import { makeAcpParser } from './acp-stream.ts'
import type { RunSummary } from './agent.ts'
import type { Report, Trial } from './conformance-report.ts'
import type { Site } from './conformance-site.ts'
import { CANCEL_PROMPT, RESUME_PROMPT, seconds, tellWork, within, WORD, workPrompt } from './conformance-work.ts'
import { findAgentProcesses, signalProcess } from './process-tree.ts'

/** From the start to a session. */
const HANDSHAKE_LIMIT_MS = 60_000
const TURN_LIMIT_MS = 10 * 60_000
/** How soon an agent must answer a cancel, and end when it is told to. */
const END_LIMIT_MS = 5_000
const FIRST_TOOL_LIMIT_MS = 120_000

/** One conversation with an agent of its own. */
interface Talk {
  agent: AcpProcess
  lines: AcpLine[]
  /** When each line was said, ms. */
  times: number[]
  session: string | null
  /** The end of the conversation: true when it came to its end. */
  over: Promise<boolean>
}

interface Asked {
  prompt: string | null
  resume?: string
  limitMs: number
  stranger?: boolean
}

async function begin(site: Site, { prompt, resume, limitMs, stranger }: Asked): Promise<Talk> {
  const lines: AcpLine[] = []
  const times: number[] = []
  const say = (line: AcpLine): void => {
    lines.push(line)
    times.push(performance.now())
  }
  const start = stranger ? site.stranger : site.start
  const agent = await startAcpProcess({ ...start, leave: site.leave, stderr: 'keep', say })
  const talk: Talk = { agent, lines, times, session: null, over: Promise.resolve(false) }
  const onSession = (id: string): void => {
    talk.session = id
  }
  const late = setTimeout(() => {
    const at = talk.session === null ? 'initialize' : 'prompt'
    agent.connection.close(new AcpFailure(at, `no answer within ${limitMs / 1_000} s`))
  }, limitMs)
  const { connection, updates } = agent
  const stop = (): void => connection.close(new AcpFailure('prompt', 'the checks were stopped'))
  if (site.signal.aborted) stop()
  site.signal.addEventListener('abort', stop)
  const request = { prompt, model: null, resume: resume ?? null, leave: site.leave, env: start.env }
  talk.over = converse({ connection, updates, say, sleep, onSession }, request)
    .then(
      () => true,
      (error: unknown) => {
        updates.flush()
        say(error instanceof AcpFailure ? error.line : { type: 'error', at: 'prompt', code: null, text: String(error) })
        return false
      },
    )
    .finally(() => {
      clearTimeout(late)
      site.signal.removeEventListener('abort', stop)
    })
  return talk
}

/** What Orch would make of a conversation that is over. */
function summaryOf({ lines, agent }: Talk): RunSummary {
  const parser = makeAcpParser({ resumed: false, previousUsage: null, previousCostUsd: null })
  for (const line of lines) parser.push(JSON.stringify(line))
  return parser.end({ exitCode: 0, signal: null, stderrTail: agent.child.stderr() })
}

/** Whether the command answers `initialize`. Its input isn't closed: a plain command that reads it all would begin to work. */
export async function speaksAcp(site: Site): Promise<boolean> {
  const talk = await begin(site, { prompt: null, limitMs: HANDSHAKE_LIMIT_MS / 2 })
  await Promise.race([talk.over, untilSaid(talk, (line) => line.type === 'begin', HANDSHAKE_LIMIT_MS)])
  const speaks = talk.lines.some((line) => line.type === 'begin')
  talk.agent.connection.close(new Error('that was all'))
  await talk.agent.child.end(0)
  await site.sweep('after the first question')
  return speaks
}

async function untilSaid(talk: Talk, wanted: (line: AcpLine) => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs
  let over = false
  void talk.over.then(() => {
    over = true
  })
  while (!talk.lines.some(wanted) && !over && performance.now() < deadline) await sleep(20)
  return talk.lines.some(wanted)
}

/** All checks, those with a prompt only when they may. */
export async function checkAcp(site: Site, trial: Trial): Promise<void> {
  if (!(await checkHandshake(site, trial.report)) || site.signal.aborted) return
  await checkSigterm(site, trial.report)
  if (!trial.prompts) return
  for (const check of [checkWork, checkCancel, checkStranger]) {
    if (site.signal.aborted) return
    await check(site, trial.report)
  }
}

/** Ends a talk with all that it started. */
async function close(site: Site, talk: Talk, after: string): Promise<void> {
  await talk.agent.end()
  await site.sweep(after)
}

async function checkHandshake(site: Site, report: Report): Promise<boolean> {
  const startedAt = performance.now()
  const talk = await begin(site, { prompt: null, limitMs: HANDSHAKE_LIMIT_MS })
  const opened = await talk.over
  const first = talk.lines.find((line) => line.type === 'begin')
  const failure = opened ? null : summaryOf(talk).failure
  if (first?.type === 'begin' && first.protocol === 1) {
    const name = [first.agent ?? 'an agent without a name', first.version].filter((part) => part !== null).join(' ')
    report.ok('initialize', `${name}, protocol version ${first.protocol}`)
  } else {
    const said = talk.agent.child.stderr().trim().slice(-500)
    const text = `${failure?.text ?? 'no answer'}${said === '' ? '' : `; stderr ends: ${said}`}`
    report.fail('initialize', text, 'answer `initialize` on stdout with protocolVersion 1, one JSON message a line')
    await close(site, talk, 'after the handshake')
    return false
  }
  tellTalkOnStdout(talk, report)
  if (!opened) {
    const fix =
      failure?.code === 'auth'
        ? 'log in to the agent as it says, or set its key; a run sees the login only of agents that Orch knows, and keys of models'
        : 'answer `session/new` with a sessionId'
    report.fail('session', `${failure?.code}: ${failure?.text}`, fix)
    await close(site, talk, 'after the handshake')
    return false
  }
  const session = talk.lines.find((line) => line.type === 'session')
  const more =
    session?.type === 'session' ? `, model ${session.model ?? 'untold'}, mode ${session.mode ?? 'untold'}` : ''
  report.ok('session', `open ${seconds(performance.now() - startedAt)} after the start${more}`)
  await checkEndOfInput(talk, report)
  await close(site, talk, 'after the handshake')
  return true
}

function tellTalkOnStdout(talk: Talk, report: Report): void {
  const note = talk.lines.find((line) => line.type === 'note')
  if (note?.type === 'note')
    report.warn('stdout', note.text, 'write logs to stderr: stdout is for messages of the protocol alone')
}

async function checkEndOfInput(talk: Talk, report: Report): Promise<void> {
  const startedAt = performance.now()
  talk.agent.child.closeInput()
  const ended = await within(talk.agent.child.exited, END_LIMIT_MS)
  if (ended) report.ok('end of input', `it ended ${seconds(performance.now() - startedAt)} after its input`)
  else
    report.warn(
      'end of input',
      `it went on for ${END_LIMIT_MS / 1_000} s after the end of its input`,
      'end when stdin ends; Orch ends it otherwise, which costs each run some seconds',
    )
}

async function checkSigterm(site: Site, report: Report): Promise<void> {
  const talk = await begin(site, { prompt: null, limitMs: HANDSHAKE_LIMIT_MS })
  await talk.over
  const startedAt = performance.now()
  for (const pid of findAgentProcesses(talk.agent.child.pid)) signalProcess(pid, 'SIGTERM')
  const ended = await within(talk.agent.child.exited, END_LIMIT_MS)
  if (ended) report.ok('SIGTERM', `it ended ${seconds(performance.now() - startedAt)} after SIGTERM`)
  else
    report.warn(
      'SIGTERM',
      `it went on for ${END_LIMIT_MS / 1_000} s after SIGTERM`,
      'end on SIGTERM; Orch kills it otherwise, and what it had not written is lost',
    )
  await close(site, talk, 'after SIGTERM')
}

async function checkWork(site: Site, report: Report): Promise<void> {
  const talk = await begin(site, { prompt: workPrompt(site.handoff), limitMs: TURN_LIMIT_MS })
  const answered = await talk.over
  const summary = summaryOf(talk)
  if (!answered || summary.failure) {
    report.fail(
      'prompt answered',
      `${summary.failure?.code}: ${summary.failure?.text}`,
      'run the agent by itself with the same login, and see whether it answers',
    )
    await close(site, talk, 'after the work')
    return
  }
  report.ok('prompt answered', `the turn ended with end_turn`)
  tellUpdates(talk, report)
  await tellWork(site, report)
  tellPermissions(talk, site, report)
  tellUse(talk, summary, report)
  await close(site, talk, 'after the work')
  if (talk.session !== null) await checkResume(site, talk.session, report)
}

function tellUpdates({ lines, times }: Talk, report: Report): void {
  const at = lines.findIndex((line) => line.type === 'say' || line.type === 'tool' || line.type === 'thought')
  const early = at < 0 ? 0 : (times.at(-1) ?? 0) - (times[at] ?? 0)
  const tools = lines.filter((line) => line.type === 'tool' && line.state !== 'started').length
  if (at >= 0 && tools > 0)
    report.ok('updates', `the first came ${seconds(early)} before the end; ${tools} tools were told`)
  else
    report.warn(
      'updates',
      at < 0 ? 'it told nothing while it worked' : 'it told of no tool that it used',
      'send `session/update` for text and for each tool call with its end: people watch them',
    )
}

function tellPermissions({ lines }: Talk, site: Site, report: Report): void {
  const asked = lines.filter((line) => line.type === 'permission')
  const refused = asked.filter((line) => !line.allowed)
  const holds = site.leave.sandboxed ? "Orch's sandbox holds it" : 'there is no sandbox of Orch here'
  if (refused.length === 0) {
    report.ok('permissions', `it asked ${asked.length} times and was allowed each time; ${holds}`)
    return
  }
  const first = refused[0]
  report.warn(
    'permissions',
    `it was refused ${refused.length} of ${asked.length} times: ${first?.title} (${first?.why})`,
    'install bubblewrap: in a sandbox all is allowed',
  )
}

function tellUse({ lines }: Talk, { usage, costUsd }: RunSummary, report: Report): void {
  const tokens = usage.input + usage.cacheRead + usage.cacheWrite
  if (tokens + usage.output > 0) report.ok('tells its use', `${tokens} tokens in, ${usage.output} out`)
  else
    report.warn(
      'tells its use',
      'it told no tokens that count for the whole turn',
      'give `usage` with the answer to `session/prompt`; until then Orch shows none',
    )
  if (lines.some((line) => line.type === 'cost')) report.ok('tells its cost', `$${costUsd.toFixed(4)}`)
  else
    report.warn(
      'tells its cost',
      'it told no cost',
      'send `usage_update` with `cost` in USD; until then Orch shows none',
    )
}

async function checkResume(site: Site, session: string, report: Report): Promise<void> {
  const talk = await begin(site, { prompt: RESUME_PROMPT, resume: session, limitMs: TURN_LIMIT_MS })
  const answered = await talk.over
  const opened = talk.lines.find((line) => line.type === 'session')
  const resumed = opened?.type === 'session' && opened.resumed
  const said = talk.lines.map((line) => (line.type === 'say' ? line.text : '')).join(' ')
  const fix =
    'offer `session/load` or `session/resume`, and keep sessions below HOME; until then a retry begins a new session'
  if (!resumed) {
    const note = talk.lines.find((line) => line.type === 'note')
    report.warn('resume', note?.type === 'note' ? note.text : 'the session was not taken up', fix)
  } else if (answered && said.includes(WORD))
    report.ok('resume', 'a new process went on with the session and remembered')
  else
    report.warn('resume', `the session was taken up, but its answer was "${said.slice(0, 100)}" and not ${WORD}`, fix)
  await close(site, talk, 'after the resumed session')
}

async function checkCancel(site: Site, report: Report): Promise<void> {
  const talk = await begin(site, { prompt: CANCEL_PROMPT, limitMs: TURN_LIMIT_MS })
  const began = await untilSaid(talk, (line) => line.type === 'tool', FIRST_TOOL_LIMIT_MS)
  const startedAt = performance.now()
  if (talk.session !== null) talk.agent.connection.notify('session/cancel', { sessionId: talk.session })
  const answered = await within(talk.over, END_LIMIT_MS)
  const end = talk.lines.find((line) => line.type === 'end')
  const reason = end?.type === 'end' ? end.reason : null
  const when = began ? 'while a tool ran' : 'before it used a tool'
  if (answered && reason === 'cancelled')
    report.ok('cancel', `answered ${seconds(performance.now() - startedAt)} after it was asked, ${when}`)
  else if (answered && reason !== null)
    report.warn('cancel', `the turn was over before the cancel (${reason}), so nothing is known`, 'try again')
  else
    report.fail(
      'cancel',
      answered
        ? `it answered ${summaryOf(talk).failure?.text ?? 'nothing'}`
        : `no answer within ${END_LIMIT_MS / 1_000} s, ${when}`,
      'answer the prompt with stopReason "cancelled" as soon as `session/cancel` comes',
    )
  await close(site, talk, 'after the cancel')
}

/** Without a login: Orch must be able to tell that from a crash. */
async function checkStranger(site: Site, report: Report): Promise<void> {
  const talk = await begin(site, { prompt: RESUME_PROMPT, limitMs: TURN_LIMIT_MS / 5, stranger: true })
  const answered = await talk.over
  const { failure } = summaryOf(talk)
  if (failure && failure.code !== 'crash' && failure.code !== 'malformed-stream')
    report.ok('trouble has a name', `without a login it is told as ${failure.code}: ${failure.text.slice(0, 200)}`)
  else if (answered && !failure)
    report.warn(
      'trouble has a name',
      'without a login it answered all the same, so nothing is known',
      'break its login and look at what it says',
    )
  else
    report.warn(
      'trouble has a name',
      `without a login Orch can only tell a ${failure?.code}: ${failure?.text.slice(0, 300)}`,
      "answer with error -32000 (auth required), or put the HTTP status or the API's own type into the error",
    )
  await close(site, talk, 'without a login')
}
