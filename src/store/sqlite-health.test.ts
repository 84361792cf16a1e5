// A database that was damaged on purpose, in each way that its health tells of.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openedEvent, taskCommit } from './__fixtures__/commits.ts'
import { makeSql } from './sql.ts'
import { VERSION } from './sql-connection.ts'
import { readHealth } from './sqlite-health.ts'
import { openStore } from './sqlite.ts'

/** A closed database with a hundred tasks. */
async function database(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-health-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'orch.db')
  const store = await openStore(path)
  for (let n = 1; n <= 100; n++)
    await store.commit(taskCommit(store, `A-${n}`, { events: [openedEvent(`A-${n}`, { body: 'x'.repeat(2_000) })] }))
  store.close()
  return path
}

async function healthOf(path: string) {
  const store = await openStore(path)
  try {
    return store.health()
  } finally {
    store.close()
  }
}

test('pages that were overwritten are damage, named and bounded', async () => {
  const path = await database()
  const { length } = readFileSync(path)
  const file = openSync(path, 'r+')
  // The first pages hold the schema, without which it can't even be opened.
  for (let at = length / 2; at < length - 8_192; at += 8_192) writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, at)
  closeSync(file)
  const { damage } = await healthOf(path)
  expect(damage.length).toBeGreaterThan(0)
  expect(damage.length).toBeLessThanOrEqual(10)
})

test('an index that has lost a row is damage', async () => {
  const path = await database()
  const raw = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  // Node has it; its types of that version don't.
  ;(raw as unknown as { enableDefensive(on: boolean): void }).enableDefensive(false)
  // An index over fewer rows, then said to be over all of them.
  raw.exec(`DROP INDEX tasks_listed; CREATE INDEX tasks_listed ON tasks (status, sort_at, n, project) WHERE n > 50;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, ' WHERE n > 50', '') WHERE name = 'tasks_listed'`)
  raw.close()
  const { damage } = await healthOf(path)
  expect(damage.join()).toContain('tasks_listed')
})

test('rows whose parent is gone are told by table', async () => {
  const path = await database()
  const raw = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  raw.exec("INSERT INTO open_dependencies VALUES ('A-1', 'NO-1'), ('A-1', 'NO-2')")
  raw.close()
  const { dangling, damage } = await healthOf(path)
  expect(dangling).toEqual(['2 rows of open_dependencies name a row of tasks that is not there'])
  expect(damage).toEqual([])
})

test('settings that durability needs are asked of the connection', async () => {
  const path = await database()
  const raw = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  raw.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL')
  const sql = makeSql(raw, path)
  onTestFinished(sql.close)
  const { settings, version, knownVersion } = readHealth(sql, VERSION + 1)
  expect(settings).toEqual([
    'journal_mode is delete, not wal: the file system refused it',
    'synchronous is 1, not 2 (FULL)',
    'foreign keys are not enforced',
  ])
  expect([version, knownVersion]).toEqual([VERSION, VERSION + 1])
})
