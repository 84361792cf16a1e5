// Which process is which: a pid alone may be somebody else's after a while (S3).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { identifyProcess, isSameProcessAlive } from './process-identity.ts'

/** A shell that runs `script` and then waits; gives what it printed first, and its pid. */
async function shell(script: string): Promise<{ pid: number; said: string }> {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return { pid: child.pid ?? 0, said: said.toString().trim() }
}

test('a process that lives is the same, one that has ended is not', async () => {
  const { pid } = await shell('echo up; read -r line')
  const identity = identifyProcess(pid)
  if (!identity) throw new Error('the process is not there')
  expect(isSameProcessAlive(identity)).toBe(true)
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => isSameProcessAlive(identity)).toBe(false)
})

describe.runIf(process.platform === 'linux')('where there is /proc', () => {
  const own = identifyProcess(process.pid)

  test('a pid that was given again is another process', () => {
    if (!own) throw new Error('this process is not there')
    expect(isSameProcessAlive(own)).toBe(true)
    expect(isSameProcessAlive({ ...own, startTime: own.startTime - 1 })).toBe(false)
  })

  test('a process of an earlier boot lives no more, even where pid and start time agree', () => {
    if (!own) throw new Error('this process is not there')
    expect(own.bootId).not.toBe('')
    expect(isSameProcessAlive({ ...own, bootId: '00000000-0000-0000-0000-000000000000' })).toBe(false)
  })

  test('one that is dead and not yet waited for counts as dead', async () => {
    // The shell becomes a program that never waits for the child it has.
    const { said } = await shell('sleep 0.2 & echo $!; exec sleep 20')
    await expect.poll(() => identifyProcess(Number(said))).toBeNull()
    expect(process.kill(Number(said), 0)).toBe(true)
  })

  test('a name that looks like the rest of the line changes nothing', async () => {
    const { pid } = await shell('printf "x) Z 1 (y" > /proc/$$/comm; echo up; read -r line')
    expect(identifyProcess(pid)).toMatchObject({ pid, startTime: expect.any(Number) })
    expect(identifyProcess(pid)?.startTime).toBeGreaterThanOrEqual(own?.startTime ?? Infinity)
  })
})
