import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { ExternalError } from '../lib/errors.ts'
import { openedEvent, taskCommit } from '../store/__fixtures__/commits.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { WorkKeeper } from '../workspace/workspace.ts'
import { diskFiles } from '../lib/files.ts'
import { MARKER, requireSettled, settleRestore } from './settle-restore.ts'

let home: string
let store: Store
let commands: Command[]
let isReachable: boolean
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'orch-settle-'))
  store = await openStore(join(home, 'orch.db'))
  commands = []
  isReachable = true
  for (const id of ['T', 'U']) {
    await store.addProject({ id, name: id, path: `/${id}`, remote: `/${id}.git`, createdAt: 1 })
    await store.commit(taskCommit(store, `${id}-1`, { events: [openedEvent(`${id}-1`)] }))
  }
  mark()
})
afterEach(() => {
  store.close()
  rmSync(home, { recursive: true, force: true })
})

const mark = (): void =>
  writeFileSync(join(home, MARKER), JSON.stringify({ at: 'now', aside: 'before', runsMoved: false, settled: [] }))

const unexpected = (): never => {
  throw new Error('no test expected this')
}

function settle(): Promise<string[]> {
  const work: WorkKeeper = {
    bundle: unexpected,
    take: unexpected,
    landings: async ({ id }) => {
      if (id === 'U' && !isReachable)
        throw new ExternalError({ system: 'git', kind: 'unreachable', message: 'no network' })
      return new Map([[`${id}-1`, 'a'.repeat(40)]])
    },
  }
  const submit = async (command: Command) => {
    commands.push(command)
    const task = store.getTask(command.task)?.state
    return task ? ({ ok: true, task } as const) : unexpected()
  }
  return settleRestore({ home, store, work, engine: { submit } })
}

test('what main holds is adopted for each open task, once', async () => {
  const done = await settle()
  expect(commands).toEqual(['T-1', 'U-1'].map((task) => ({ type: 'adopt-merge', task, mergedSha: 'a'.repeat(40) })))
  expect(done.join('\n')).toContain('T-1 was landed')
  expect(existsSync(join(home, MARKER))).toBe(false)
  expect(await settle()).toEqual([])
  expect(commands).toHaveLength(2)
})

test('a project whose main can’t be asked lands nothing until it can; the others go on', async () => {
  isReachable = false
  expect((await settle()).join('\n')).toContain('U is not settled')
  await requireSettled({ home, files: diskFiles }, 'T')
  await expect(requireSettled({ home, files: diskFiles }, 'U')).rejects.toMatchObject({ kind: 'unreachable' })
  isReachable = true
  await settle()
  await requireSettled({ home, files: diskFiles }, 'U')
  expect(commands.map((command) => command.task)).toEqual(['T-1', 'U-1'])
})

test('folders of runs that the books don’t know are moved aside once; those of later runs stay', async () => {
  isReachable = false
  for (const folder of ['runs', 'handoffs']) mkdirSync(join(home, folder, 'T-1-2'), { recursive: true })
  await settle()
  expect(readdirSync(join(home, 'runs'))).toEqual([])
  expect(readdirSync(join(home, 'before', 'runs'))).toEqual(['T-1-2'])
  expect(readdirSync(join(home, 'before', 'handoffs'))).toEqual(['T-1-2'])
  // Made for a run that is not on the books yet.
  mkdirSync(join(home, 'handoffs', 'T-1-3'))
  await settle()
  expect(readdirSync(join(home, 'handoffs'))).toEqual(['T-1-3'])
})

test('a marker that was cut off is as good as a whole one', async () => {
  writeFileSync(join(home, MARKER), '{"at":')
  await settle()
  expect(commands).toHaveLength(2)
})
