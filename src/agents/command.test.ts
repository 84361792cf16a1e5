import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeTestRuns, PATH } from './__fixtures__/runs.ts'
import { describeAgent } from './agent.contract.ts'
import { commandAdapter } from './command.ts'

const root = mkdtempSync(join(tmpdir(), 'orch-command-'))
const runs = makeTestRuns()
afterAll(async () => {
  await runs.close()
  rmSync(root, { recursive: true, force: true })
})

describeAgent({ adapter: commandAdapter, goodRun: ['working', 'done'], speaks: false })

const request = {
  path: '/bin/sh',
  model: null,
  effort: null,
  resume: null,
  configDir: root,
  sandboxed: true,
  env: { PATH },
}

test('a command runs by the shell; what it names by absolute path must be readable', () => {
  const script = join(root, 'agent.py')
  writeFileSync(script, '')
  const command = commandAdapter.command({
    ...request,
    program: { command: `X=1 env python3 ${script} --log=${root} /no/such/file` },
  })
  expect(command).toMatchObject({ file: '/bin/sh', args: ['-c', expect.stringContaining('python3')] })
  expect(command.reads).toEqual(expect.arrayContaining([script, root]))
  expect(command.reads).not.toContain('/no/such/file')
  expect(command.reads.some((path) => path.endsWith('/env'))).toBe(true)
})

test('a program runs as it is', () => {
  expect(commandAdapter.command({ ...request, path: '/bin/cat', program: { bin: 'cat' } })).toMatchObject({
    file: '/bin/cat',
    args: [],
  })
})

test('it is found only when the project says what to run', async () => {
  expect(await commandAdapter.find({}, { PATH })).toBeNull()
  expect(await commandAdapter.find({ bin: 'no-such-program' }, { PATH })).toBeNull()
  expect(await commandAdapter.find({ command: 'my-agent' }, { PATH })).toMatchObject({ note: 'runs: my-agent' })
  expect(await commandAdapter.find({ bin: 'cat' }, { PATH })).toMatchObject({ path: expect.stringContaining('/cat') })
  // Finding a program never runs it: `touch --version` would tell one.
  expect(await commandAdapter.find({ bin: 'touch' }, { PATH })).toMatchObject({ version: null })
})

test('a program that the shell does not find is a missing tool', async () => {
  const spec = runs.spec('', { file: '/bin/sh', args: ['-c', 'no-such-agent --go'] })
  await runs.runner.start(spec)
  const { outcome } = await runs.runner.wait(spec.runId)
  expect(outcome).toMatchObject({
    kind: 'failed',
    code: 'missing-tool',
    exitCode: 127,
    text: expect.stringContaining('no-such-agent'),
  })
})
