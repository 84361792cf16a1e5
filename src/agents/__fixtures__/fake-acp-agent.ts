// An agent on the protocol's own library, as others are: what it does stands as JSON steps in its prompt's ```acp block,
// what it is like in its arguments; the conformance prompts it understands as they are. Its sessions are files below HOME,
// each with what it has cost and the word it was given.
// Options: --protocol N --exit N --mute --chatty --auth --key --modes --models --no-load --resume --deaf-input --deaf-term

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import {
  agent,
  type AgentContext,
  ndJsonStream,
  type PermissionOption,
  RequestError,
  type SessionUpdate,
  type ToolKind,
} from '@agentclientprotocol/sdk'
import { runProcess } from '../../lib/process.ts'

type Step =
  | { say: string }
  | { think: string }
  | { plan: string[] }
  | { write: { path: string; content: string } }
  | { run: string }
  | { ask: { kind: ToolKind; path?: string; only?: string } }
  /** A request that no client of ours offers. */
  | { beg: string }
  | { cost: number }
  | { usage: Record<string, number> }
  | { quota: Record<string, number> }
  | { stop: string }
  | { fail: { code: number; message: string; data?: unknown } }
  | { exit: number }
  | { print: string }
  | { hang: true | 'deaf' }

const has = (name: string): boolean => process.argv.includes(`--${name}`)
const value = (name: string): string | undefined => process.argv[process.argv.indexOf(`--${name}`) + 1]
const sessions = join(process.env['HOME'] ?? '.', '.fake')
const asks = has('asks')
let cancelled = false
let mode = has('modes') ? 'read-only' : 'default'
let model = 'fake-small'
let calls = 0

if (has('exit')) {
  console.error('fake agent: nothing works today')
  process.exit(Number(value('exit')))
}
if (has('chatty')) console.log('Welcome to the fake agent!')
if (has('deaf-term')) process.on('SIGTERM', () => undefined)
if (has('deaf-input')) setInterval(() => undefined, 60_000)

const OPTIONS: PermissionOption[] = [
  { optionId: 'yes-for-ever', name: 'Always', kind: 'allow_always' },
  { optionId: 'yes', name: 'Once', kind: 'allow_once' },
  { optionId: 'no', name: 'No', kind: 'reject_once' },
]

interface Turn {
  client: AgentContext
  sessionId: string
  update(update: SessionUpdate): Promise<void>
}

/** Asks for leave; gives the option that was taken. */
async function ask(
  turn: Turn,
  call: { title: string; kind: ToolKind; path?: string | undefined; only?: string | undefined },
): Promise<string> {
  const { title, kind, path, only } = call
  const { outcome } = await turn.client.request('session/request_permission', {
    sessionId: turn.sessionId,
    toolCall: { toolCallId: `call-${calls}`, title, kind, ...(path ? { locations: [{ path }] } : {}) },
    options: only ? OPTIONS.filter((option) => option.kind === only) : OPTIONS,
  })
  return outcome.outcome === 'selected' ? outcome.optionId : outcome.outcome
}

async function tool(
  turn: Turn,
  call: { title: string; kind: ToolKind; path?: string },
  work: () => Promise<string | null>,
): Promise<void> {
  calls += 1
  const toolCallId = `call-${calls}`
  await turn.update({ sessionUpdate: 'tool_call', toolCallId, title: call.kind, kind: call.kind, status: 'pending' })
  const allowed = mode !== 'read-only' && (!asks || (await ask(turn, call)).startsWith('yes'))
  if (allowed)
    await turn.update({ sessionUpdate: 'tool_call_update', toolCallId, title: call.title, status: 'in_progress' })
  const text = allowed ? await work() : null
  const content = [{ type: 'content' as const, content: { type: 'text' as const, text: text ?? 'refused' } }]
  await turn.update({
    sessionUpdate: 'tool_call_update',
    toolCallId,
    status: text === null ? 'failed' : 'completed',
    content,
  })
}

async function run(command: string): Promise<string | null> {
  const env = Object.fromEntries(Object.entries(process.env).map(([name, text]) => [name, text ?? '']))
  const result = await runProcess({ argv: ['sh', '-c', command], env, timeoutMs: 60_000 })
  return result.exitCode === 0 ? result.stdout : null
}

async function say(turn: Turn, text: string): Promise<void> {
  // In pieces, as models speak.
  for (const part of text.match(/[\s\S]{1,7}/g) ?? [])
    await turn.update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: part } })
}

async function take(turn: Turn, step: Step): Promise<Record<string, unknown>> {
  if ('say' in step) await say(turn, step.say)
  else if ('think' in step)
    await turn.update({ sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text: step.think } })
  else if ('plan' in step) {
    const entries = step.plan.map((content, at) => ({
      content,
      priority: 'medium' as const,
      status: at === 0 ? ('completed' as const) : ('pending' as const),
    }))
    await turn.update({ sessionUpdate: 'plan', entries })
  } else if ('write' in step) {
    const { path, content } = step.write
    await tool(turn, { title: `write ${path}`, kind: 'edit', path }, async () => {
      writeFileSync(path, content)
      return 'written'
    })
  } else if ('run' in step) await tool(turn, { title: step.run, kind: 'execute' }, () => run(step.run))
  else if ('ask' in step) {
    calls += 1
    const { kind, path, only } = step.ask
    await say(turn, `asked for ${kind}: ${await ask(turn, { title: `may I ${kind}`, kind, path, only })}\n\n`)
  } else if ('beg' in step) {
    const answer = await turn.client.request(step.beg, { sessionId: turn.sessionId }).then(
      () => 'given',
      (error: unknown) => String((error as { code?: number }).code),
    )
    await say(turn, `begged for ${step.beg}: ${answer}\n\n`)
  } else if ('cost' in step) await spend(turn, step.cost)
  else if ('usage' in step) return { usage: step.usage }
  else if ('quota' in step) return { _meta: { quota: { token_count: step.quota } } }
  else if ('stop' in step) return { stopReason: step.stop }
  else if ('fail' in step) throw new RequestError(step.fail.code, step.fail.message, step.fail.data)
  else if ('exit' in step) process.exit(step.exit)
  else if ('print' in step) process.stdout.write(`${step.print}\n`)
  else if ('hang' in step) await hang(turn, step.hang)
  return {}
}

async function hang(turn: Turn, how: true | 'deaf'): Promise<void> {
  await turn.update({
    sessionUpdate: 'tool_call',
    toolCallId: 'hang',
    title: 'tail -f /dev/null',
    kind: 'execute',
    status: 'in_progress',
  })
  // A session of its own, as real agents start their tools.
  spawn(process.execPath, ['-e', 'setInterval(() => undefined, 60_000)'], { detached: true, stdio: 'ignore' }).unref()
  while (!cancelled || how === 'deaf') await new Promise((resolve) => setTimeout(resolve, 10))
}

/** What the prompts of the conformance checks ask for, as steps. */
function stepsOf(text: string, sessionId: string): Step[] {
  const block = /^```acp\n([\s\S]*?)^```/m.exec(text)?.[1]
  if (block !== undefined) return JSON.parse(block) as Step[]
  const word = /only content is the word (\w+)/.exec(text)?.[1]
  const [, handoff = '', content = ''] =
    /file (\S+handoff\.md) with exactly this content:\n\n([\s\S]*?)\n\nThen/.exec(text) ?? []
  if (text.includes('Run this shell command')) return [{ hang: has('deaf-cancel') ? 'deaf' : true }]
  if (text.includes('Which word')) {
    if (has('auth') || has('lost')) return [{ fail: { code: -32603, message: 'Internal error' } }]
    return [{ say: read(sessionId).word ?? 'no word' }]
  }
  if (word === undefined) return [{ say: 'nothing was asked' }]
  save(sessionId, { costUsd: 0, word })
  return [
    { say: 'I begin.' },
    { write: { path: 'conformance.txt', content: has('wrong') ? 'wrong' : word } },
    ...(has('lazy') ? [] : [{ run: 'git add conformance.txt && git commit -qm "Add conformance.txt"' }]),
    { write: { path: handoff, content } },
    { cost: 0.01 },
    { usage: { inputTokens: 10, outputTokens: 2 } },
  ]
}

interface Kept {
  costUsd: number
  word?: string
}

const fileOf = (id: string): string => join(sessions, `${id}.json`)

function save(id: string, kept: Kept): void {
  mkdirSync(sessions, { recursive: true })
  writeFileSync(fileOf(id), JSON.stringify(kept))
}

function read(id: string): Kept {
  return JSON.parse(readFileSync(fileOf(id), 'utf8')) as Kept
}

async function spend(turn: Turn, amount: number): Promise<void> {
  const kept = read(turn.sessionId)
  const total = kept.costUsd + amount
  save(turn.sessionId, { ...kept, costUsd: total })
  await turn.update({ sessionUpdate: 'usage_update', used: 10, size: 100, cost: { amount: total, currency: 'USD' } })
}

function offers() {
  return {
    ...(has('modes')
      ? {
          modes: {
            currentModeId: mode,
            availableModes: ['read-only', 'auto', 'full-access'].map((id) => ({ id, name: id })),
          },
        }
      : {}),
    ...(has('models')
      ? {
          configOptions: [
            {
              id: 'model',
              name: 'Model',
              category: 'model',
              type: 'select' as const,
              currentValue: model,
              options: ['fake-small', 'vendor/fake-big'].map((id) => ({ value: id, name: id })),
            },
          ],
        }
      : {}),
  }
}

/** Takes up a session, or says that it has none such. */
function reopen(sessionId: string) {
  if (!existsSync(fileOf(sessionId))) throw RequestError.resourceNotFound(sessionId)
  return offers()
}

const app = agent({ name: 'fake' })
  .onRequest('initialize', () =>
    has('mute')
      ? new Promise(() => undefined)
      : {
          protocolVersion: Number(value('protocol') && has('protocol') ? value('protocol') : 1),
          agentInfo: { name: 'fake', version: '0.1.0' },
          agentCapabilities: {
            loadSession: !has('no-load') && !has('resume'),
            sessionCapabilities: has('resume') ? { resume: {} } : {},
          },
          authMethods: has('key') ? [{ id: 'fake-api-key', name: 'Key' }] : [{ id: 'browser', name: 'Browser' }],
        },
  )
  .onRequest('authenticate', () => {
    process.env['FAKE_LOGGED_IN'] = 'yes'
    return {}
  })
  .onRequest('session/new', () => {
    if (has('auth') && !process.env['FAKE_LOGGED_IN']) throw RequestError.authRequired()
    const sessionId = `fake-${process.pid}-${Date.now()}`
    save(sessionId, { costUsd: 0 })
    return { sessionId, ...offers() }
  })
  .onRequest('session/load', async ({ params, client }) => {
    const answer = reopen(params.sessionId)
    const update: SessionUpdate = {
      sessionUpdate: 'agent_message_chunk',
      content: { type: 'text', text: 'said long ago' },
    }
    await client.notify('session/update', { sessionId: params.sessionId, update })
    // Part of the history comes after the answer, as gemini does it.
    setTimeout(() => void client.notify('session/update', { sessionId: params.sessionId, update }), 50)
    return answer
  })
  .onRequest('session/resume', ({ params }) => reopen(params.sessionId))
  .onRequest('session/set_mode', ({ params }) => {
    mode = params.modeId
    return {}
  })
  .onRequest('session/set_config_option', ({ params }) => {
    if (!['fake-small', 'vendor/fake-big'].includes(String(params.value))) throw RequestError.invalidParams()
    model = String(params.value)
    return { configOptions: [] }
  })
  .onNotification('session/cancel', () => {
    cancelled = true
  })
  .onRequest('session/prompt', async ({ params, client }) => {
    const { sessionId } = params
    const turn: Turn = { client, sessionId, update: (update) => client.notify('session/update', { sessionId, update }) }
    const text = params.prompt.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
    let result: Record<string, unknown> = { stopReason: 'end_turn' }
    for (const step of stepsOf(text, sessionId)) result = { ...result, ...(await take(turn, step)) }
    return (cancelled ? { stopReason: 'cancelled' } : result) as { stopReason: 'end_turn' }
  })

const connection = app.connect(
  ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>),
)
await connection.closed
if (!has('deaf-input')) process.exit(0)
