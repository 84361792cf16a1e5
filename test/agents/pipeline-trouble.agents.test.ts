// What real CLIs meet that is not the task's fault, and what a person ends: through the whole pipeline.

import { afterEach, describe, expect, test } from 'vitest'
import { processesOf } from '../acceptance/harness.ts'
import { ensureInstalled } from './install.ts'
import { madeFirst } from './made-first.ts'
import { USAGE } from './model-server.ts'
import { type AgentWorld, makeAgentWorld } from './pipeline-world.ts'
import type { Subject } from './subject.ts'
import { claude } from './subjects/claude.ts'
import { codex } from './subjects/codex.ts'

const installed = madeFirst(ensureInstalled)
let world: AgentWorld
afterEach(() => world?.close())

/** The two that start fastest; what is tried here is what Orch does, whichever agent it is. */
const SUBJECTS: Subject[] = [claude, codex]

const make = async (subject: Subject, config = ''): Promise<void> => {
  world = await makeAgentWorld({ installed: installed(), subject, config })
}

const GOOD = 'develop: [[{bash: "echo ok > parts/second && git add . && git commit -qm Second"}]]'

describe.each(SUBJECTS)('$title: no login, and limits', (subject) => {
  test('401: held for a person at once, nothing spent; it lands when the login is good again', async () => {
    await make(subject)
    world.server.outage(401)
    const id = await world.script('Not logged in', GOOD)
    await world.upUntilIdle()
    const task = await world.task(id)
    expect(task).toMatchObject({
      status: 'needs_review',
      reason: 'agent-auth',
      attempts: { code: 0, transient: 0, infra: 0 },
      costUsd: 0,
    })
    expect(task.runs).toMatchObject([{ outcome: 'failed', failure: 'auth', exitCode: 1 }])
    const asked = world.server.requests()
    expect(asked).toBeLessThanOrEqual(3)
    await world.upUntilIdle()
    expect(world.server.requests()).toBe(asked)
    expect((await world.why(id)).actions.join('\n')).toContain(`orch task retry ${id}`)

    world.server.outage(null)
    await world.ok(['task', 'retry', id])
    await world.upUntilIdle()
    expect(await world.task(id)).toMatchObject({ status: 'done', attempts: { code: 0 } })
  })

  test('429: the account is parked for every task, then both land', async () => {
    await make(subject)
    world.server.outage(429)
    const id = await world.script('Limited', GOOD)
    const up = await world.upUntilIdle({ timerWait: '1s' })
    expect(await world.task(id)).toMatchObject({
      status: 'waiting',
      waitingFor: 'limit',
      attempts: { code: 0, transient: 1, infra: 0 },
    })
    expect(
      up.events().some((event) => event.type === 'task.waiting' || JSON.stringify(event).includes('"limit"')),
    ).toBe(true)
    expect((await world.why(id)).because).toMatch(/limit/i)
    const asked = world.server.requests()
    const other = await world.script(
      'Another one',
      'develop: [[{bash: "echo ok > parts/third && git add . && git commit -qm Third"}]]',
    )
    await world.upUntilIdle({ timerWait: '0s' })
    expect(world.server.requests()).toBe(asked)
    expect(await world.task(other)).toMatchObject({ status: 'waiting', waitingFor: 'limit', runs: [] })

    world.server.outage(null)
    await world.ok(['task', 'retry', id])
    await world.upUntilIdle({ timerWait: '20s' })
    for (const one of [id, other])
      expect(await world.task(one)).toMatchObject({ status: 'done', attempts: { code: 0 } })
  })

  test('429 past its budget: a person decides', async () => {
    await make(subject, 'limits: { transient: 0 }\n')
    world.server.outage(429)
    const id = await world.script('Limited', GOOD)
    await world.upUntilIdle()
    expect(await world.task(id)).toMatchObject({
      status: 'needs_review',
      reason: 'agent-rate-limit',
      attempts: { code: 0 },
    })
  })
})

describe.each(SUBJECTS)('$title: ended by Orch', (subject) => {
  test('a hang past its limit: ended with everything it started, and held once its repeats are spent', async () => {
    await make(subject, 'limits: { runMinutes: 0.1, infra: 1 }\n')
    const id = await world.script('Hangs', 'develop: [[{hang: true}]]')
    await world.upUntilIdle({ timerWait: '20s' })
    const task = await world.task(id)
    expect(task).toMatchObject({
      status: 'needs_review',
      reason: 'run-timeout',
      attempts: { code: 0, transient: 0, infra: 1 },
    })
    expect(task.runs.map((run) => `${run.outcome} ${run.text}`)).toEqual(
      Array(2).fill(`timed-out ${subject.adapter.name} was ended after its time limit of 6 s`),
    )
    expect(processesOf(world.dir)).toEqual([])
    // What the model handed out before the hang is on the books too.
    expect(world.server.answered()).toBeGreaterThan(0)
    if (subject.tells.partial) expect(task.tokens.input).toBe(world.server.answered() * USAGE.input_tokens)
  })

  test('a cancel in flight: the whole tree, the workspace and the branch are gone', async () => {
    await make(subject)
    const id = await world.script(
      'Hangs',
      `develop:
    - - bash: "echo ok > parts/second && git add . && git commit -qm Second"
      - bash: "tail -s 1 -f /dev/null"`,
    )
    const up = world.start(['up', '--json'])
    await world.until(id, () => processesOf(world.dir).some(({ command }) => command.startsWith('tail -s 1')))
    await world.ok(['task', 'cancel', id])
    await world.until(id, (task) => task.runs[0]?.endedAt !== null)
    await expect
      .poll(() => processesOf(world.dir).filter(({ command }) => ofRun(subject, command)), {
        timeout: 5_000,
      })
      .toEqual([])
    await expect.poll(() => world.leftOf(id), { timeout: 5_000 }).toEqual([])
    up.kill('SIGINT')
    expect((await up.ended).code).toBe(0)
    const task = await world.task(id)
    expect(task).toMatchObject({ status: 'cancelled', runs: [{ outcome: 'cancelled' }] })
    if (subject.tells.partial) expect(task.tokens.input).toBeGreaterThan(0)
    expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
  })
})

function ofRun({ title }: Subject, command: string): boolean {
  return [title, 'tail', 'supervisor'].some((word) => command.includes(word))
}
