import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { PATH, SCRIPTED } from './__fixtures__/runs.ts'
import { describeAgent } from './agent.contract.ts'
import type { RunSummary } from './agent.ts'
import { makeScriptedAdapter } from './scripted.ts'
import { readHeader, readScript } from './scripted-script.ts'

const root = mkdtempSync(join(tmpdir(), 'orch-scripted-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const adapter = makeScriptedAdapter([process.execPath, SCRIPTED])
const identity = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
}

describeAgent({
  adapter,
  goodRun: [
    '{"type":"start","session":"s","model":"scripted"}',
    '{"type":"say","text":"hello"}',
    '{"type":"usage","input":1,"output":2,"cacheRead":0,"cacheWrite":0,"costUsd":0}',
    '{"type":"end"}',
  ],
  speaks: true,
})

interface Done {
  summary: RunSummary
  handoff: string | null
  workspace: string
  said: string[]
}

/** Runs the scripted agent itself on a prompt in a fresh git repository. */
async function play(script: string, at: { stage?: string; role?: string; attempt?: number } = {}): Promise<Done> {
  const folder = mkdtempSync(join(root, 'run-'))
  const workspace = join(folder, 'workspace')
  const handoff = join(folder, 'handoff')
  mkdirSync(workspace)
  mkdirSync(handoff)
  const env = { PATH, HOME: folder, ...identity }
  for (const argv of [
    ['git', 'init', '-q'],
    ['git', 'commit', '-q', '--allow-empty', '-m', 'base'],
  ] as const)
    await runProcess({ argv, cwd: workspace, env, timeoutMs: 10_000 })
  const { stage = 'develop', role = 'developer', attempt = 1 } = at
  const header = `Orch-Task: T-1\nOrch-Stage: ${stage}\nOrch-Role: ${role}\nOrch-Attempt: ${attempt}\nOrch-Handoff: ${handoff}\n`
  const { args } = adapter.command({
    program: {},
    path: SCRIPTED,
    model: null,
    effort: null,
    resume: null,
    configDir: folder,
    sandboxed: true,
    env,
  })
  const result = await runProcess({
    argv: [process.execPath, ...args],
    cwd: workspace,
    env,
    input: `${header}\n${script}`,
    timeoutMs: 10_000,
  })
  const parser = adapter.parser({ resumed: false, previousUsage: null, previousCostUsd: null })
  const events = result.stdout.split('\n').flatMap((line) => parser.push(line))
  const summary = parser.end({ exitCode: result.exitCode, signal: result.signal, stderrTail: result.stderr })
  return {
    summary,
    handoff: readText(join(handoff, 'handoff.md')),
    workspace,
    said: events.flatMap((event) => (event.type === 'message' ? [event.text] : [])),
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

const block = (yaml: string): string => `some words\n\`\`\`script\n${yaml}\n\`\`\`\nmore words\n`

test('steps change files, run commands and commit; the handoff says done', async () => {
  const done = await play(
    block(`develop:
  - - write: {path: src/a.txt, content: "one\\n"}
    - append: {path: src/a.txt, content: "two\\n"}
    - run: cp src/a.txt src/b.txt
    - delete: src/a.txt
    - say: nearly there
    - commit: add b`),
  )
  expect(done.summary.failure).toBeNull()
  expect(done.summary.usage.input).toBeGreaterThan(0)
  expect(done.said).toEqual(['nearly there'])
  expect(readText(join(done.workspace, 'src/b.txt'))).toBe('one\ntwo\n')
  expect(readText(join(done.workspace, 'src/a.txt'))).toBeNull()
  expect(done.handoff).toMatch(/^---\nstatus: done\n/)
  const log = await runProcess({
    argv: ['git', 'log', '-1', '--format=%s'],
    cwd: done.workspace,
    env: { PATH },
    timeoutMs: 5_000,
  })
  expect(log.stdout).toBe('add b\n')
})

test('each attempt has its own steps and the last one repeats', async () => {
  const script = block('develop:\n  - - say: first\n  - - say: second')
  expect((await play(script)).said).toEqual(['first'])
  expect((await play(script, { attempt: 2 })).said).toEqual(['second'])
  expect((await play(script, { attempt: 7 })).said).toEqual(['second'])
})

test('a reviewer approves the head it sees, or says what the script says', async () => {
  const approved = await play(block('develop:\n  - - say: x'), { stage: 'review', role: 'reviewer' })
  const head = await runProcess({
    argv: ['git', 'rev-parse', 'HEAD'],
    cwd: approved.workspace,
    env: { PATH },
    timeoutMs: 5_000,
  })
  expect(approved.handoff).toContain(`verdict: approve\nfindings: []\nsha: ${head.stdout.trim()}`)
  const script = block('review:\n  - - handoff: {verdict: request_changes, findings: [{severity: P1, text: no tests}]}')
  expect((await play(script, { stage: 'review', role: 'reviewer' })).handoff).toMatch(
    /request_changes[\s\S]*no tests[\s\S]*sha: [0-9a-f]{40}/,
  )
})

test.each([
  ['no-handoff: true', null],
  ['handoff: {raw: "not a handoff"}', 'not a handoff'],
])('the handoff can be left out or be anything: %s', async (step, expected) => {
  expect((await play(block(`develop:\n  - - ${step}`))).handoff).toBe(expected)
})

test.each([
  ['run: "false"', 'crash'],
  ['exit: 4', 'crash'],
  ['crash', 'crash'],
  ['invalid-json: true', 'malformed-stream'],
  ['error: {code: rate-limit, retryAfterMs: 5000}', 'rate-limit'],
  ['error: {code: auth}', 'auth'],
  ['exit: 0', 'malformed-stream'],
])('failing on purpose: %s', async (step, code) => {
  const { summary } = await play(block(`develop:\n  - - ${step}`))
  expect(summary.failure).toMatchObject({ code, ...(code === 'rate-limit' ? { retryAfterMs: 5_000 } : {}) })
})

test.each([
  ['no block at all', 'no ```script block'],
  [block('develop: [[{write: {pfad: x}}]]'), 'develop.0.0'],
  [block('develop: ['), 'not valid YAML'],
])('a task it can do nothing with is refused (%#)', async (body, problem) => {
  const { summary } = await play(body)
  expect(summary.failure?.text).toContain(problem)
})

test('a stage without a script only hands off', async () => {
  const done = await play(block('other:\n  - - say: x'))
  expect(done.said).toEqual(['nothing is scripted for stage develop'])
  expect(done.handoff).toContain('status: done')
})

test('the header counts only as the first lines', () => {
  expect(
    readHeader('x\nOrch-Task: A-1\nOrch-Stage: develop\nOrch-Role: d\nOrch-Attempt: 1\nOrch-Handoff: /h\n'),
  ).toBeNull()
  const header = readHeader('Orch-Task: A-1\nOrch-Stage: develop\nOrch-Role: d\nOrch-Attempt: 2\nOrch-Handoff: /h\n')
  expect(header).toEqual({ task: 'A-1', stage: 'develop', role: 'd', attempt: 2, handoff: '/h' })
  if (header)
    expect(readScript(block('develop: [[hang], [crash]]'), header)).toMatchObject({
      ok: true,
      steps: [{ crash: true }],
    })
})
