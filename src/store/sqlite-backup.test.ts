import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { commitOf, openedEvent, queued, runEffect, taskCommit } from './__fixtures__/commits.ts'
import { openQueries } from './sqlite-queries.ts'
import { makeBackups } from './sqlite-backup.ts'
import { openStore } from './sqlite.ts'
import type { BackupFacts } from './store.ts'
import { rowMismatches } from './test-fold-journal.ts'

const backups = makeBackups()
let dir: string
let database: string
let file: string
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orch-backup-'))
  database = join(dir, 'orch.db')
  file = join(dir, 'copy')
  const store = await openStore(database)
  await store.addProject({ id: 'T', name: 't', path: '/t', remote: '/t.git', createdAt: 1 })
  for (let n = 1; n <= 20; n++) {
    const parts = { effects: [queued(runEffect(`T-${n}`))] }
    await store.nextNumber('T')
    await store.commit(taskCommit(store, `T-${n}`, { events: [openedEvent(`T-${n}`)], parts }))
  }
  store.close()
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function backup(files: Record<string, string> = {}): Promise<BackupFacts> {
  rmSync(file, { force: true })
  const draft = await backups.begin(database, file)
  try {
    for (const [path, text] of Object.entries(files))
      await draft.addFile({ path, mode: 0o640, content: piecesOf(text) })
    return await draft.finish(5)
  } finally {
    draft.close()
  }
}

async function* piecesOf(text: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += 3) yield Buffer.from(text.slice(at, at + 3))
}

const codeOf = (work: () => unknown): unknown => {
  try {
    work()
    return null
  } catch (error) {
    return (error as { code?: string }).code
  }
}

test('while two processes write as fast as they can, each backup is one moment: rows are the fold of their events', async () => {
  const hammer = join(import.meta.dirname, '__fixtures__', 'hammer.ts')
  const writers: ChildProcess[] = ['a', 'b'].map((name) =>
    spawn(process.execPath, [hammer, database, name, '1500'], { stdio: 'ignore' }),
  )
  const over = Promise.all(writers.map((writer) => once(writer, 'exit')))
  const seen: number[] = []
  let running = true
  void over.then(() => (running = false))
  while (running) {
    seen.push((await backup()).events)
    const copy = openQueries(file)
    if (!copy) throw new Error('the backup is no database of this version')
    expect(rowMismatches(copy)).toEqual([])
    copy.close()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect((await over).map(([code]) => code)).toEqual([0, 0])
  // They were made in the middle of it, not before or after alone.
  expect(new Set(seen).size).toBeGreaterThan(2)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
})

test('files come back as they were, and the database alone is written without them', async () => {
  const facts = await backup({ 'saved/a': 'first', 'artifacts/T-1/empty': '' })
  expect(facts).toMatchObject({ madeAt: 5, tasks: 20, events: 20, liveRuns: [] })
  expect(facts.files).toEqual([
    { path: 'saved/a', kind: 'file', mode: 0o640, bytes: 5 },
    { path: 'artifacts/T-1/empty', kind: 'file', mode: 0o640, bytes: 0 },
  ])
  const opened = backups.open(file)
  expect(Buffer.concat([...opened.content('saved/a')]).toString()).toBe('first')
  const alone = join(dir, 'alone.db')
  await opened.writeDatabase(alone, { T: 7, OLD: 3 })
  opened.close()
  const tables = new DatabaseSync(alone)
  expect(tables.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name LIKE 'backup%'").get()).toEqual({ n: 0 })
  tables.close()
  const store = await openStore(alone)
  expect(rowMismatches(store)).toEqual([])
  // The higher number counts, whichever side has it.
  expect([await store.nextNumber('T'), await store.nextNumber('OLD')]).toEqual([21, 4])
  store.close()
})

test('a copy works in the place of the database as it is', async () => {
  await backup({ 'saved/a': 'first' })
  const store = await openStore(file)
  expect(await store.commit(commitOf({}))).toMatchObject({ ok: true })
  store.close()
})

test('what the journal and the rows say of each other is proved, not only the structure', async () => {
  const db = new DatabaseSync(database)
  db.exec("UPDATE tasks SET status = 'done', is_open = 0 WHERE id = 'T-3'")
  db.close()
  await expect(backup()).rejects.toMatchObject({ exit: 1, code: 'damaged-backup', message: /status is not the one/ })
})

test('a row or a file that is not what was copied is found, where SQLite sees nothing wrong', async () => {
  for (const change of [
    "UPDATE tasks SET title = 'another' WHERE id = 'T-1'",
    "UPDATE backup_chunks SET data = x'00' WHERE n = 1",
    'DELETE FROM backup',
  ]) {
    await backup({ 'saved/a': 'first' })
    const db = new DatabaseSync(file)
    db.exec(change)
    db.close()
    expect([change, codeOf(() => backups.open(file))]).toEqual([change, 'damaged-backup'])
  }
})

test('files that are no backup are told apart; none is made or changed', () => {
  const other = new DatabaseSync(join(dir, 'other.db'))
  other.exec('CREATE TABLE t (a)')
  other.close()
  writeFileSync(join(dir, 'empty'), '')
  const newer = join(dir, 'newer')
  writeFileSync(newer, readFileSync(database))
  const db = new DatabaseSync(newer)
  db.exec('PRAGMA journal_mode = DELETE; PRAGMA user_version = 9999')
  db.close()
  expect(codeOf(() => backups.open(join(dir, 'other.db')))).toBe('not-a-backup')
  expect(codeOf(() => backups.open(join(dir, 'empty')))).toBe('not-a-backup')
  expect(codeOf(() => backups.open(newer))).toBe('newer-backup')
  expect(codeOf(() => backups.open(join(dir, 'none')))).toBe('no-such-file')
  expect(existsSync(join(dir, 'none'))).toBe(false)
  expect(statSync(join(dir, 'empty')).size).toBe(0)
})
