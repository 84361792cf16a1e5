// Publishing a head: intended before it is pushed, never over what somebody else put there.

import { expect, test } from 'vitest'
import { HEAD, MAKE_GREEN, POLICY, type World, judging, report, started, taskIn, when } from '../core/test-spec.ts'
import type { Command } from '../core/messages.ts'
import type { Task } from '../core/task.ts'
import { ExternalError } from '../lib/errors.ts'
import type { PushResult } from '../workspace/workspace.ts'
import { StepOver, StepTrouble } from './dispatch.ts'
import { makePublishHandler } from './publish.ts'
import type { JobContext } from './worker.ts'

const BRANCH = 'orch/T-1-do-it'
const OURS = 'e'.repeat(40)
const THEIRS = 'f'.repeat(40)

function publishing(): World {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  return when(w, report(w).begin)
}

/** Publishes against a remote that has these branches; gives what was done, in order, and how it ended. */
async function publish(options: {
  taken?: Record<string, string>
  answer?: PushResult
  task?: Partial<Task>
  cancelled?: boolean
  /** The change at the forge, where there is one. */
  shown?: 'open' | 'closed'
}) {
  const done: unknown[] = []
  let w = publishing()
  if (options.cancelled) w = when(w, { type: 'cancel', task: 'T-1' })
  const step = { kind: 'publish' as const, stage: 'show', sha: HEAD }
  const task = { ...taskIn(publishing()), ...options.task, step }
  const mirror = {
    remoteBranches: async () => new Map(Object.entries(options.taken ?? {})),
    push: async (request: unknown) => {
      done.push(request)
      return options.answer ?? { ok: true }
    },
  }
  const stage = POLICY.pipeline.stages[1]
  const project = { id: 'T', name: 't', path: '', remote: '', createdAt: 1 }
  const place = async () => ({ task, project, mirror, policy: POLICY, stage, base: { branch: 'main', sha: HEAD } })
  const submit = async (command: Command) => {
    const after = when(w, command)
    if (!after.last.ok) return { ok: false as const, because: 'refused' as const, refusal: after.last.refusal }
    w = after
    done.push(command.type)
    return { ok: true as const, task: taskIn(w) }
  }
  const effect = { kind: 'publish' as const, task: 'T-1', epoch: task.epoch }
  const job = { id: 1, effect, lane: '', token: 1, failures: 0, leaseUntil: 0 }
  const context: JobContext = { job, signal: new AbortController().signal, submit }
  const forge = { ensureChange: async () => done.push('change') }
  // Only what publishing asks of these is there: all else fails.
  const capabilities = {
    forgeOf: () => forge as never,
    remoteForgeOf: () => ({ findChange: async () => ({ number: 7, state: options.shown ?? 'open' }) }) as never,
    store: { listIntents: () => [], getChange: () => null } as never,
  }
  const handler = makePublishHandler(capabilities, { place } as never)
  const ended = await handler(job, context).catch((error: unknown) => error)
  return { done, ended }
}

test('S9: the intent is committed, then the branch is pushed, then the change is open', async () => {
  const { done, ended } = await publish({})
  expect(done).toEqual(['intend-change', { sha: HEAD, branch: BRANCH, expected: null }, 'change'])
  expect(ended).toMatchObject({ type: 'confirm-change', branch: BRANCH, sha: HEAD })
})

test('S9, S12: without its intent nothing is pushed', async () => {
  const { done, ended } = await publish({ cancelled: true })
  expect(done).toEqual([])
  expect(ended).toBeInstanceOf(StepOver)
})

test('S9: a head that is there already, from before a crash, is not pushed again', async () => {
  const { done, ended } = await publish({ taken: { [BRANCH]: HEAD } })
  expect(done).toEqual(['intend-change', 'change'])
  expect(ended).toMatchObject({ type: 'confirm-change' })
})

test('S15: what Orch pushed is moved on from exactly there', async () => {
  const { done } = await publish({ taken: { [BRANCH]: OURS }, task: { publishedSha: OURS, branch: BRANCH } })
  expect(done).toContainEqual({ sha: HEAD, branch: BRANCH, expected: OURS })
})

test('a change that a person closed is not opened again, though nobody told of it: its task ends', async () => {
  const at = { taken: { [BRANCH]: OURS }, task: { publishedSha: OURS, branch: BRANCH } }
  const { done, ended } = await publish({ ...at, shown: 'closed' })
  expect(done).toEqual(['close-outside'])
  expect(ended).toBeInstanceOf(StepOver)
})

test('S15: a branch of somebody else’s is left alone: ours gets a suffix, and one that moved under us holds', async () => {
  const other = await publish({ taken: { [BRANCH]: THEIRS, [`${BRANCH}-2`]: THEIRS } })
  expect(other.done).toContainEqual({ sha: HEAD, branch: `${BRANCH}-3`, expected: null })
  const moved = await publish({ taken: { [BRANCH]: THEIRS }, task: { publishedSha: OURS, branch: BRANCH } })
  expect(moved.done).toEqual([])
  expect(moved.ended).toBeInstanceOf(StepTrouble)
  expect(moved.ended).toMatchObject({ trouble: { class: 'hold', code: 'branch-moved' } })
})

test('S13: a remote that refuses needs a person; one that moved or is out of reach is asked again', async () => {
  const refused = await publish({ answer: { ok: false, because: 'refused', text: 'a hook' } })
  expect(refused.ended).toBeInstanceOf(StepTrouble)
  expect(refused.ended).toMatchObject({ trouble: { class: 'hold', code: 'push-refused' } })
  for (const because of ['moved', 'unreachable'] as const) {
    const { ended } = await publish({ answer: { ok: false, because, text: 'x' } })
    expect(ended).toBeInstanceOf(ExternalError)
    expect(ended).toMatchObject({ kind: because === 'moved' ? 'conflict' : 'unreachable' })
  }
})
