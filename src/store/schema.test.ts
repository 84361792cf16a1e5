// What the database refuses whoever writes to it: the last line behind the code that should never try.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { commitOf, openedEvent, queued, runEffect, taskCommit } from './__fixtures__/commits.ts'
import { connect } from './sql-connection.ts'
import type { Sql } from './sql.ts'
import { makeStore } from './sqlite.ts'
import type { Store } from './store.ts'

let dir: string
let sql: Sql
let store: Store
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orch-schema-'))
  sql = await connect(join(dir, 'orch.db'))
  store = makeStore(sql)
  await store.commit(
    taskCommit(store, 'A-1', { events: [openedEvent('A-1')], parts: { effects: [queued(runEffect('A-1'))] } }),
  )
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})

const change = (text: string) => (): void => sql.exec(text)

test('S12: a task is open exactly as long as its status says so', () => {
  expect(change('UPDATE tasks SET is_open = 0')).toThrow(/CHECK/)
  expect(change("UPDATE tasks SET status = 'done'")).toThrow(/CHECK/)
  sql.exec("UPDATE tasks SET status = 'done', is_open = 0")
  expect(change("UPDATE tasks SET status = 'queued'")).toThrow(/CHECK/)
})

test('S17: what the journal holds is neither changed nor deleted', () => {
  expect(change("UPDATE events SET type = 'other'")).toThrow(/append-only/)
  expect(change('DELETE FROM events')).toThrow(/append-only/)
  expect(store.listEvents({}).map((entry) => entry.type)).toEqual(['task.opened'])
})

test('S3: only a running job has a worker, and only one that has a lease', () => {
  expect(change("UPDATE jobs SET worker = 'w'")).toThrow(/CHECK/)
  expect(change('UPDATE jobs SET lease_until = 5')).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'running', worker = 'w'")).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'running', lease_until = 5")).toThrow(/CHECK/)
})

test('L4: a job that has ended is not live, whatever its end is called', () => {
  expect(change("UPDATE jobs SET state = 'done'")).toThrow(/CHECK/)
  expect(change('UPDATE jobs SET is_live = 0')).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'forgotten', in_lane = 0, is_live = 0")).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'done', in_lane = 0, is_live = 0")).not.toThrow()
})

test('L2: a job has its place in the lane while it is queued or running, and only then', () => {
  expect(change('UPDATE jobs SET in_lane = 0')).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'delayed'")).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'delayed', in_lane = 0")).not.toThrow()
})

test('L6: a job that is put aside says why', () => {
  expect(change("UPDATE jobs SET state = 'parked', in_lane = 0")).toThrow(/CHECK/)
  expect(change("UPDATE jobs SET state = 'parked', in_lane = 0, error = 'it broke'")).not.toThrow()
})

test('S6: no lane has less than nothing running', () => {
  expect(change('UPDATE lanes SET running = running - 1')).toThrow(/CHECK/)
})

test('S10: a run has ended exactly when it has an outcome', async () => {
  const run = { project: 'A', stage: 'make', role: 'maker', agent: 'bot', model: null, attempt: 1, why: '' }
  await store.commit(commitOf({ runs: [{ op: 'begin', run: { id: 'A-1-1', task: 'A-1', startedAt: 1, ...run } }] }))
  expect(change('UPDATE runs SET ended_at = 5')).toThrow(/CHECK/)
  expect(change("UPDATE runs SET outcome = '{}'")).toThrow(/CHECK/)
})

test('S8: a verdict is one of four', () => {
  const insert = (result: string) =>
    change(
      `INSERT INTO evidence (id, project, gate, stage, sha, config_hash, result, at, data) VALUES ('e', 'A', 'verify', 'make', 's', 'c', '${result}', 1, '{}')`,
    )
  expect(insert('green')).toThrow(/CHECK/)
  expect(insert('pass')).not.toThrow()
})

test('S8: a review is of a change that is there', () => {
  expect(
    change(
      "INSERT INTO reviews (project, change, sha, by, verdict, text, at) VALUES ('A', 7, 's', 'b', 'approve', '', 1)",
    ),
  ).toThrow(/FOREIGN KEY/)
})

test('S9: an intent is settled exactly when it has the time of its end', async () => {
  await store.commit(commitOf({ intents: [{ op: 'open', kind: 'merge', task: 'A-1', key: 'k', data: {} }] }))
  expect(change('UPDATE intents SET settled_at = 5')).toThrow(/CHECK/)
  expect(change("UPDATE intents SET state = 'confirmed'")).toThrow(/CHECK/)
})

test('S7: a delivery is kept once', () => {
  const deliver = change(
    "INSERT INTO deliveries (delivery_id, source, event, hash, received_at, state, next_at) VALUES ('d-1', 'github', 'push', x'00', 1, 'received', 1)",
  )
  deliver()
  expect(deliver).toThrow(/UNIQUE/)
})
