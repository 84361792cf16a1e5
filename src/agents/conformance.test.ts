// The conformance checks on an agent of the protocol's own library and on shell commands, in the sandbox there is.

import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeSandbox } from '../workspace/sandbox.ts'
import type { Sandbox } from '../workspace/workspace.ts'
import { makeAdapters } from './adapters.ts'
import { PATH } from './__fixtures__/runs.ts'
import { type ConformanceRequest, type ConformanceResult, makeConformance } from './conformance.ts'

const FAKE = fileURLToPath(new URL('./__fixtures__/fake-acp-agent.ts', import.meta.url))
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-conformance-test-')))
const temporary = process.env['TMPDIR']
let sandbox: Sandbox
beforeAll(async () => {
  // What the checks leave behind would be found here.
  process.env['TMPDIR'] = root
  sandbox = await probeSandbox({ PATH, HOME: root })
})
afterAll(() => {
  if (temporary === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = temporary
  rmSync(root, { recursive: true, force: true })
})

async function conform(
  command: string,
  options: Partial<ConformanceRequest> & { env?: Record<string, string> } = {},
): Promise<ConformanceResult & { by: (name: string) => string | undefined; seen: string[] }> {
  const { env = {}, ...rest } = options
  // The fake's library is the repository's.
  const wrap: Sandbox['wrap'] = (request) =>
    sandbox.wrap({ ...request, readable: [...request.readable, REPOSITORY], writable: [...request.writable] })
  const check = makeConformance({
    env: { PATH, HOME: root, ...env },
    sandbox: { ...sandbox, wrap },
    environment: (runtime) => ({ PATH, HOME: join(runtime, 'home'), TMPDIR: join(runtime, 'tmp') }),
    adapters: makeAdapters({ scripted: ['', ''], acp: [process.execPath, '/orch/acp-agent'] }),
  })
  const seen: string[] = []
  const result = await check({
    command,
    protocol: null,
    prompts: true,
    onCheck: ({ name }) => seen.push(name),
    signal: new AbortController().signal,
    ...rest,
  })
  expect(readdirSync(root).filter((name) => name.startsWith('orch-conformance-'))).toEqual([])
  expect(seen).toEqual(result.checks.map(({ name }) => name))
  for (const { status, fix } of result.checks) expect(fix === null).toBe(status === 'ok')
  return { ...result, seen, by: (name) => result.checks.find((one) => one.name === name)?.status }
}

const fake = (like = ''): string => `${process.execPath} ${FAKE} ${like}`.trim()

test('an agent that does all that is asked of it passes every check', async () => {
  const { protocol, checks } = await conform(fake('--asks'))
  expect(protocol).toBe('acp')
  // Without a login it answers all the same, being no real one.
  expect(checks.filter(({ status }) => status !== 'ok').map(({ name }) => name)).toEqual(['trouble has a name'])
  expect(checks.map(({ name }) => name)).toEqual([
    'found',
    'initialize',
    'session',
    'end of input',
    'SIGTERM',
    'prompt answered',
    'updates',
    'writes a file',
    'commits',
    'writes a handoff',
    'permissions',
    'tells its use',
    'tells its cost',
    'resume',
    'cancel',
    'trouble has a name',
    'nothing left',
  ])
})

test('each thing that an agent does not do is told by its name, with what to do', async () => {
  const { by } = await conform(fake('--wrong --lazy --no-load --deaf-cancel --deaf-input --deaf-term --chatty'))
  expect(by('stdout')).toBe('warning')
  expect(by('end of input')).toBe('warning')
  expect(by('SIGTERM')).toBe('warning')
  expect(by('prompt answered')).toBe('ok')
  expect(by('writes a file')).toBe('failed')
  expect(by('commits')).toBe('failed')
  expect(by('writes a handoff')).toBe('ok')
  expect(by('resume')).toBe('warning')
  expect(by('cancel')).toBe('failed')
})

test('without prompts nothing is asked of it that costs', async () => {
  const { seen, by } = await conform(fake(), { prompts: false })
  expect(seen).toEqual(['found', 'initialize', 'session', 'end of input', 'SIGTERM', 'nothing left'])
  expect(by('session')).toBe('ok')
})

test('a login that is missing is named, and nothing is tried after it', async () => {
  const { checks, by } = await conform(fake('--auth'))
  expect(by('session')).toBe('failed')
  expect(checks.find(({ name }) => name === 'session')?.text).toMatch(/^auth: /)
  expect(by('prompt answered')).toBeUndefined()
})

test('trouble that an agent gives no name is a warning, one with a name is fine', async () => {
  const env = { FAKE_API_KEY: 'k' }
  expect((await conform(fake('--auth --key'), { env })).by('trouble has a name')).toBe('ok')
  expect((await conform(fake('--lost'))).by('trouble has a name')).toBe('warning')
}, 60_000)

test.each([
  ['speaks another version', '--protocol 7'],
  ['ends at once', '--mute --exit 3'],
])('an agent that %s fails its first check', async (_, like) => {
  const { by, seen } = await conform(fake(like), { protocol: 'acp' })
  expect(by('initialize')).toBe('failed')
  expect(seen.at(-1)).toBe('nothing left')
})

test('a command that speaks no ACP is tried as a plain one, unasked only when nobody said which it is', async () => {
  const script = join(root, 'agent.sh')
  writeFileSync(
    script,
    `#!/bin/sh
test -n "$ORCH_HANDOFF" || exit 9
prompt=$(cat)
case "$prompt" in
*"Run this shell command"*) exec tail -s 5 -f /dev/null ;;
esac
echo working
printf 'heliotrope\\n' > conformance.txt
git add conformance.txt && git commit -qm "Add conformance.txt"
printf -- '---\\nstatus: done\\nsummary: x\\ntests: []\\n---\\n' > "$ORCH_HANDOFF/handoff.md"
`,
    { mode: 0o755 },
  )
  const asked = await conform(script, { protocol: 'command' })
  expect(asked.protocol).toBe('command')
  expect(asked.seen).toEqual([
    'found',
    'prompt answered',
    'output',
    'writes a file',
    'commits',
    'writes a handoff',
    'SIGTERM',
    'nothing left',
  ])
  expect(asked.checks.filter(({ status }) => status !== 'ok')).toEqual([])
  const failing = await conform('false', { protocol: 'command' })
  expect(failing.by('prompt answered')).toBe('failed')
  expect(failing.by('output')).toBe('warning')
  const unasked = await conform('true', { prompts: false })
  expect(unasked).toMatchObject({ protocol: 'command' })
  expect(unasked.by('protocol')).toBe('warning')
})

test('a program that is not there is wrong use', async () => {
  await expect(conform('no-such-agent acp')).rejects.toMatchObject({ exit: 6, code: 'agent-missing' })
})

test('a stop ends what is under way', async () => {
  const stop = new AbortController()
  const onCheck = ({ name }: { name: string }): void => {
    if (name === 'initialize') stop.abort()
  }
  const check = conform(fake(), { signal: stop.signal, onCheck }).catch((error: unknown) => error)
  // The names it compares were taken by the handler above.
  await check
  expect(readdirSync(root).filter((name) => name.startsWith('orch-conformance-'))).toEqual([])
})
