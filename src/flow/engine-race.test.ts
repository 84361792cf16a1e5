// A race that is certainly lost: somebody else commits between the engine's look and its own commit.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { HEAD, OPEN, POLICY } from '../core/test-spec.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { rowMismatches } from '../store/test-fold-journal.ts'
import { type Engine, makeEngine } from './engine.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
let engine: Engine

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-race-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: () => 1_000, wake: () => undefined })
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

/** An engine that is overtaken once, by this command. */
function overtaken(rival: Command): Engine {
  let free = false
  const commit: Store['commit'] = async (own) => {
    if (!free) {
      free = true
      expect(await engine.submit(rival, by)).toMatchObject({ ok: true })
    }
    return store.commit(own)
  }
  return makeEngine({ store: { ...store, commit }, now: () => 1_000, wake: () => undefined })
}

/** Answered or thrown, whichever it was. */
const ended = (engine: Engine, command: Command): Promise<unknown> =>
  engine.submit(command, by).catch((error: unknown) => error)

test('S1: whoever lost decides again on what the winner left', async () => {
  await engine.submit(OPEN, by)
  const pause: Command = { type: 'pause', task: 'T-1' }
  expect(await ended(overtaken({ type: 'edit-task', task: 'T-1', title: 'First' }), pause)).toMatchObject({
    ok: true,
    task: { title: 'First', paused: true },
  })
  const late: Command = { type: 'edit-task', task: 'T-1', title: 'Late' }
  expect(await ended(overtaken({ type: 'cancel', task: 'T-1' }), late)).toMatchObject({
    ok: false,
    refusal: { code: 'task-ended' },
  })
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'cancelled', title: 'First' })
  expect(rowMismatches(store)).toEqual([])
})

/** The task at its publication; the command that ends it leads into the train. */
async function published(id: string): Promise<Command> {
  const stages = POLICY.pipeline.stages
    .filter((stage) => stage.name !== 'look')
    .map((stage) => ({ ...stage, gates: [] }))
  const policy = { ...POLICY, pipeline: { ...POLICY.pipeline, stages } }
  const at = (epoch: number) => ({ task: id, epoch })
  const run = { runId: `${id}-1`, role: 'maker', agent: 'bot', model: null }
  const used = { usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, costUsd: 0, sessionId: null }
  const commands: Command[] = [
    { ...OPEN, task: id, origin: `local:${id}` },
    { type: 'begin-step', ...at(1) },
    { type: 'start-task', ...at(1), policy, baseSha: 'b', branch: id },
    { type: 'begin-run', ...at(1), ...run, why: '' },
    { type: 'end-run', ...at(1), ...run, outcome: { kind: 'succeeded' }, headSha: HEAD, ...used },
    { type: 'begin-step', ...at(2) },
    { type: 'judge-stage', ...at(2), stage: 'make', sha: HEAD, verdicts: [] },
    { type: 'begin-step', ...at(3) },
  ]
  for (const command of commands) expect(await engine.submit(command, by)).toMatchObject({ ok: true })
  return { type: 'confirm-change', ...at(3), branch: id, sha: HEAD }
}

test('S6: two that enter the train at once are both in it, and one of them lands', async () => {
  const [first, second] = [await published('T-1'), await published('T-2')]
  expect(await ended(overtaken(second), first)).toMatchObject({ ok: true })
  expect(store.getRepository('T')?.state.train.entries.map((entry) => entry.task)).toEqual(['T-2', 'T-1'])
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'waiting', waitingFor: 'train' })
  expect(['T-1', 'T-2'].map((id) => store.jobsOf(id).map((job) => job.kind))).toEqual([[], ['land']])
  expect(rowMismatches(store)).toEqual([])
})
