import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { tryServiceLock } from './lock.ts'

const folder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'orch-lock-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

test('one holder at a time; given back, the next one has it', () => {
  const path = join(folder(), 'service.lock')
  const first = tryServiceLock(path)
  expect(first).not.toBeNull()
  expect(tryServiceLock(path)).toBeNull()
  first?.release()
  first?.release()
  const second = tryServiceLock(path)
  expect(second).not.toBeNull()
  second?.release()
})

test('a holder that was killed leaves no lock behind', async () => {
  const path = join(folder(), 'service.lock')
  const lock = JSON.stringify(new URL('./lock.ts', import.meta.url).href)
  const program = `const { tryServiceLock } = await import(${lock}); if (tryServiceLock(process.argv[1]) !== null) process.kill(process.pid, 'SIGKILL')`
  const holder = await runProcess({
    argv: [process.execPath, '--input-type=module', '--eval', program, path],
    env: {},
    timeoutMs: 20_000,
  })
  expect(holder).toMatchObject({ outcome: 'killed', signal: 'SIGKILL' })
  const next = tryServiceLock(path)
  expect(next).not.toBeNull()
  next?.release()
})
