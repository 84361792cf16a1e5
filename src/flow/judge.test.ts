// Judging a stage with gates that say what the case wants: what is run, what is recorded, to what it is bound.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HEAD, POLICY, report, started, taskIn, when } from '../core/test-spec.ts'
import { type Judgement, failed, passed, unknown } from '../core/verdict.ts'
import type { Gate } from '../gates/gate.ts'
import { diskFiles } from '../lib/files.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { makeJudgeHandler } from './judge.ts'
import type { JobContext } from './worker.ts'

let dir: string
let store: Store

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-judge-'))
  store = await openStore(join(dir, 'orch.db'))
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

/** Judges the stage `make` with these two gates; `verify` is the costly one. */
async function judge(gates: { changes: Judgement; verify: Judgement }, onUnknown: Gate['onUnknown'] = 'closed') {
  const asked: string[] = []
  const gate = (name: 'changes' | 'verify'): Gate => ({
    name,
    costly: name === 'verify',
    onUnknown,
    describe: name,
    collect: async () => (asked.push(name), gates[name]),
  })
  let w = started()
  w = when(w, report(w).end())
  w = when(w, report(w).begin)
  const task = taskIn(w)
  const mirror = { mergeBase: async () => 'b' }
  const project = { id: 'T', name: 't', path: '', remote: '', createdAt: 1 }
  const stage = POLICY.pipeline.stages[0]
  const place = async () => ({ task, project, mirror, policy: POLICY, stage, base: { branch: 'main', sha: 'b' } })
  let ids = 0
  const deps = {
    home: dir,
    files: diskFiles,
    store,
    now: () => 1,
    newId: () => `id-${++ids}`,
    gates: { changes: gate('changes'), verify: gate('verify') },
    dispatch: { place },
  }
  const effect = { kind: 'judge' as const, task: 'T-1', epoch: task.epoch }
  const job = { id: 1, effect, lane: '', token: 1, failures: 0, leaseUntil: 0 }
  const unused = async (): Promise<never> => Promise.reject(new Error('not expected'))
  const context: JobContext = { job, signal: new AbortController().signal, submit: unused }
  // Only what judging asks of these is there: all else fails.
  const command = await makeJudgeHandler(deps as never)(job, context)
  return { asked, command }
}

const unsure = unknown('verify-timeout', 'an hour', { retryable: true })

test('S8: every gate is asked, and its verdict is of the head and the configuration that were judged', async () => {
  const { asked, command } = await judge({ changes: passed('2'), verify: passed('ok') })
  expect(asked).toEqual(['changes', 'verify'])
  const bound = { stage: 'make', sha: HEAD, configHash: 'c1', result: 'pass' }
  expect(command).toMatchObject({
    type: 'judge-stage',
    stage: 'make',
    sha: HEAD,
    verdicts: [
      { gate: 'changes', ...bound },
      { gate: 'verify', ...bound },
    ],
  })
  expect(store.listEvidence({ task: 'T-1' }).map(({ gate, sha, configHash }) => [gate, sha, configHash])).toEqual(
    expect.arrayContaining([
      ['changes', HEAD, 'c1'],
      ['verify', HEAD, 'c1'],
    ]),
  )
})

test('a costly gate is spared when a cheap one has failed, and only then', async () => {
  expect((await judge({ changes: failed('none', []), verify: passed('ok') })).asked).toEqual(['changes'])
  expect((await judge({ changes: unsure, verify: passed('ok') })).asked).toEqual(['changes', 'verify'])
})

test('S8: a gate that fails closed stays unknown; one that fails open says that it was not judged', async () => {
  const closed = await judge({ changes: passed('2'), verify: unsure })
  expect(closed.command).toMatchObject({
    verdicts: [{ result: 'pass' }, { result: 'unknown', reason: 'verify-timeout' }],
  })
  const open = await judge({ changes: passed('2'), verify: unsure }, 'open')
  expect(open.command).toMatchObject({
    verdicts: [{ result: 'pass' }, { result: 'pass', note: expect.stringContaining('could not be judged') }],
  })
})
