// What is judged before anything leaves this machine: protected things wait for a person, secrets never leave.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type World, makeWorld } from './harness.ts'

let world: World
// Made here, so that no scanner takes this file for a leak.
const TOKEN = ['ghp', '_', 'Zr8kQ2mV5xT9bN3wL6yH1cJ4dF7gS0aPu2Ke'].join('')
const PROTECTED: [string, string, string][] = [
  ['T-1', 'behaviour: scripts', 'package.json'],
  ['T-2', 'behaviour: write .github/workflows/ci.yml on: push', '.github/workflows/ci.yml'],
  ['T-3', 'behaviour: remove test/sum.sh', 'test/sum.sh'],
  ['T-4', 'behaviour: write test.sh exit 0', 'test.sh'],
]

beforeAll(async () => {
  world = await makeWorld({ config: 'limits: { attempts: 1 }' })
  for (const [, body] of PROTECTED) await world.add('Touches something protected', body)
  await world.add('Leaks a token', `behaviour: write config.txt token=${TOKEN}`)
  await world.upUntilIdle()
}, 60_000)
afterAll(() => world.close())

test.each(PROTECTED)('%s waits for a person before anything is pushed (%s)', async (id, _, path) => {
  const task = await world.task(id)
  expect(task).toMatchObject({ status: 'waiting', waitingFor: 'approval', stage: 'develop' })
  expect(task.verdicts.find((verdict) => verdict.gate === 'protected')).toMatchObject({
    result: 'wait',
    note: expect.stringContaining(path),
  })
  expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
})

test('a secret never reaches the remote, and the finding names the place without repeating it', async () => {
  const task = await world.task('T-5')
  expect(task).toMatchObject({ status: 'needs_review', reason: 'attempts-spent' })
  const finding = task.findings.find((one) => one.gate === 'secrets')
  expect(finding).toMatchObject({ file: 'config.txt', line: 1 })
  expect(JSON.stringify([task.verdicts, task.findings, task.reasonText])).not.toContain(TOKEN)
  const objects = await world.git('cat-file', '--batch-check=%(objectname) %(objecttype)', '--batch-all-objects')
  const blobs = objects.split('\n').filter((line) => line.endsWith(' blob'))
  expect(blobs.length).toBeGreaterThan(5)
  for (const blob of blobs) expect(await world.git('cat-file', 'blob', blob.split(' ')[0] ?? '')).not.toContain(TOKEN)
})

test('one approval covers what waits, and the change goes on to land', async () => {
  expect((await world.ok(['approve', 'T-2'])).stdout).toContain('protected: adds .github/workflows/ci.yml')
  await world.upUntilIdle()
  expect(await world.task('T-2')).toMatchObject({ status: 'done' })
  expect(await world.git('show', 'main:.github/workflows/ci.yml')).toBe('on: push')
  expect((await world.task('T-1')).status).toBe('waiting')
})
