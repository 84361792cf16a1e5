// The audit of webhooks as a file: what is written, cut, kept and read again.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { systemTimers } from '../lib/clock.ts'
import { type Audit, type AuditLine, auditPath, makeAudit, readAudit } from './webhook-audit.ts'

const root = mkdtempSync(join(tmpdir(), 'orch-audit-'))
afterAll(() => rmSync(root, { recursive: true }))

const START = Date.parse('2026-11-26T12:00:00.000Z')

function world(more: { maxBytes?: number } = {}): { audit: Audit; home: string; at: { now: number } } {
  const at = { now: START }
  const home = mkdtempSync(join(root, 'home-'))
  const onError = (error: unknown): never => {
    throw error
  }
  return { audit: makeAudit({ home, now: () => at.now, timers: systemTimers, onError, ...more }), home, at }
}

const linesIn = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)

test('each line says when it was, whatever stood before it', async () => {
  const { audit, home, at } = world()
  audit.add({ what: 'request', source: 'github', status: 202, delivery: 'one', event: 'issues' })
  audit.add({ what: 'request', source: null, status: 404, reason: 'nothing is here' })
  at.now += 1_500
  audit.add({ what: 'poll', note: 'a "quoted"\nnote' })
  await audit.flush()
  expect(linesIn(auditPath(home))).toEqual([
    {
      at: '2026-11-26T12:00:00.000Z',
      what: 'request',
      source: 'github',
      status: 202,
      delivery: 'one',
      event: 'issues',
    },
    { at: '2026-11-26T12:00:00.000Z', what: 'request', source: null, status: 404, reason: 'nothing is here' },
    { at: '2026-11-26T12:00:01.500Z', what: 'poll', note: 'a "quoted"\nnote' },
  ])
})

test('what a sender made long is cut; what was noted is left as it is', async () => {
  const { audit, home } = world()
  const line: AuditLine = {
    what: 'request',
    source: 'gitea',
    status: 401,
    delivery: 'd'.repeat(5_000),
    event: 'e'.repeat(400),
  }
  audit.add(line)
  audit.add({ what: 'poll', note: 'n'.repeat(300) })
  await audit.flush()
  expect(linesIn(auditPath(home))).toEqual([
    expect.objectContaining({ delivery: `${'d'.repeat(299)}…`, event: `${'e'.repeat(299)}…`, status: 401 }),
    expect.objectContaining({ note: 'n'.repeat(300) }),
  ])
  expect(line).toMatchObject({ event: 'e'.repeat(400) })
})

test('a full file makes room for a new one; three older ones are kept, and read as one', async () => {
  const { audit, home, at } = world({ maxBytes: 1 })
  for (let n = 0; n < 6; n++) {
    audit.add({ what: 'request', source: 'github', status: n < 5 ? 202 : 500 })
    await audit.flush()
    at.now += 60_000
  }
  expect(readdirSync(home).toSorted()).toEqual([
    'webhooks.1.jsonl',
    'webhooks.2.jsonl',
    'webhooks.3.jsonl',
    'webhooks.jsonl',
  ])
  const all = await readAudit(home, { since: START, maxLines: 100 })
  expect(all).toMatchObject({ requests: 4, byStatus: { 202: 3, 500: 1 }, rate5xx: 25 })
  const last = await readAudit(home, { since: START + 4 * 60_000, maxLines: 100 })
  expect(last).toMatchObject({ requests: 2, rate5xx: 50 })
})
