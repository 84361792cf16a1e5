// Settling a merge whose intent outlived its worker: by looking at main, and by what people asked for meanwhile.

import { expect, test } from 'vitest'
import { MERGE, POLICY, atLanding, report, taskIn, when } from '../core/test-spec.ts'
import type { Command } from '../core/messages.ts'
import type { Place } from './dispatch.ts'
import { StepOver } from './dispatch.ts'
import { makeLandHandler } from './land.ts'
import type { JobContext } from './worker.ts'

const BASE = 'b'.repeat(40)

/** A landing taken up again: main is where the merge was meant to go on, unless it holds the merge. */
async function takeUp(world: ReturnType<typeof atLanding>, main: { holds: boolean }) {
  const asked: string[] = []
  let w = world
  const isAncestor = async (): Promise<boolean> => main.holds
  const mirror = {
    isAncestor,
    push: async () => {
      asked.push('push')
      main.holds = true
      return { ok: true }
    },
    fetchBase: async () => ({ branch: 'main', sha: MERGE }),
  }
  const stage = POLICY.pipeline.stages[3]
  const project = { id: 'T', name: 't', path: '', remote: '', createdAt: 1 }
  // Only what settling asks of these is there: all else fails.
  const place = async (): Promise<Place> =>
    ({ task: taskIn(w), project, mirror, policy: POLICY, stage, base: { branch: 'main', sha: BASE } }) as never
  const submit = async (command: Command) => {
    asked.push(command.type)
    w = when(w, command)
    return { ok: true as const, task: taskIn(w) }
  }
  const { epoch } = taskIn(w)
  const job = {
    id: 1,
    effect: { kind: 'land' as const, task: 'T-1', epoch },
    lane: '',
    token: 1,
    failures: 0,
    leaseUntil: 0,
  }
  const context: JobContext = { job, signal: new AbortController().signal, submit }
  const handler = makeLandHandler({ capabilities: {} as never, dispatch: { place } as never, verifier: {} as never })
  const command = await handler(job, context).catch((error: unknown) => {
    if (error instanceof StepOver) return null
    throw error
  })
  return { asked, command, task: taskIn(w) }
}

function intended(): ReturnType<typeof atLanding> {
  const w = atLanding()
  return when(w, report(w).intendMerge())
}

test('S9: an interrupted merge that main does not hold is made; one that it holds is confirmed', async () => {
  expect(await takeUp(intended(), { holds: false })).toMatchObject({
    asked: ['push'],
    command: { type: 'confirm-merge' },
  })
  expect(await takeUp(intended(), { holds: true })).toMatchObject({ asked: [], command: { type: 'confirm-merge' } })
})

test('a merge cancelled while it was interrupted is given up, unless main holds it already', async () => {
  const cancelled = when(intended(), { type: 'cancel', task: 'T-1' })
  const given = await takeUp(cancelled, { holds: false })
  expect(given).toMatchObject({ asked: ['abandon-merge'], command: null, task: { status: 'cancelled', landing: null } })
  expect((await takeUp(cancelled, { holds: true })).command).toMatchObject({ type: 'confirm-merge', mergedSha: MERGE })
})
