// The real Claude Code CLI through the runner and its adapter, against a scripted model server on loopback.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findContainments, makeTestRuns, PATH, survivorsOf, untilSaid } from '../../src/agents/__fixtures__/runs.ts'
import type { RunReport, RunSpec } from '../../src/agents/agent.ts'
import { claudeAdapter } from '../../src/agents/claude.ts'
import { runFiles } from '../../src/agents/run-files.ts'
import { ensureInstalled, type Installed } from './install.ts'
import { type ModelServer, startModelServer } from './model-server.ts'
import { saveTranscript } from './transcripts.ts'

const runs = makeTestRuns()
const { runner, runsDir } = runs
let installed: Installed
let server: ModelServer
const containment = (await findContainments()).includes('bwrap') ? 'bwrap' : 'none'

beforeAll(async () => {
  installed = await ensureInstalled()
  server = await startModelServer(installed.aimock)
})
afterAll(async () => {
  await server?.stop()
  await runs.close()
})

interface Play {
  script: string
  attempt?: number
  resume?: { sessionId: string; costUsd: number }
  timeLimitMs?: number
  model?: string
  sandboxed?: boolean
}

const place = (name: string): string => join(runsDir, name)

/** Starts one run of the CLI on a prompt made as Orch makes it. */
async function start({
  script,
  attempt = 1,
  resume,
  timeLimitMs = 60_000,
  model,
  sandboxed = true,
}: Play): Promise<RunSpec> {
  for (const name of ['workspace', 'handoff', 'config', 'home']) mkdirSync(place(name), { recursive: true })
  const userEnv = {
    HOME: place('home'),
    PATH,
    ANTHROPIC_BASE_URL: server.url,
    ANTHROPIC_API_KEY: 'sk-ant-scripted',
    CLAUDE_CODE_MAX_RETRIES: '1',
  }
  const command = claudeAdapter.command({
    program: {},
    path: installed.claude,
    model: model ?? null,
    effort: null,
    resume: resume?.sessionId ?? null,
    configDir: place('config'),
    sandboxed,
    env: userEnv,
  })
  const header = `Orch-Task: T-1\nOrch-Stage: develop\nOrch-Role: developer\nOrch-Attempt: ${attempt}\nOrch-Handoff: ${place('handoff')}\n`
  const wrapped = runs.spec('', { in: containment })
  const spec: RunSpec = {
    ...wrapped,
    agent: 'claude',
    resumed: resume !== undefined,
    previousCostUsd: resume?.costUsd ?? null,
    file: containment === 'none' ? command.file : wrapped.file,
    args: containment === 'none' ? command.args : [...wrapped.args.slice(0, -2), command.file, ...command.args],
    env: { HOME: place('home'), PATH, TMPDIR: place('home'), ...command.env },
    cwd: place('workspace'),
    prompt: `${header}\nDo the task.\n\n\`\`\`model-script\n${script}\n\`\`\`\n`,
    timeLimitMs,
    graceMs: 5_000,
  }
  await runner.start(spec)
  return spec
}

/** Plays a run to its end; its transcript is kept under `name` when there is one. */
async function play(name: string | null, request: Play): Promise<RunReport> {
  const spec = await start(request)
  const report = await runner.wait(spec.runId)
  expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  if (name === null) return report
  const places = { runs: runsDir, programs: join(installed.claude, '../../../..') }
  saveTranscript(name, runFiles(runner.dir(spec.runId)).output, places)
  return report
}

test('it is found, with its version, and told to be logged in or not', async () => {
  const env = { PATH, HOME: place('nobody') }
  expect(await claudeAdapter.find({ bin: installed.claude }, env)).toMatchObject({ version: '2.1.329', loggedIn: 'no' })
  expect(await claudeAdapter.find({ bin: installed.claude }, { ...env, ANTHROPIC_API_KEY: 'x' })).toMatchObject({
    loggedIn: 'yes',
  })
})

test('success: writes a file and its handoff; the same session resumed is counted once', async () => {
  const script = `develop:
  - - write: {path: ${place('workspace')}/greeting.txt, content: "hello\\n"}
    - bash: "echo more >> greeting.txt"
  - - bash: "echo again >> greeting.txt; false"`
  const first = await play('success', { script })
  expect(first).toMatchObject({ outcome: { kind: 'succeeded' }, usage: { input: 4_000, output: 400 } })
  expect(first.costUsd).toBeGreaterThan(0)
  expect(readFileSync(join(place('workspace'), 'greeting.txt'), 'utf8')).toBe('hello\nmore\n')
  expect(readFileSync(join(place('handoff'), 'handoff.md'), 'utf8')).toContain('status: done')
  const session = { sessionId: first.sessionId ?? '', costUsd: first.costUsd }
  const second = await play('resumed', { script, attempt: 2, resume: session })
  expect(second).toMatchObject({
    outcome: { kind: 'succeeded' },
    sessionId: first.sessionId,
    usage: { input: 3_000, output: 300 },
  })
  // Three answers against four, whatever the session's total says.
  expect(second.costUsd).toBeCloseTo((first.costUsd * 3) / 4, 6)
})

test.each([
  [401, 'auth'],
  [403, 'auth'],
  [404, 'model-unavailable'],
  [429, 'rate-limit'],
  [500, 'overload'],
  [529, 'overload'],
])('the API answers %i: %s', async (status, code) => {
  const report = await play(`api-${status}`, { script: `develop: [[{answer: ${status}, retryAfterSeconds: 1}]]` })
  expect(report.outcome).toMatchObject({ kind: 'failed', code, exitCode: 1 })
  expect(report.costUsd).toBe(0)
})

test('a prompt that is too long', async () => {
  const script = 'develop: [[{answer: 400, text: "prompt is too long: 210000 tokens > 200000 maximum"}]]'
  expect((await play('too-long', { script })).outcome).toMatchObject({ kind: 'failed', code: 'context-overflow' })
})

test('a session whose files are gone: the run starts afresh', async () => {
  const resume = { sessionId: '11111111-1111-4111-8111-111111111111', costUsd: 0 }
  const report = await play(null, { script: 'develop: [[{say: hi}]]', resume })
  expect(report.outcome).toEqual({ kind: 'succeeded' })
  expect(report.sessionId).not.toBe(resume.sessionId)
})

test('a hang past the time limit', async () => {
  const report = await play('hang', { script: 'develop: [[{hang: true}]]', timeLimitMs: 5_000 })
  expect(report.outcome.kind).toBe('timed-out')
  expect(report.endedAt - report.startedAt).toBeLessThan(15_000)
})

test('a cancel in flight leaves no orphan', async () => {
  const spec = await start({ script: 'develop: [[{hang: true}]]' })
  await untilSaid(runner, spec.runId, 'tail -s')
  const before = performance.now()
  await runner.stop(spec.runId, 'ann')
  expect(performance.now() - before).toBeLessThan(10_000)
  expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'cancelled', by: 'ann' })
})

test('without a sandbox of ours, what it was not allowed is told', async () => {
  const script = `develop: [[{write: {path: ${place('workspace')}/plain.txt, content: x}}, {bash: "git --version"}]]`
  const report = await play('unsandboxed', { script, sandboxed: false })
  expect(report.outcome).toEqual({ kind: 'succeeded' })
  expect(existsSync(join(place('workspace'), 'plain.txt'))).toBe(true)
})
