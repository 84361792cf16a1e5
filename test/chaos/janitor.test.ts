// The suite kills; it must itself leave nothing behind, whatever becomes of it.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { processesOf, sleep } from '../acceptance/harness.ts'

test('a test that is killed in the middle leaves no process, no mount and no folder', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'abandoned.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const dir = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)))
  })
  expect(processesOf(dir).length).toBeGreaterThan(0)
  child.kill('SIGKILL')
  for (let looks = 0; looks < 200 && existsSync(dir); looks++) await sleep(50)
  expect(processesOf(dir)).toEqual([])
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(dir)
  expect(existsSync(dir)).toBe(false)
})
