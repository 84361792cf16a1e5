// The ACP adapter with the program it starts, against an agent on the protocol's own library.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { findContainments, makeTestRuns, PATH, survivorsOf, untilSaid } from './__fixtures__/runs.ts'
import { isSameProcessAlive } from '../lib/process-identity.ts'
import { sleep } from '../lib/process.ts'
import { makeAcpAdapter } from './acp.ts'
import { AcpFailure } from './acp-failure.ts'
import { keepGeminiSession } from './acp-gemini.ts'
import type { AcpLine } from './acp-lines.ts'
import { startAcpProcess } from './acp-process.ts'
import { converse } from './acp-session.ts'
import { describeAgent } from './agent.contract.ts'
import type { AgentRequest, RunReport, RunSpec } from './agent.ts'
import { claudeAdapter } from './claude.ts'
import { identifyDescendants } from './process-tree.ts'
import { runFiles } from './run-files.ts'

const FAKE = fileURLToPath(new URL('./__fixtures__/fake-acp-agent.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('./acp-agent.ts', import.meta.url))
const runs = makeTestRuns()
const root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-acp-')))
afterAll(async () => {
  await runs.close()
  rmSync(root, { recursive: true, force: true })
})
const adapter = makeAcpAdapter([process.execPath, PROGRAM], [claudeAdapter])
const contained = (await findContainments()).includes('bwrap')

interface Play {
  /** What the fake agent is like. */
  like?: string
  steps: unknown[]
  configDir?: string
  resume?: { sessionId: string | null; costUsd: number }
  model?: string
  sandboxed?: boolean
  env?: Record<string, string>
  graceMs?: number
}

interface Played {
  spec: RunSpec
  workspace: string
}

let serial = 0

function requestOf(play: Play, configDir: string): AgentRequest {
  const command = `${process.execPath} ${FAKE} ${play.like ?? ''}`.trim()
  return {
    program: { command },
    path: process.execPath,
    model: play.model ?? null,
    effort: null,
    resume: play.resume?.sessionId ?? null,
    configDir,
    sandboxed: play.sandboxed ?? true,
    env: { PATH, ...play.env },
  }
}

async function start(play: Play): Promise<Played> {
  serial += 1
  const place = (name: string): string => {
    const folder = join(root, String(serial), name)
    mkdirSync(folder, { recursive: true })
    return folder
  }
  const workspace = place('workspace')
  const { file, args, env } = adapter.command(requestOf(play, play.configDir ?? place('config')))
  const steps = JSON.stringify(play.steps).replaceAll('WORKSPACE', workspace)
  const spec: RunSpec = {
    ...runs.spec(''),
    agent: 'acp',
    resumed: play.resume !== undefined,
    previousCostUsd: play.resume?.costUsd ?? null,
    file,
    args,
    env: { PATH, TMPDIR: place('tmp'), ORCH_HANDOFF: place('handoff'), ...env },
    cwd: workspace,
    prompt: `Orch-Task: T-1\n\nDo it.\n\n\`\`\`acp\n${steps}\n\`\`\`\n`,
    timeLimitMs: 60_000,
    stallMs: 60_000,
    graceMs: play.graceMs ?? 20_000,
  }
  await runs.runner.start(spec)
  return { spec, workspace }
}

async function play(request: Play): Promise<RunReport & { lines: AcpLine[]; workspace: string }> {
  const { spec, workspace } = await start(request)
  const report = await runs.runner.wait(spec.runId)
  expect(await survivorsOf(runs.runner.dir(spec.runId))).toEqual([])
  return { ...report, lines: linesOf(spec.runId), workspace }
}

function linesOf(runId: string): AcpLine[] {
  const text = readFileSync(runFiles(runs.runner.dir(runId)).output, 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AcpLine)
}

const GOOD: AcpLine[] = [
  { type: 'begin', format: 1, agent: 'fake', version: '0.1.0', protocol: 1 },
  { type: 'session', id: 's-1', resumed: false, model: 'm', mode: null, costUsd: null },
  { type: 'say', text: 'Hello' },
  { type: 'tool', name: 'edit', detail: 'a.txt', state: 'started' },
  { type: 'tool', name: 'edit', detail: 'written', state: 'ok' },
  { type: 'end', reason: 'end_turn' },
]
describeAgent({ adapter, goodRun: GOOD.map((line) => JSON.stringify(line)), speaks: true })

describe('a run', () => {
  test('work, words, a plan and what it used, each said once and in order', async () => {
    const steps = [
      { plan: ['think', 'write'] },
      { think: 'hm' },
      { say: 'First words.\n\nMore words' },
      { write: { path: 'WORKSPACE/a.txt', content: 'hi' } },
      { run: 'false' },
      { cost: 0.5 },
      { usage: { inputTokens: 5, outputTokens: 7, cachedReadTokens: 2, cachedWriteTokens: 1, thoughtTokens: 3 } },
    ]
    const report = await play({ steps })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(report).toMatchObject({ sessionId: expect.stringContaining('fake-'), costUsd: 0.5 })
    expect(report.usage).toEqual({ input: 5, output: 10, cacheRead: 2, cacheWrite: 1 })
    expect(readFileSync(join(report.workspace, 'a.txt'), 'utf8')).toBe('hi')
    const said = report.lines.map((line) =>
      'text' in line ? line.text : 'detail' in line ? `${line.detail} ${line.state}` : line.type,
    )
    expect(said).toEqual([
      'begin',
      'session',
      '[x] think\n[ ] write',
      'hm',
      'First words.',
      'More words',
      expect.stringMatching(/^write .*a\.txt started$/),
      'written ok',
      'false started',
      'refused failed',
      'cost',
      'usage',
      'end',
    ])
  })

  test("what gemini tells of a turn's use is read as well", async () => {
    const report = await play({ steps: [{ quota: { input_tokens: 30, output_tokens: 4 } }] })
    expect(report.usage).toEqual({ input: 30, output: 4, cacheRead: 0, cacheWrite: 0 })
  })

  test.each(['', '--resume'])(
    'a session is taken up again, its past neither said nor counted twice: %s',
    async (like) => {
      const configDir = join(root, `resumed${like}`)
      const first = await play({ steps: [{ cost: 0.5 }], configDir, like })
      const resume = { sessionId: first.sessionId, costUsd: first.costUsd }
      const second = await play({
        steps: [{ say: 'on we go' }, { run: 'sleep 0.5' }, { cost: 0.25 }],
        configDir,
        like,
        resume,
      })
      expect(second.outcome).toEqual({ kind: 'succeeded' })
      expect(second).toMatchObject({ sessionId: first.sessionId, costUsd: 0.25 })
      expect(second.lines.filter((line) => line.type === 'say')).toEqual([{ type: 'say', text: 'on we go' }])
    },
  )

  test.each(['', '--no-load'])('a session that is gone, or can not be taken up, is begun anew: %s', async (like) => {
    const report = await play({ steps: [{ cost: 0.25 }], like, resume: { sessionId: 'gone', costUsd: 0.1 } })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(report.sessionId).not.toBe('gone')
    expect(report.costUsd).toBe(0.25)
    expect(report.lines).toContainEqual({ type: 'note', text: expect.stringContaining('a new one is begun') })
  })
})

test("a session of gemini's is put out of the way of the record it would be overwritten by", () => {
  const home = join(root, 'gemini-home')
  const chats = join(home, '.gemini/tmp/shop/chats')
  mkdirSync(chats, { recursive: true })
  const id = '1e680a7f-4813-43cb-b84f-8feb356301b9'
  const name = (minute: string, of = '1e680a7f'): string => `session-2026-11-21T10-${minute}-${of}.jsonl`
  for (const file of [name('14'), name('14', 'aaaaaaaa')]) writeFileSync(join(chats, file), file)
  keepGeminiSession(home, id)
  const kept = 'session-2000-01-01T00-00-1e680a7f.jsonl'
  expect(readdirSync(chats).toSorted()).toEqual([kept, name('14', 'aaaaaaaa')])
  expect(readFileSync(join(chats, kept), 'utf8')).toBe(name('14'))
  // Beside the record of a later run it is in nobody's way.
  writeFileSync(join(chats, name('15')), '')
  keepGeminiSession(home, id)
  expect(readFileSync(join(chats, kept), 'utf8')).toBe(name('14'))
  expect(() => keepGeminiSession(join(root, 'no-such-home'), id)).not.toThrow()
})

describe('what an agent lets one choose', () => {
  test('a model is chosen by its id or by what stands behind its vendor, and one that is not there is told', async () => {
    const chosen = await play({ steps: [], like: '--models', model: 'fake-big' })
    expect(chosen).toMatchObject({ outcome: { kind: 'succeeded' }, model: 'vendor/fake-big' })
    const missing = await play({ steps: [], like: '--models', model: 'huge' })
    expect(missing.outcome).toMatchObject({ kind: 'failed', code: 'model-unavailable' })
    expect(missing.outcome).toMatchObject({ text: expect.stringContaining('fake-small, vendor/fake-big') })
    const deaf = await play({ steps: [], model: 'any' })
    expect(deaf.outcome).toEqual({ kind: 'succeeded' })
    expect(deaf.lines).toContainEqual({ type: 'note', text: expect.stringContaining('not with any') })
  })

  test('an agent that starts read-only is set to write: fully in our sandbox, by its own means without', async () => {
    const steps = [{ run: 'true' }]
    const inside = await play({ steps, like: '--modes' })
    expect(inside.lines).toContainEqual(expect.objectContaining({ type: 'session', mode: 'full-access' }))
    const outside = await play({ steps, like: '--modes', sandboxed: false })
    expect(outside.lines).toContainEqual(expect.objectContaining({ type: 'session', mode: 'auto' }))
    for (const { lines } of [inside, outside]) expect(lines).toContainEqual(expect.objectContaining({ state: 'ok' }))
  })
})

describe('permissions', () => {
  test('in our sandbox all is allowed, once', async () => {
    const steps = [
      { ask: { kind: 'fetch' } },
      { ask: { kind: 'edit', path: '/etc/passwd' } },
      { write: { path: 'WORKSPACE/a', content: '' } },
    ]
    const { lines, workspace } = await play({ steps, like: '--asks' })
    expect(lines.filter((line) => line.type === 'permission').map((line) => line.allowed)).toEqual([true, true, true])
    expect(existsSync(join(workspace, 'a'))).toBe(true)
  })

  test('without it: work in the places of the run, nothing else, and what was refused is told', async () => {
    const kinds = [
      { kind: 'edit', path: 'WORKSPACE/sub/a' },
      { kind: 'execute' },
      { kind: 'edit', path: '/etc/passwd' },
      { kind: 'edit', path: 'WORKSPACE/../out' },
      { kind: 'fetch' },
      { kind: 'other' },
    ]
    const { spec } = await start({ steps: kinds.map((ask) => ({ ask })), sandboxed: false })
    const report = await runs.runner.wait(spec.runId)
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    const answers = linesOf(spec.runId).filter((line) => line.type === 'permission')
    expect(answers.map((line) => line.allowed)).toEqual([true, true, false, false, false, false])
    const events = []
    for await (const event of runs.runner.stream(spec.runId, { from: 'start', raw: false })) events.push(event)
    expect(events.filter((event) => event.type === 'error')).toHaveLength(4)
    expect(events).toContainEqual({
      type: 'error',
      code: 'permission',
      text: expect.stringContaining('/etc/passwd is outside'),
    })
  })

  test('for ever is taken only where once is not offered, and nothing is taken that does not fit', async () => {
    const asks = [undefined, 'allow_always', 'reject_once'].map((only) => ({ ask: { kind: 'execute', only } }))
    const { lines } = await play({ steps: asks })
    expect(lines.filter((line) => line.type === 'permission').map((line) => line.allowed)).toEqual([true, true, false])
    const said = lines.flatMap((line) => (line.type === 'say' ? [line.text.replace('asked for execute: ', '')] : []))
    expect(said).toEqual(['yes', 'yes-for-ever', 'cancelled'])
  })

  test('what no client of ours offers is answered, not left waiting', async () => {
    const { lines, outcome } = await play({ steps: [{ beg: 'fs/read_text_file' }, { beg: 'terminal/create' }] })
    expect(outcome).toEqual({ kind: 'succeeded' })
    expect(lines.filter((line) => line.type === 'say').map((line) => line.text)).toEqual([
      'begged for fs/read_text_file: -32601',
      'begged for terminal/create: -32601',
    ])
  })
})

describe('trouble', () => {
  test.each([
    ['ends before it says a word', '--mute --exit 3', [], 'crash', 'nothing works today'],
    ['ends in the middle', '', [{ say: 'so' }, { exit: 5 }], 'crash', 'exit code 5'],
    [
      'breaks off in a message',
      '',
      [{ print: '{"jsonrpc":"2.0","me' }, { hang: true }],
      'malformed-stream',
      'breaks off',
    ],
    ['speaks another version', '--protocol 7', [], 'malformed-stream', 'version 7'],
    ['needs a login', '--auth', [], 'auth', 'login'],
    ['refuses', '', [{ stop: 'refusal' }], 'permission', 'refused'],
    ['has no tokens left', '', [{ stop: 'max_tokens' }], 'context-overflow', 'max_tokens'],
    ['has no turns left', '', [{ stop: 'max_turn_requests' }], 'waiting-for-input', 'max_turn_requests'],
    ['says it was cancelled', '', [{ stop: 'cancelled' }], 'crash', 'cancelled'],
    ['ends with a word of its own', '', [{ stop: 'enough' }], 'malformed-stream', 'enough'],
    ['has an error', '', [{ fail: { code: 429, message: 'slow down' } }], 'rate-limit', 'slow down'],
  ])('an agent that %s: %s', async (_, like, steps, code, words) => {
    const { outcome } = await play({ like, steps })
    expect(outcome).toMatchObject({ kind: 'failed', code, text: expect.stringContaining(words) })
  })

  test('a program that is not there', async () => {
    const { file, args, env } = adapter.command({
      ...requestOf({ steps: [] }, join(root, 'none')),
      program: { command: 'no-such-agent-here acp' },
      path: '',
    })
    const spec = { ...runs.spec(''), agent: 'acp', file, args, env: { PATH, ...env } }
    await runs.runner.start(spec)
    expect((await runs.runner.wait(spec.runId)).outcome).toMatchObject({ kind: 'failed', code: 'missing-tool' })
  })

  test('a login by a key that is there is made; talk on stdout is no failure', async () => {
    const like = '--auth --key --chatty'
    const { outcome, lines } = await play({ like, steps: [{ say: 'in' }], env: { FAKE_API_KEY: 'k' } })
    expect(outcome).toEqual({ kind: 'succeeded' })
    expect(lines[0]).toEqual({ type: 'note', text: expect.stringContaining('Welcome') })
    expect((await play({ like, steps: [{ say: 'in' }] })).outcome).toMatchObject({ kind: 'failed', code: 'auth' })
  })
})

test('an agent that is ended takes along what it started in sessions of its own, nobody else seeing to it', async () => {
  const said: AcpLine[] = []
  const home = join(root, 'alone')
  mkdirSync(home)
  const env = { PATH, HOME: home }
  const leave = { sandboxed: true, cwd: home, places: [home] }
  const argv: [string, string] = [process.execPath, FAKE]
  const agent = await startAcpProcess({ argv, env, leave, stderr: 'keep', say: (line) => said.push(line) })
  const { connection, updates } = agent
  const prompt = '```acp\n[{"hang":true}]\n```\n'
  const talk = { connection, updates, say: () => undefined, sleep, onSession: () => undefined }
  const over = converse(talk, { prompt, model: null, resume: null, leave, env }).catch((error: unknown) => error)
  await expect.poll(() => said.filter((line) => line.type === 'tool'), { timeout: 20_000 }).toHaveLength(1)
  await expect.poll(() => identifyDescendants(agent.child.pid), { timeout: 20_000 }).toHaveLength(1)
  const below = identifyDescendants(agent.child.pid)
  await agent.end()
  expect(await over).toBeInstanceOf(AcpFailure)
  await expect.poll(() => below.filter((one) => isSameProcessAlive(one)), { timeout: 20_000 }).toEqual([])
})

describe('the end', () => {
  test.each(['', '--deaf-input --deaf-term'])('a run that is over leaves nobody: agent %s', async (like) => {
    expect((await play({ steps: [{ say: 'done' }], like })).outcome).toEqual({ kind: 'succeeded' })
  })

  test.each([
    ['a turn that ends when it is asked to', [{ hang: true }], ''],
    ['a turn that does not', [{ hang: 'deaf' }], '--deaf-input --deaf-term'],
    ['an agent that never answers', [], '--mute'],
  ])('a stop ends %s, with its tools, before it is killed', async (_, steps, like) => {
    const { spec } = await start({ steps, like })
    if (steps.length > 0) await untilSaid(runs.runner, spec.runId, 'tail -f')
    await runs.runner.stop(spec.runId, 'ann')
    const report = await runs.runner.wait(spec.runId)
    expect(report.outcome).toEqual({ kind: 'cancelled', by: 'ann' })
    expect(await survivorsOf(runs.runner.dir(spec.runId))).toEqual([])
    if (steps.length > 0) expect(report.sessionId).toContain('fake-')
    const ends = linesOf(spec.runId).map((line) => line.type)
    if (like === '') expect(ends.at(-1)).toBe('end')
    // The program ended by itself: had it been killed, it would have said nothing of it.
    else if (steps.length > 0) expect(ends.at(-1)).toBe('error')
  })
})

test.skipIf(!contained)(
  `in a sandbox that hides HOME it starts and works${contained ? '' : ' (skipped: no bubblewrap)'}`,
  async () => {
    const { probeSandbox } = await import('../workspace/sandbox.ts')
    const env = { PATH, HOME: root }
    const sandbox = await probeSandbox(env)
    const { file, args, ...command } = adapter.command(requestOf({ steps: [] }, join(root, 'hidden-config')))
    const workspace = join(root, 'hidden-workspace')
    for (const folder of ['hidden-config', 'hidden-workspace']) mkdirSync(join(root, folder))
    const wrapped = sandbox.wrap({
      argv: [file, ...args],
      cwd: workspace,
      env: { PATH, ...command.env },
      writable: [workspace, join(root, 'hidden-config')],
      // The fake's library is the repository's.
      readable: [...command.reads, join(dirname(FAKE), '../../../node_modules')],
      network: false,
    })
    const spec = {
      ...runs.spec(''),
      agent: 'acp',
      ...wrapped,
      cwd: workspace,
      prompt: '```acp\n[{"run":"ls -d ~/.."}]\n```\n',
    }
    await runs.runner.start(spec)
    expect((await runs.runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
  },
)
