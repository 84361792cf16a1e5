// A process that is talked to: what goes in, what comes out, and that its end is the end of its group.

import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { identifyProcess } from './process-identity.ts'
import { type PipedProcess, startPiped } from './process.ts'

const env = { PATH: '/usr/bin:/bin' }
let root = ''
let started: PipedProcess[] = []
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-piped-')))
  started = []
})
afterEach(async () => {
  for (const child of started) await child.end(0)
  rmSync(root, { recursive: true, force: true })
})

async function start(script: string): Promise<{ child: PipedProcess; said: () => string }> {
  let text = ''
  const onOutput = (chunk: Buffer): void => {
    text += chunk.toString()
  }
  const child = await startPiped({ argv: ['sh', '-c', script], cwd: root, env, onOutput, stderr: 'keep' })
  started.push(child)
  return { child, said: () => text }
}

test('it is written to and read from; all it said is there at its end', async () => {
  const { child, said } = await start(
    'while read -r line; do echo "got $line"; done; echo end; echo oops >&2; pwd; exit 3',
  )
  expect(child.write('one\n')).toBe(true)
  await expect.poll(said, { timeout: 20_000 }).toBe('got one\n')
  child.write('two\n')
  child.closeInput()
  expect(await child.exited).toEqual({ exitCode: 3, signal: null })
  expect(said()).toBe(`got one\ngot two\nend\n${root}\n`)
  expect(child.stderr()).toBe('oops\n')
  expect(child.write('three\n')).toBe(false)
})

test('nothing of our environment gets in', async () => {
  process.env['ORCH_PIPED_SECRET'] = 'x'
  const { child, said } = await start('env')
  await child.exited
  delete process.env['ORCH_PIPED_SECRET']
  expect(said()).toContain('PATH=/usr/bin:/bin')
  expect(said()).not.toContain('ORCH_PIPED_SECRET')
})

test('its end is the end of its group, also of one that is deaf to SIGTERM', async () => {
  const { child, said } = await start(
    `trap '' TERM; sleep 300 & echo $! > ${root}/pid; echo ready; while :; do sleep 1; done`,
  )
  await expect.poll(said, { timeout: 20_000 }).toContain('ready')
  const below = Number(readFileSync(join(root, 'pid'), 'utf8'))
  expect(identifyProcess(below)).not.toBeNull()
  await child.end(50)
  expect(await child.exited).toEqual({ exitCode: null, signal: 'SIGKILL' })
  await expect.poll(() => stateOf(below), { timeout: 20_000 }).toBe('gone')
  // Again, and there is nobody.
  await child.end(0)
})

test('a child that holds its pipes does not keep its end from being told', async () => {
  const { child } = await start('sleep 300 & exit 0')
  expect(await child.exited).toEqual({ exitCode: 0, signal: null })
})

test('a program that is not there is told at the start', async () => {
  const request = { argv: ['no-such-program-here'] as [string], cwd: root, env, onOutput: () => undefined }
  await expect(startPiped({ ...request, stderr: 'keep' })).rejects.toThrow('ENOENT')
})

/** A zombie whom nobody reaps is gone as well. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return /\) [ZX]/.test(stat) ? 'gone' : 'there'
  } catch {
    return identifyProcess(pid) === null ? 'gone' : 'there'
  }
}
