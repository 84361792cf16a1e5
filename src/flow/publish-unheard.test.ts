// Publishing again after an attempt of which nobody heard the end.

import { expect, test } from 'vitest'
import { HEAD, POLICY, atLanding, taskIn } from '../core/test-spec.ts'
import type { IntentRow } from '../store/store.ts'
import type { Place } from './dispatch.ts'
import { makePublishHandler } from './publish.ts'
import type { JobContext } from './worker.ts'

const EARLIER = 'd'.repeat(40)

/** Publishes HEAD while the remote's branch is at `there`; gives what was pushed. */
async function publish(of: { there: string; publishedSha: string | null; intents: Partial<IntentRow>[] }) {
  const pushed: unknown[] = []
  const landing = taskIn(atLanding())
  const branch = landing.branch ?? ''
  const step = { kind: 'publish' as const, stage: 'show', sha: HEAD }
  const task = { ...landing, stage: 'show', step, publishedSha: of.publishedSha }
  const mirror = {
    remoteBranches: async () => new Map([[branch, of.there]]),
    push: async (request: unknown) => {
      pushed.push(request)
      return { ok: true }
    },
  }
  const project = { id: 'T', name: 't', path: '', remote: '', createdAt: 1 }
  // Only what publishing asks of these is there: all else fails.
  const place = async (): Promise<Place> =>
    ({ task, project, mirror, policy: POLICY, base: { branch: 'main', sha: 'b' } }) as never
  const effect = { kind: 'publish' as const, task: task.id, epoch: task.epoch }
  const job = { id: 1, effect, lane: '', token: 1, failures: 0, leaseUntil: 0 }
  const submit = async () => ({ ok: true as const, task })
  const context: JobContext = { job, signal: new AbortController().signal, submit }
  const capabilities = {
    forgeOf: () => ({ ensureChange: async () => ({}) }),
    remoteForgeOf: () => null,
    store: { listIntents: () => of.intents.map((intent) => ({ kind: 'change', data: { branch }, ...intent })) },
  }
  const handler = makePublishHandler(capabilities as never, { place } as never)
  const command = await handler(job, context)
  return { pushed, command, branch }
}

test('S9: a head that was pushed without an answer is ours: the branch goes on, no second one is made', async () => {
  const intents = [{ key: EARLIER, state: 'compensated' as const }]
  const first = await publish({ there: EARLIER, publishedSha: null, intents })
  expect(first.pushed).toEqual([{ sha: HEAD, branch: first.branch, expected: EARLIER }])
  const later = await publish({ there: EARLIER, publishedSha: 'e'.repeat(40), intents })
  expect(later.pushed).toEqual([{ sha: HEAD, branch: later.branch, expected: EARLIER }])
})

test('what somebody else put there is left alone', async () => {
  const foreign = await publish({ there: EARLIER, publishedSha: null, intents: [{ key: HEAD, state: 'open' }] })
  expect(foreign.pushed).toEqual([{ sha: HEAD, branch: `${foreign.branch}-2`, expected: null }])
  await expect(publish({ there: EARLIER, publishedSha: 'e'.repeat(40), intents: [] })).rejects.toThrow(/did not push/)
})
