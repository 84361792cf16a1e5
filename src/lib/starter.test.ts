// Starting processes through the small shell, with real processes.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identifyProcess } from './process-identity.ts'
import { makeStarter, runProcess, type Starter } from './process.ts'

const ENV = { PATH: '/usr/bin:/bin' }
/** Says who and where it is, then stays until it is ended. The file is the last that it makes. */
const COMMAND = [
  '/bin/sh',
  '-c',
  'printf "%s %s %s\\n" "$$" "$(pwd)" "$1" > it.tmp; echo said; mv it.tmp it; exec tail -s 1 -f /dev/null',
  'sh',
] as const

let dir: string
let pids: number[]
let starter: Starter
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orch-starter-'))
  pids = []
})
afterEach(() => {
  for (const pid of pids) if (identifyProcess(pid)) process.kill(pid, 'SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

const available = makeStarter(['true'], ENV) !== null

async function start(name: string): Promise<{ pid: number; folder: string }> {
  const folder = join(dir, name)
  mkdirSync(folder)
  const pid = await starter.start({ cwd: folder, log: join(folder, 'log') })
  pids.push(pid)
  await expect.poll(() => existsSync(join(folder, 'it')), { timeout: 10_000 }).toBe(true)
  return { pid, folder }
}

function shellOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

describe.runIf(available)('a starter (needs setsid)', () => {
  beforeEach(() => {
    const made = makeStarter(COMMAND, ENV)
    if (!made) throw new Error('no setsid')
    starter = made
  })

  test('many at once: each in its own folder and session, each with the pid that was said', async () => {
    const started = await Promise.all(Array.from({ length: 10 }, (_, n) => start(`run-${n}`)))
    for (const { pid, folder } of started) {
      expect(readFileSync(join(folder, 'it'), 'utf8')).toBe(`${pid} ${folder} ${folder}\n`)
      expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('said\n')
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      expect(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3])).toBe(pid)
    }
  })

  test('nothing in a name is expanded, and a line break is refused', async () => {
    const { folder, pid } = await start(`a "$(touch expanded)" \\n 'b' *`)
    expect(readFileSync(join(folder, 'it'), 'utf8')).toBe(`${pid} ${folder} ${folder}\n`)
    expect([process.cwd(), dir, folder].filter((place) => existsSync(join(place, 'expanded')))).toEqual([])
    await expect(starter.start({ cwd: `${dir}/x\ny`, log: `${dir}/log` })).rejects.toThrow('line break')
  })

  test('what ended is reaped by the next start, and a killed shell is replaced', async () => {
    const first = await start('first')
    process.kill(first.pid, 'SIGKILL')
    await expect.poll(() => identifyProcess(first.pid), { timeout: 10_000 }).toBeNull()
    const second = await start('second')
    expect(existsSync(`/proc/${first.pid}`)).toBe(false)
    process.kill(shellOf(second.pid), 'SIGKILL')
    const third = await start('third')
    expect(shellOf(third.pid)).not.toBe(shellOf(second.pid))
    expect(identifyProcess(second.pid)).not.toBeNull()
  })

  test('it keeps nobody alive, and what it started goes on', async () => {
    const script = join(dir, 'parent.mjs')
    const at = new URL('./process.ts', import.meta.url).href
    const request = JSON.stringify({ cwd: dir, log: join(dir, 'log') })
    writeFileSync(
      script,
      `import { makeStarter } from ${JSON.stringify(at)}
       console.log(await makeStarter(${JSON.stringify(COMMAND)}, ${JSON.stringify(ENV)}).start(${request}))`,
    )
    const result = await runProcess({ argv: [process.execPath, script], env: ENV, timeoutMs: 20_000 })
    expect(result).toMatchObject({ outcome: 'exited', exitCode: 0 })
    const pid = Number(result.stdout)
    pids.push(pid)
    expect(identifyProcess(pid)).not.toBeNull()
    await expect.poll(() => existsSync(join(dir, 'it')), { timeout: 10_000 }).toBe(true)
  })
})
