// Ending everything of a run, and nobody else.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { identifyProcess } from '../lib/process-identity.ts'
import { findRunProcesses, killRun } from './process-tree.ts'
import { RUN_MARKER } from './run-files.ts'

test('who carries the mark is of the run, and whoever it started, also one that dropped the mark', async () => {
  const mark = `/no/such/run/${process.pid}`
  const script = 'env -u "$0" sleep 20 & echo $!; wait'
  const marked = spawn('sh', ['-c', script, RUN_MARKER], {
    env: { PATH: process.env['PATH'], [RUN_MARKER]: mark },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  })
  onTestFinished(() => void process.kill(-(marked.pid ?? 0), 'SIGKILL'))
  const child = Number(String((await once(marked.stdout, 'data'))[0]))
  expect(await findRunProcesses(`${mark}0`, null)).toEqual([])
  expect((await findRunProcesses(mark, null)).toSorted((a, b) => a - b)).toEqual([marked.pid, child])
})

test('a process that has the pid of one that was known is left alone', async () => {
  const bystander = spawn('sleep', ['20'], { stdio: 'ignore' })
  onTestFinished(() => void bystander.kill('SIGKILL'))
  await once(bystander, 'spawn')
  const identity = identifyProcess(bystander.pid ?? 0)
  if (!identity) throw new Error('the bystander is not there')
  const known = [{ ...identity, startTime: identity.startTime - 1 }]
  expect(await killRun({ mark: '/no/such/run', root: null, known, limitMs: 200 })).toEqual([])
  expect(identifyProcess(identity.pid)).toEqual(identity)
  expect(await killRun({ mark: '/no/such/run', root: null, known: [identity] })).toEqual([])
  expect(identifyProcess(identity.pid)).toBeNull()
})
