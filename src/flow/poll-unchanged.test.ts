// What the poll asks for while nothing happens.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ResolvedProject } from '../config/config.ts'
import type { Issue, Tracker } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import { type PollDeps, makePoll } from './poll.ts'
import { PROJECT } from './test-webhooks.ts'

test('while nothing comes the same is asked again, so that the vendor can answer that nothing changed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orch-poll-'))
  const store = await openStore(join(dir, 'orch.db'))
  try {
    await store.addProject(PROJECT)
    const data = { open: true, wanted: false, column: null }
    await store.putSeenIssue({ project: PROJECT.id, issue: '7', updatedAt: 990_000, data })
    await store.putMark({ project: PROJECT.id, what: 'polled-issues', value: '990000 999000', at: 999_000 })
    const asked: (number | null)[] = []
    const listIssues: Tracker['listIssues'] = async ({ since }) => {
      asked.push(since)
      // What is within the overlap comes again each time.
      return { unchanged: false, issues: [{ id: '7', updatedAt: 990_000 } as Issue] }
    }
    let clock = 1_000_000
    const deps: Partial<PollDeps> = {
      store,
      now: () => clock,
      configOf: async () => ({ tracker: { intake: { mention: null } } }) as ResolvedProject,
      trackerOf: () => ({ listIssues }) as Partial<Tracker> as Tracker,
      remoteForgeOf: () => null,
      webhooksHealthy: () => false,
      quotaOf: () => null,
      pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
    }
    const poll = makePoll(deps as PollDeps)
    for (let n = 0; n < 4; n++, clock += 60_000) await poll()
    expect(asked).toEqual([870_000, 870_000, 870_000, 870_000])
  } finally {
    store.close()
    rmSync(dir, { recursive: true, force: true })
  }
})
