// Cleans up after a chaos world whose test was itself killed or interrupted: ends the world's processes, takes its mount
// away, removes its folder. Reads `{dir, home}` as a line of stdin; told `done` before its stdin ends, it does nothing.
// The folder is no argument and stands in no variable: it would take itself for one of the world's processes.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { endProcess, processesOf, sleep } from '../acceptance/harness.ts'

const [first = '{}', last] = readFileSync(0, 'utf8').trim().split('\n')
if (last !== 'done') {
  const { dir, home } = JSON.parse(first) as { dir: string; home: string }
  for (let looks = 0; looks < 100; looks++) {
    const left = processesOf(dir)
    if (left.length === 0) break
    for (const one of left) endProcess(one.pid)
    await sleep(50)
  }
  if (readFileSync('/proc/mounts', 'utf8').includes(` ${home} `)) execFileSync('umount', ['--lazy', home])
  if (existsSync(dir)) rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}
