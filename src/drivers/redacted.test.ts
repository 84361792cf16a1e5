// Texts on their way to a vendor, and a vendor's reason on its way in.

import { expect, test } from 'vitest'
import { makeRedactor } from '../lib/redact.ts'
import type { ChangeRow } from '../store/store.ts'
import type { MergeAnswer, RemoteForge, Tracker } from './driver.ts'
import { redactedForge, redactedTracker } from './redacted.ts'

const SECRET = 'hunter2-hunter2-hunter2'
const redactor = makeRedactor([SECRET])

test('S14: no text leaves with a secret in it, whichever field holds it', async () => {
  const sent: unknown[] = []
  const send = async (...what: unknown[]): Promise<never> => {
    sent.push(what)
    return { ok: true, mergedSha: null, url: '' } as never
  }
  const forge = redactedForge(
    {
      ensureChange: send,
      addReview: send,
      ensureComment: send,
      ensureReply: send,
      merge: send,
    } as never as RemoteForge,
    redactor,
  )
  const tracker = redactedTracker({ ensureComment: send } as never as Tracker, redactor)
  const text = `It is ${SECRET}.`
  await forge.ensureChange({ title: text, body: text } as never)
  await forge.addReview({ text } as never)
  await forge.ensureComment('T-1', { key: 'k', body: text, role: null })
  await forge.ensureReply('T-1', { thread: '1', key: 'k', body: text })
  await forge.merge({ task: 'T-1', head: 'h', method: 'merge', title: text, message: text })
  await tracker.ensureComment('1', { key: 'k', body: text, role: null })
  expect(sent).toHaveLength(6)
  expect(JSON.stringify(sent)).not.toContain(SECRET)
  expect(JSON.stringify(sent).match(/It is \[hidden/g)).toHaveLength(8)
})

test('why a merge was refused, and what a change is, come back without one', async () => {
  const refusal: MergeAnswer = { ok: false, because: 'blocked', text: `pushed with ${SECRET}` }
  const row = { task: 'T-1' } as ChangeRow
  const forge = redactedForge(
    { merge: async () => refusal, closeChange: async () => row } as never as RemoteForge,
    redactor,
  )
  const order = { task: 'T-1', head: 'h', method: 'merge', title: 't', message: 'm' } as const
  expect(await forge.merge(order)).toEqual({
    ok: false,
    because: 'blocked',
    text: 'pushed with [hidden: known secret]',
  })
  expect(await forge.closeChange('T-1')).toBe(row)
})
