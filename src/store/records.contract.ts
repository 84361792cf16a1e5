// The part of the store contract about records: runs, intents, evidence, artifacts, projects, the local forge.

import { expect, test } from 'vitest'
import { NO_USAGE } from '../core/run.ts'
import { commitOf, openedEvent, taskCommit } from './__fixtures__/commits.ts'
import type { UseStore } from './__fixtures__/store-under-test.ts'
import type { ChangeRow, EvidenceRow, RunWrite, Store } from './store.ts'

const openTask = (store: Store, id: string) => store.commit(taskCommit(store, id, { events: [openedEvent(id)] }))

const RUN = {
  stage: 'develop',
  role: 'developer',
  agent: 'claude',
  model: null,
  attempt: 1,
  why: 'default',
  startedAt: 5,
}
const begin = (id: string, task: string): RunWrite => ({ op: 'begin', run: { ...RUN, id, task, project: 'A' } })

export function recordsContract(use: UseStore): void {
  runsContract(use)
  factsContract(use)
  projectsContract(use)
  forgeContract(use)
}

function runsContract(use: UseStore): void {
  test('a run begins, shows on its task, and ends once', async () => {
    const { store } = use()
    await openTask(store, 'A-1')
    await openTask(store, 'A-2')
    await store.commit(commitOf({ runs: [begin('r1', 'A-1'), begin('r2', 'A-2')] }))
    const fresh = { endedAt: null, outcome: null, sessionId: null, usage: NO_USAGE, costUsd: 0, headSha: null }
    expect(store.getRun('r1')).toEqual({ ...RUN, id: 'r1', task: 'A-1', project: 'A', ...fresh })
    expect(store.listTasks({})[0]?.agent).toBe('claude')
    const usage = { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 }
    const end: RunWrite = {
      op: 'end',
      id: 'r1',
      endedAt: 9,
      model: 'm2',
      outcome: { kind: 'succeeded' },
      sessionId: 's',
      usage,
      costUsd: 0.25,
      headSha: 'h',
    }
    await store.commit(commitOf({ runs: [end] }))
    await store.commit(commitOf({ runs: [{ ...end, endedAt: 99, outcome: { kind: 'lost', text: 'late' } }] }))
    expect(store.getRun('r1')).toMatchObject({
      endedAt: 9,
      model: 'm2',
      outcome: { kind: 'succeeded' },
      sessionId: 's',
      usage,
      costUsd: 0.25,
      headSha: 'h',
    })
    expect(store.listRuns({ live: true }).map((run) => run.id)).toEqual(['r2'])
    expect(store.listRuns({ live: false, task: 'A-1' }).map((run) => run.id)).toEqual(['r1'])
    expect(store.listRuns({ task: 'A-2' }).map((run) => run.id)).toEqual(['r2'])
    expect(store.getRun('none')).toBeNull()
    await store.commit(commitOf({ runs: [{ ...end, id: 'r2', model: null }] }))
    expect(store.getRun('r2')?.model).toBe(RUN.model)
  })

  test('an intent is opened once, settled once, and opened afresh after that', async () => {
    const { store } = use()
    await openTask(store, 'A-1')
    const id = { kind: 'merge', task: 'A-1', key: 'sha1' } as const
    const open = (data: Record<string, string>, at: number) =>
      store.commit(commitOf({ at, intents: [{ op: 'open', ...id, data }] }))
    await open({ onto: 'a' }, 1)
    await open({ onto: 'b' }, 2)
    const row = { ...id, id: 1, data: { onto: 'a' }, state: 'open', openedAt: 1, settledAt: null }
    expect(store.listIntents({ state: 'open' })).toEqual([row])
    await store.commit(commitOf({ at: 3, intents: [{ op: 'settle', ...id, as: 'compensated' }] }))
    await store.commit(commitOf({ at: 4, intents: [{ op: 'settle', ...id, as: 'confirmed' }] }))
    expect(store.listIntents({ task: 'A-1' })).toEqual([{ ...row, state: 'compensated', settledAt: 3 }])
    expect(store.listIntents({ state: 'open' })).toEqual([])
    await open({ onto: 'c' }, 5)
    expect(store.listIntents({})).toEqual([{ ...row, data: { onto: 'c' }, openedAt: 5 }])
    await store.commit(commitOf({ at: 6, intents: [{ op: 'settle', ...id, as: 'held' }] }))
    await store.commit(commitOf({ at: 7, intents: [{ op: 'settle', ...id, as: 'confirmed' }] }))
    expect(store.listIntents({})[0]).toMatchObject({ state: 'confirmed', settledAt: 7 })
  })
}

const EVIDENCE: EvidenceRow = {
  id: 'e1',
  task: 'A-1',
  project: 'A',
  gate: 'verify',
  stage: 'develop',
  sha: 's1',
  tree: null,
  configHash: 'c1',
  environmentId: null,
  result: 'pass',
  at: 1,
  data: { commands: [{ run: 'npm test', exitCode: 0 }] },
}

function factsContract(use: UseStore): void {
  test('evidence is found by each of its keys; the same id again changes nothing', async () => {
    const { store } = use()
    const base: EvidenceRow = { ...EVIDENCE, id: 'e2', task: null, gate: 'base', tree: 't1', result: 'fail' }
    await store.putEvidence([EVIDENCE, base])
    await store.putEvidence([{ ...EVIDENCE, result: 'fail' }])
    await store.commit(commitOf({ evidence: [{ ...base, id: 'e3', configHash: 'c2' }] }))
    const ids = (filter: Parameters<Store['listEvidence']>[0]) => store.listEvidence(filter).map((row) => row.id)
    expect(store.listEvidence({ task: 'A-1' })).toEqual([EVIDENCE])
    expect(ids({})).toEqual(['e1', 'e2', 'e3'])
    expect(ids({ gate: 'base', tree: 't1', configHash: 'c1' })).toEqual(['e2'])
    expect(ids({ project: 'A', gate: 'base' })).toEqual(['e2', 'e3'])
    expect(ids({ project: 'B' })).toEqual([])
  })

  test('an artifact of the same run and name is replaced', async () => {
    const { store } = use()
    const row = { task: 'A-1', runId: 'r1', name: 'handoff.md', path: 'artifacts/1', bytes: 5, at: 1 }
    await store.putArtifact(row)
    await store.putArtifact({ ...row, bytes: 7, at: 2 })
    await store.putArtifact({ ...row, runId: null })
    await store.putArtifact({ ...row, task: 'A-2' })
    expect(store.listArtifacts('A-1')).toEqual([
      { ...row, bytes: 7, at: 2 },
      { ...row, runId: null },
    ])
  })
}

function projectsContract(use: UseStore): void {
  test('a project is added once; its numbers outlive it', async () => {
    const { store } = use()
    const project = { id: 'A', name: 'a', path: '/a', remote: '/a.git', createdAt: 1 }
    expect(await store.addProject(project)).toBe('added')
    expect(await store.addProject({ ...project, name: 'other' })).toBe('exists')
    expect(store.listProjects()).toEqual([project])
    expect([await store.nextNumber('A'), await store.nextNumber('A'), await store.nextNumber('B')]).toEqual([1, 2, 1])
    const forge = { driver: 'github', ref: 'acme/a' }
    expect(await store.updateProject({ id: 'A', remote: '/b.git', forge })).toBe(true)
    expect(store.listProjects()).toEqual([{ ...project, remote: '/b.git', forge }])
    expect(await store.updateProject({ id: 'A', remote: '/b.git', tracker: forge })).toBe(true)
    expect(store.listProjects()).toEqual([{ ...project, remote: '/b.git', tracker: forge }])
    expect(await store.updateProject({ id: 'B', remote: '/b.git' })).toBe(false)
    const seen = { project: 'A', issue: '1', updatedAt: 5, data: { open: true, wanted: false, column: null } }
    const mark = { project: 'A', at: 1, value: '5' }
    const whats = ['polled-issues', 'comments:1', 'comment:7', 'told:A-1']
    const kept = (): (string | null)[] => whats.map((what) => store.mark({ project: 'A', what }))
    await store.putSeenIssue(seen)
    for (const what of whats) await store.putMark({ ...mark, what })
    await store.updateProject({ id: 'A', remote: '/c.git', tracker: forge, forge })
    expect([store.seenIssue(seen)?.updatedAt, kept()]).toEqual([5, ['5', '5', '5', '5']])
    await store.updateProject({ id: 'A', remote: '/c.git', tracker: { driver: 'github', ref: 'acme/b' } })
    expect([store.seenIssue(seen), kept()]).toEqual([null, [null, null, '5', '5']])
    expect(await store.removeProject('A')).toBe(true)
    expect(await store.removeProject('A')).toBe(false)
    expect(store.listProjects()).toEqual([])
    expect(await store.nextNumber('A')).toBe(3)
  })

  test('a number that a task has already, of an issue of a tracker, is passed over', async () => {
    const { store } = use()
    await openTask(store, 'A-1')
    await openTask(store, 'A-3')
    expect([await store.nextNumber('A'), await store.nextNumber('A')]).toEqual([2, 4])
  })

  test('numbers asked for at the same moment differ', async () => {
    const { store, another } = use()
    const other = await another()
    const numbers = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? store : other).nextNumber('A')))
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  })
}

function forgeContract(use: UseStore): void {
  const change: Omit<ChangeRow, 'number'> = {
    project: 'A',
    task: 'A-1',
    branch: 'orch/a-1',
    base: 'main',
    head: 'h1',
    title: 't',
    body: 'b',
    state: 'open',
    mergedSha: null,
    url: null,
    createdAt: 1,
    updatedAt: 1,
  }

  test('a forge’s number and page are kept; another number replaces it', async () => {
    const { store } = use()
    const saved = await store.saveChange({ ...change, number: 41, url: 'https://forge/41' })
    expect(saved).toMatchObject({ number: 41, url: 'https://forge/41' })
    expect(await store.saveChange({ ...change, url: 'https://forge/41' })).toMatchObject({ number: 41 })
    expect(await store.saveChange({ ...change, task: 'A-2' })).toMatchObject({ number: 42 })
    expect(await store.saveChange({ ...change, number: 50 })).toMatchObject({ task: 'A-1', number: 50, createdAt: 1 })
  })

  test('a change keeps its number and its birthday', async () => {
    const { store } = use()
    expect(await store.saveChange(change)).toEqual({ ...change, number: 1 })
    expect((await store.saveChange({ ...change, task: 'A-2' })).number).toBe(2)
    expect((await store.saveChange({ ...change, project: 'B', task: 'B-1' })).number).toBe(1)
    const merged = { ...change, head: 'h2', state: 'merged' as const, mergedSha: 'm', createdAt: 9, updatedAt: 9 }
    expect(await store.saveChange(merged)).toEqual({ ...merged, number: 1, createdAt: 1 })
    expect(store.getChange('A-1')).toEqual({ ...merged, number: 1, createdAt: 1 })
    expect(store.getChange('A-9')).toBeNull()
    expect(store.listChanges('A').map((row) => row.number)).toEqual([1, 2])
    expect(store.listChanges()).toHaveLength(3)
  })

  test('one review a reviewer and sha', async () => {
    const { store } = use()
    await store.saveChange(change)
    const review = {
      project: 'A',
      change: 1,
      sha: 'h1',
      by: 'claude',
      verdict: 'request_changes' as const,
      text: 'no',
      at: 1,
    }
    await store.saveReview(review)
    await store.saveReview({ ...review, verdict: 'approve', text: 'yes', at: 2 })
    await store.saveReview({ ...review, sha: 'h2', at: 3 })
    expect(store.listReviews('A', 1)).toEqual([
      { ...review, verdict: 'approve', text: 'yes', at: 2 },
      { ...review, sha: 'h2', at: 3 },
    ])
    expect(store.listReviews('A', 2)).toEqual([])
  })
}
