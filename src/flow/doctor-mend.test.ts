// What the doctor finds between the books and the world, and what it mends of it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Task } from '../core/task.ts'
import type { IntentRow, Store } from '../store/store.ts'
import type { Mirror, PushResult } from '../workspace/workspace.ts'
import { GOOD, NOW, doctor, examine, mirror, statuses, unused } from './__fixtures__/doctor.ts'
import type { DoctorReport } from './app.ts'
import type { Books } from './doctor-parts.ts'
import { MARKER } from './settle-restore.ts'

test('a database that complains, or can’t be read, fails by what is wrong', async () => {
  const health = {
    version: 1,
    knownVersion: 2,
    bytes: 5,
    logBytes: 2 ** 40,
    looked: 'all',
    damage: ['page 3'],
    dangling: ['2 rows'],
    settings: ['journal_mode is delete'],
  }
  const store = { health: () => health } as Partial<Store> as Store
  const checks = await doctor({ clone: GOOD, books: { store } })
  const names = ['database.version', 'database.integrity', 'database.references', 'database.settings']
  expect(statuses(checks, 'failed')).toEqual(names)
  expect(statuses(checks, 'warning')).toEqual(['database.size'])
  const unreadable = (): never => {
    throw new Error('disk I/O error')
  }
  const dead = await doctor({ clone: GOOD, books: { store: { health: unreadable } as Partial<Store> as Store } })
  expect(statuses(dead, 'failed')).toEqual(['database.reads'])
})

/** A task that is over, as the store would tell it, with what it pushed. */
function overTask(state: Partial<Task>, pushed: string[]): Partial<Store> {
  return {
    getTask: (id) =>
      id === 'SHOP-1' ? { version: 1, state: { id, branch: 'orch/SHOP-1-x', ...state } as Task } : null,
    listIntents: ({ task }) =>
      task === undefined ? [] : pushed.map((key) => ({ kind: 'change', key, task }) as Partial<IntentRow> as IntentRow),
  }
}

async function withBranches(
  branches: Record<string, string>,
  state: Partial<Task>,
  answer: PushResult = { ok: true },
): Promise<{ report: DoctorReport; deleted: string[] }> {
  const deleted: string[] = []
  const given = mirror({ clone: GOOD })
  const changed: Mirror = new Proxy(given, {
    get(target, key) {
      if (key === 'remoteBranches') return async () => new Map(Object.entries(branches))
      if (key === 'deleteBranch')
        return async (request: { branch: string; expected: string }) => {
          deleted.push(`${request.branch} ${request.expected}`)
          return answer
        }
      return target[key as keyof Mirror]
    },
  })
  const report = await examine(
    { clone: GOOD, books: { store: overTask(state, ['pushed']) as Store }, change: { mirror: async () => changed } },
    { profiles: ['project'], fix: true },
  )
  return { report, deleted }
}

test('a branch of an ended task goes only as Orch pushed it', async () => {
  const cancelled = await withBranches({ 'orch/SHOP-1-x': 'pushed' }, { status: 'cancelled', mergedSha: null })
  expect(cancelled.deleted).toEqual(['orch/SHOP-1-x pushed'])
  expect(cancelled.report.fixed).toEqual(['deleted branch orch/SHOP-1-x on the remote'])
  const moved = await withBranches({ 'orch/SHOP-1-x': 'elsewhere' }, { status: 'cancelled', mergedSha: null })
  expect(moved.deleted).toEqual([])
  expect(moved.report.notFixed).toEqual(['branch orch/SHOP-1-x: it is at elsewhere, which Orch did not push'])
  const refused = { ok: false as const, because: 'refused' as const, text: 'protected' }
  const kept = await withBranches({ 'orch/SHOP-1-x': 'pushed' }, { status: 'done', mergedSha: 'm' }, refused)
  expect(kept.report.notFixed).toEqual(['branch orch/SHOP-1-x: protected'])
})

test('branches of open tasks, of changes that a person will merge, and of other names are nobody’s to mend', async () => {
  for (const state of [
    { status: 'running' as const, mergedSha: null },
    { status: 'running' as const, mergedSha: 'm' },
    { status: 'done' as const, mergedSha: null },
  ]) {
    const { report, deleted } = await withBranches({ 'orch/SHOP-1-x': 'pushed', 'orch/SHOP-1-y': 'pushed' }, state)
    expect(report.checks.find((check) => check.name === 'project.branches')?.status).toBe('ok')
    expect([...deleted, ...report.fixed, ...report.notFixed]).toEqual([])
  }
})

test('what a job is about to remove is in order until the job is put aside', async () => {
  const seen = async (state: 'queued' | 'parked') => {
    const clean = { id: 1, kind: 'clean' as const, state, epoch: null, runAt: 0 }
    const store = { ...overTask({ status: 'cancelled' }, []), jobsOf: () => [clean] } as Partial<Store> as Store
    const workspaces = { list: async () => [{ task: 'SHOP-1', readCopies: [] }], remove: unused }
    const world = { ...workspaces, discard: unused, findReadCopy: unused }
    const checks = await doctor({ clone: GOOD, books: { store, workspaces: world } }, { profiles: ['service'] })
    return checks.get('drift.workspaces')?.status
  }
  expect(await seen('queued')).toBe('ok')
  expect(await seen('parked')).toBe('warning')
})

test('a lock that can’t be had at all is told, and what needs it is left', async () => {
  const lock = (): never => {
    throw new Error('read-only file system')
  }
  const workspaces = {
    list: async () => [{ task: 'SHOP-9', readCopies: [] }],
    remove: unused,
    discard: unused,
    findReadCopy: unused,
  }
  const report = await examine(
    { clone: GOOD, books: { workspaces }, change: { lock } },
    { profiles: ['service'], fix: true },
  )
  expect(report.fixed).toEqual([])
  expect(report.notFixed).toEqual([expect.stringContaining('read-only file system')])
})

test('after a restore nothing is taken for drift before `orch up` has looked', async () => {
  const home = mkdtempSync(join(tmpdir(), 'orch-restored-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  writeFileSync(join(home, MARKER), '{}')
  const workspaces = {
    list: async () => [{ task: 'SHOP-9', readCopies: [] }],
    remove: unused,
    discard: unused,
    findReadCopy: unused,
  }
  const setting = { clone: GOOD, books: { workspaces }, change: { home, lock: unused } }
  const report = await examine(setting, { profiles: ['service'], fix: true })
  expect(report.fixed).toEqual([])
  expect(report.notFixed).toEqual([expect.stringContaining('run `orch up` first')])
})

test('one thing that can’t be mended holds up none of the others', async () => {
  const left = new Set(['SHOP-8', 'SHOP-9'])
  const workspaces: Books['workspaces'] = {
    list: async () => [...left].map((task) => ({ task, readCopies: [] })),
    remove: async (task) => {
      if (task === 'SHOP-8') throw new Error('no space left')
      left.delete(task)
      return { saved: null }
    },
    discard: unused,
    findReadCopy: unused,
  }
  const report = await examine({ clone: GOOD, books: { workspaces } }, { profiles: ['service'], fix: true })
  expect(report.fixed).toEqual(['removed the workspace of SHOP-9'])
  expect(report.notFixed).toEqual(['workspace SHOP-8: no space left'])
  const check = report.checks.find((one) => one.name === 'drift.workspaces')
  expect(check).toMatchObject({
    status: 'warning',
    text: expect.stringMatching(/^1 workspace .*SHOP-8 \(no such task\)$/),
  })
})

test('an open intent without the step that settles it is named', async () => {
  const intent = { kind: 'merge', task: 'SHOP-1', key: 'abcdef0123456789' } as Partial<IntentRow> as IntentRow
  const seen = async (step: Task['step']) =>
    (
      await doctor({
        clone: GOOD,
        books: {
          store: {
            getTask: () => ({ version: 1, state: { status: 'running', step } as Partial<Task> as Task }),
            listIntents: () => [intent],
          } as Partial<Store> as Store,
        },
      })
    ).get('drift.intents')
  expect(await seen({ kind: 'land', stage: 'land', sha: 'x' })).toMatchObject({ status: 'ok' })
  expect(await seen({ kind: 'publish', stage: 'publish', sha: 'x' })).toMatchObject({
    status: 'warning',
    text: expect.stringContaining('merge of SHOP-1 (abcdef0123)'),
  })
})

test('jobs that were put aside and rows that were mended are told, the latter for a week', async () => {
  const seen = async (lastAt: number) => {
    const store: Partial<Store> = {
      parkedJobs: () => [{ id: 7, kind: 'publish', task: 'SHOP-1', epoch: 3, failures: 4, error: 'no route\n  at x' }],
      healed: () => [{ what: 'lane', n: 2, lastAt }],
    }
    return doctor({ clone: GOOD, books: { store: store as Store } })
  }
  const recent = await seen(NOW - 1_000)
  expect(recent.get('service.parked')).toMatchObject({ status: 'warning', text: expect.stringContaining('SHOP-1') })
  expect(recent.get('service.parked')?.text).toContain('4 failures: no route')
  expect(recent.get('service.healed')).toMatchObject({ status: 'warning', text: expect.stringContaining('2 lane') })
  expect((await seen(NOW - 8 * 24 * 3_600_000)).get('service.healed')?.status).toBe('ok')
})
