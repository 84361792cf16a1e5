// What looking after a forge costs in calls while nothing happens: the real poll and the real driver for an hour of a clock
// that is set by hand, against a played GitHub that counts what reached it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openGithub } from '../src/drivers/github/fake-github-world.ts'
import { type PollDeps, makePoll } from '../src/flow/poll.ts'
import { openStore } from '../src/store/sqlite.ts'
import { branchOf, openPair } from '../test/acceptance/vendors/pair.ts'
import { INFORMS, type Measure, atMost } from './lib.ts'

const HOUR_MS = 3_600_000
/** As often as `orch up` looks what is due. */
const TICK_MS = 10_000
const GITHUB = { driver: 'github', ref: 'acme/shop' }

/**
 * Calls in an idle hour: none where webhooks are healthy; where they are not, what the net below them costs. And calls of a
 * whole task, by the real program.
 */
export async function benchApiCalls(): Promise<Measure[]> {
  const task = await wholeTask()
  const healthy = await idleHour({ healthy: true })
  const unhealthy = await idleHour({ healthy: false })
  return [
    {
      name: 'API calls in an idle hour, webhooks healthy',
      value: healthy.requests,
      unit: '',
      limit: null,
      target: '0',
      ...atMost(healthy.requests, 0),
    },
    {
      name: 'API calls in an idle hour, webhooks not healthy',
      value: unhealthy.requests,
      unit: '',
      limit: null,
      ...INFORMS,
    },
    {
      name: 'API calls of these that GitHub counts: the rest were "not modified"',
      value: unhealthy.requests - unhealthy.unchanged,
      unit: '',
      limit: null,
      target: '≤ 2',
      ...atMost(unhealthy.requests - unhealthy.unchanged, 2),
    },
    {
      name: 'API calls of a task from issue to merged: CI green, approved, its issue closed',
      value: task,
      unit: '',
      limit: null,
      ...INFORMS,
    },
  ]
}

/** Told of by webhooks, and asked as often as usual. */
async function wholeTask(): Promise<number> {
  const poll = 'poll: { healthy: 2m, unhealthy: 30s, ci: 10s }'
  const pair = await openPair({ tracker: 'github', forge: 'github', method: 'merge', poll })
  try {
    await pair.up()
    const { tracker, forge } = pair
    const before = forge.calls()
    const issue = await tracker?.tracker.addIssue({ title: 'Add a part', body: 'One more.', labels: ['orch'] })
    const branch = await pair.until('its branch', () => branchOf(pair))
    const number = await pair.until('its change', async () => (await forge.forge.changesOf(branch.name))[0])
    await forge.forge.report({ sha: branch.head, name: 'test', state: 'passed' })
    await pair.until('it is ready', async () => !(await forge.forge.readChange(number)).draft)
    const author = forge.people.member
    await forge.forge.review({ number, author, sha: branch.head, verdict: 'approve', body: 'Thanks.' })
    await pair.until('its issue is closed', async () => {
      const { state, labels } = (await tracker?.tracker.readIssue(issue ?? '')) ?? {}
      return state === 'completed' && labels?.includes('orch:done')
    })
    return forge.calls() - before
  } finally {
    await pair.close()
  }
}

async function idleHour({ healthy }: { healthy: boolean }): Promise<{ requests: number; unchanged: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-bench-calls-'))
  const opened = await openGithub()
  const store = await openStore(join(dir, 'orch.db'))
  try {
    await store.addProject({
      id: 'SHOP',
      name: 'shop',
      path: dir,
      remote: dir,
      createdAt: 0,
      tracker: GITHUB,
      forge: GITHUB,
    })
    let clock = Date.now()
    const { driver } = opened
    const never = (): never => {
      throw new Error('nothing happens in an idle hour')
    }
    const deps: Partial<PollDeps> = {
      store,
      now: () => clock,
      trackerOf: () => driver.tracker(GITHUB.ref),
      remoteForgeOf: () => null,
      webhooksHealthy: () => healthy,
      quotaOf: () => driver.quota(),
      pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
      heardAt: () => null,
      onError: never,
    }
    const poll = makePoll(deps as PollDeps)
    // The look after a start is none of the hour's.
    await poll()
    const before = driver.counts()
    for (const endsAt = clock + HOUR_MS; clock < endsAt; clock += TICK_MS) await poll()
    const after = driver.counts()
    return { requests: after.requests - before.requests, unchanged: after.unchanged - before.unchanged }
  } finally {
    store.close()
    await opened.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
