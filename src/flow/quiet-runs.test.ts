import { expect, test } from 'vitest'
import { POLICY } from '../core/test-spec.ts'
import { NO_USAGE } from '../core/run.ts'
import type { Queries, RunRow } from '../store/store.ts'
import { makeQuietRuns } from './quiet-runs.ts'

const MINUTE = 60_000

function makeRow(id: string, task: string): RunRow {
  return {
    id,
    task,
    project: 'T',
    stage: 'make',
    role: 'maker',
    agent: 'claude',
    model: null,
    attempt: 1,
    why: '',
    startedAt: 0,
    endedAt: null,
    outcome: null,
    sessionId: null,
    headSha: null,
    usage: NO_USAGE,
    costUsd: 0,
  }
}

test('each silence is named once, and named again only after the run went on', async () => {
  const rows = [makeRow('T-1-1', 'T-1'), makeRow('T-2-1', 'T-2')]
  const said = new Map<string, number | null>([['T-2-1', null]])
  let now = 0
  const books = {
    listRuns: ({ live }: { live?: boolean }) => (live ? rows : []),
    getTask: () => ({ state: { policy: POLICY }, version: 1 }),
  } as unknown as Pick<Queries, 'listRuns' | 'getTask'>
  const look = makeQuietRuns({
    books,
    lastActivity: async (id) => said.get(id) ?? null,
    now: () => now,
    time: (time) => `minute ${time / MINUTE}`,
  })
  said.set('T-1-1', 10 * MINUTE)
  now = 15 * MINUTE
  expect(await look()).toEqual([
    'T-2: claude has printed nothing for 15 min; it is ended at minute 30 unless it goes on; `orch stream T-2` shows what it said',
  ])
  now = 26 * MINUTE
  expect(await look()).toEqual([
    'T-1: claude has printed nothing for 16 min; it is ended at minute 40 unless it goes on; `orch stream T-1` shows what it said',
  ])
  expect(await look()).toEqual([])
  said.set('T-1-1', 27 * MINUTE)
  now = 28 * MINUTE
  expect(await look()).toEqual([])
  now = 45 * MINUTE
  expect(await look()).toHaveLength(1)
  rows.length = 0
  expect(await look()).toEqual([])
})
