import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { commitOf, openedEvent, queued, runEffect, taskCommit } from './__fixtures__/commits.ts'
import { rowMismatches } from './test-fold-journal.ts'
import { connect } from './sql-connection.ts'
import { makeSql, makeWrite, keep } from './sql.ts'
import { openQueries } from './sqlite-queries.ts'
import { makeStore, openStore } from './sqlite.ts'
import { StoreBusyError } from './store.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orch-open-'))
  path = join(dir, 'orch.db')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const digest = (): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** Opens by both ways; each must refuse with this code and leave the file as it is. */
async function expectRefused(code: string): Promise<void> {
  const before = digest()
  await expect(openStore(path)).rejects.toMatchObject({ name: 'UserError', exit: 6, code })
  expect(() => openQueries(path)).toThrow(expect.objectContaining({ name: 'UserError', exit: 6, code }))
  expect(digest()).toBe(before)
}

test('a database of a newer version is refused and left alone', async () => {
  ;(await openStore(path)).close()
  const db = new DatabaseSync(path)
  db.exec('PRAGMA user_version = 99')
  db.close()
  await expectRefused('newer-database')
  await expect(openStore(path)).rejects.toThrow(/version 99.*install a newer orch/)
})

test('a file that is no database is refused', async () => {
  writeFileSync(path, 'Dear diary, this is not a database.\n'.repeat(500))
  await expectRefused('not-a-database')
})

test("another program's database is refused", async () => {
  const db = new DatabaseSync(path)
  db.exec('CREATE TABLE theirs (x); PRAGMA user_version = 1')
  db.close()
  await expectRefused('foreign-database')
})

test('a damaged database is named as such', async () => {
  ;(await openStore(path)).close()
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0xa5, 100, 4_000))
  const damaged = { name: 'UserError', exit: 6, code: 'corrupt-database' }
  await expect(openStore(path)).rejects.toMatchObject(damaged)
  // A reader looks at no more than the header until it is asked for something.
  const queries = openQueries(path)
  expect(() => queries?.listTasks({})).toThrow(expect.objectContaining(damaged))
  queries?.close()
})

test('a path that cannot be opened is named', async () => {
  mkdirSync(path)
  await expect(openStore(path)).rejects.toMatchObject({ exit: 6, code: 'database-unreachable' })
  await expect(openStore(join(dir, 'none', 'orch.db'))).rejects.toThrow(/none\/orch\.db.*folder exists/)
})

test('a reader gets null where there is nothing yet, and creates nothing', () => {
  expect(openQueries(path)).toBeNull()
  expect(existsSync(path)).toBe(false)
  new DatabaseSync(path).exec('PRAGMA user_version = 0')
  expect(openQueries(path)).toBeNull()
})

test('many openers at once migrate once', async () => {
  const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(path)))
  await Promise.all(
    stores.map((store, n) => store.commit(taskCommit(store, `A-${n}`, { events: [openedEvent(`A-${n}`)] }))),
  )
  for (const store of stores) {
    expect(store.countTasks('A').queued).toBe(8)
    store.close()
  }
})

test('a reader reads while a writer holds the lock', async () => {
  const sql = await connect(path)
  const store = makeStore(sql)
  await store.commit(taskCommit(store, 'A-1', { events: [openedEvent('A-1')] }))
  sql.run('BEGIN IMMEDIATE')
  const queries = openQueries(path)
  expect(queries?.listTasks({}).map((line) => line.id)).toEqual(['A-1'])
  queries?.close()
  sql.run('ROLLBACK')
  store.close()
})

test('a writer waits for the lock without blocking the event loop', async () => {
  const [holder, store] = [await connect(path), await openStore(path)]
  holder.run('BEGIN IMMEDIATE')
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 1)
  setTimeout(() => holder.run('COMMIT'), 400)
  const startedAt = performance.now()
  expect(await store.commit(commitOf({ effects: [queued(runEffect('A-1'))] }))).toMatchObject({ ok: true })
  clearInterval(timer)
  expect(performance.now() - startedAt).toBeGreaterThan(300)
  expect(longest).toBeLessThan(50)
  holder.close()
  store.close()
})

test('a lock that never ends is an error that says so, and nothing is written', async () => {
  const [holder, sql] = [await connect(path), await connect(path)]
  holder.run('BEGIN IMMEDIATE')
  const write = makeWrite(sql, 100)
  await expect(write('durable', () => keep(sql.run("INSERT INTO counters VALUES ('A', 1)")))).rejects.toBeInstanceOf(
    StoreBusyError,
  )
  holder.run('COMMIT')
  expect(sql.all('SELECT * FROM counters')).toEqual([])
  holder.close()
  sql.close()
})

test('a full disk is named, and nothing is half-written', async () => {
  const db = new DatabaseSync(path)
  const sql = makeSql(db, path)
  ;(await openStore(path)).close()
  const store = makeStore(sql)
  const { page_count } = sql.get<{ page_count: number }>('PRAGMA page_count') ?? { page_count: 0 }
  sql.exec(`PRAGMA max_page_count = ${page_count + 20}`)
  let written = 0
  const fill = async (): Promise<void> => {
    for (; written < 1_000; written++) {
      const id = `A-${written}`
      await store.commit(
        taskCommit(store, id, {
          events: [openedEvent(id, { body: 'x'.repeat(3_000) })],
          parts: { effects: [queued(runEffect(id))] },
        }),
      )
    }
  }
  await expect(fill()).rejects.toMatchObject({ name: 'ExternalError', system: 'store', kind: 'disk-full' })
  expect(written).toBeGreaterThan(0)
  expect(sql.inTransaction()).toBe(false)
  expect([store.countTasks('A').queued, store.lastSeq(), store.jobSummary().ready]).toEqual([written, written, written])
  expect(rowMismatches(store)).toEqual([])
  sql.exec('PRAGMA max_page_count = 100000')
  const id = `A-${written}`
  expect(await store.commit(taskCommit(store, id, { events: [openedEvent(id)] }))).toMatchObject({ ok: true })
  store.close()
})

test('the journal is append-only', async () => {
  const sql = await connect(path)
  const store = makeStore(sql)
  await store.commit(taskCommit(store, 'A-1', { events: [openedEvent('A-1')] }))
  expect(() => sql.exec("UPDATE events SET type = 'x'")).toThrow(/append-only/)
  expect(() => sql.exec('DELETE FROM events')).toThrow(/append-only/)
  store.close()
})
