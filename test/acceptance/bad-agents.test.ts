// Agents that end badly: whatever they leave behind is never taken for success, and nobody else is blamed for it.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type World, makeWorld } from './harness.ts'

const HANDOFFS: [string, string][] = [
  ['no-handoff', 'There is no handoff.md'],
  ['link-handoff', 'is a link'],
  ['big-handoff', 'at most 1048576'],
  ['broken-handoff', 'not plain YAML'],
  ['contradicting-handoff', 'contradicts itself'],
  ['nothing', 'no commit'],
]
const REVIEWS: [string, string, RegExp][] = [
  ['stale-sha', 'review-stale', /the review judged/],
  ['no-handoff', 'review-unreadable', /no handoff.md/],
]

let world: World
const ids = new Map<string, string>()

beforeAll(async () => {
  world = await makeWorld({ config: 'limits: { attempts: 1, infra: 0, runMinutes: 0.05 }' })
  for (const [behaviour] of HANDOFFS)
    ids.set(behaviour, await world.add(`Ends with ${behaviour}`, `behaviour: ${behaviour}`))
  for (const [review] of REVIEWS)
    ids.set(`review ${review}`, await world.add(`Reviewed with ${review}`, `review: ${review}`))
  for (const review of ['contradicting', 'tampering'])
    ids.set(review, await world.add(`Reviewed by ${review}`, `review: ${review}`))
  for (const behaviour of ['crash', 'hang', 'leftover'])
    ids.set(behaviour, await world.add(`Does ${behaviour}`, `behaviour: ${behaviour}`))
  await world.upUntilIdle({ timeoutMs: 110_000 })
}, 120_000)
afterAll(() => world.close())

const taskOf = (name: string): ReturnType<World['task']> => world.task(ids.get(name) ?? '')

test.each(HANDOFFS)('%s is sent back with what was wrong, not landed', async (behaviour, text) => {
  const task = await taskOf(behaviour)
  expect(task).toMatchObject({ status: 'needs_review', reason: 'attempts-spent', attempts: { code: 1, infra: 0 } })
  expect(JSON.stringify(task.findings)).toContain(text)
  expect(task.mergedSha).toBeUndefined()
})

test.each(REVIEWS)('a review with %s is no approval and not the code’s fault', async (review, reason, text) => {
  const task = await taskOf(`review ${review}`)
  expect(task).toMatchObject({ status: 'needs_review', reason, attempts: { code: 0 } })
  expect(task.reasonText).toMatch(text)
})

test('a review that contradicts itself asks for changes: the negative word wins', async () => {
  const task = await taskOf('contradicting')
  expect(task.status).toBe('needs_review')
  expect(task.mergedSha).toBeUndefined()
  expect(task.verdicts.find((verdict) => verdict.gate === 'review')?.result).not.toBe('pass')
})

test('what a reviewer commits is thrown away', async () => {
  const task = await taskOf('tampering')
  expect(task.status).toBe('done')
  expect(await world.git('ls-tree', '-r', '--name-only', 'main')).not.toContain('planted-')
})

test('an agent that crashes or runs past its limit is infrastructure; its commits are kept', async () => {
  const crashed = await taskOf('crash')
  expect(crashed).toMatchObject({ status: 'needs_review', reason: 'agent-crash', attempts: { code: 0 } })
  expect(crashed.reasonText).toContain('something went very wrong')
  expect(crashed.headSha).toMatch(/^[0-9a-f]{40}$/)
  expect(await taskOf('hang')).toMatchObject({
    status: 'needs_review',
    reason: 'run-timeout',
    attempts: { code: 0 },
    runs: [{ outcome: 'timed-out' }],
  })
})

test('work left uncommitted is committed and lands, with the clone’s identity', async () => {
  const task = await taskOf('leftover')
  expect(task.status).toBe('done')
  expect(await world.git('show', '-s', '--format=%an <%ae>', task.headSha ?? '')).toBe('Ann Example <ann@example.com>')
})

test('main holds nothing of those that ended badly', async () => {
  const landed = ['tampering', 'leftover'].map((name) => ids.get(name) ?? '')
  expect((await world.git('ls-tree', '--name-only', 'main:parts')).split('\n').sort()).toEqual(
    [...landed, 'first'].sort(),
  )
})

test('an agent that floods its output is ended and held as output-flood', async () => {
  const flooding = await makeWorld({ config: 'limits: { infra: 0 }' })
  try {
    await flooding.add('Floods', 'behaviour: flood')
    await flooding.upUntilIdle()
    expect(await flooding.task('T-1')).toMatchObject({
      status: 'needs_review',
      reason: 'agent-output-flood',
      attempts: { code: 0 },
    })
  } finally {
    await flooding.close()
  }
}, 90_000)

test('a claude that prints what is no JSON is held as malformed-stream; one that is missing as agent-missing', async () => {
  const broken = await makeWorld({ config: 'limits: { infra: 0 }' })
  const program = join(broken.signals, 'claude')
  writeFileSync(
    program,
    '#!/bin/sh\ncase "$1" in --version) echo "2.1.0 (Claude Code)"; exit 0;; auth) echo \'{"loggedIn": true}\'; exit 0;; esac\ncat >/dev/null\necho "{ this is no JSON"\necho "neither is this"\n',
  )
  chmodSync(program, 0o755)
  const env = { ORCH_AGENTS_DEVELOPER_AGENT: 'claude', ORCH_AGENTS_CLAUDE_BIN: program, ANTHROPIC_API_KEY: 'key' }
  try {
    await broken.add('By a broken claude')
    await broken.upUntilIdle({ env })
    expect(await broken.task('T-1')).toMatchObject({
      status: 'needs_review',
      reason: 'agent-malformed-stream',
      attempts: { code: 0 },
    })
    await broken.add('By none')
    await broken.upUntilIdle({ env: { ...env, ORCH_AGENTS_CLAUDE_BIN: join(broken.dir, 'nowhere') } })
    expect(await broken.task('T-2')).toMatchObject({ status: 'needs_review', reason: 'agent-missing', runs: [] })
  } finally {
    await broken.close()
  }
}, 60_000)
