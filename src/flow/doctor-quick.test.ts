import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { UserError } from '../lib/errors.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import { type QuickDeps, leftoverProbes, proveWritable, quickLook, room } from './doctor-quick.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orch-quick-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
})

function deps(change: Partial<QuickDeps> = {}): QuickDeps & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    home: join(dir, 'home'),
    gitVersion: async () => {
      asked.push('git')
      return '2.39.5'
    },
    openBooks: async () => {
      asked.push('books')
    },
    ...change,
  }
}

test('all in order: the home is made, nothing is left in it, and only what is needed is asked', async () => {
  const one = deps()
  expect(await quickLook(one, ['home'])).toBeNull()
  expect(one.asked).toEqual(['books'])
  expect(readdirSync(one.home)).toEqual([])
  expect(await quickLook(one, ['home', 'git'])).toBeNull()
  expect(await quickLook(one, ['git'])).toBeNull()
  expect(one.asked).toEqual(['books', 'books', 'git', 'git'])
})

test('a command that needs git alone makes no home', async () => {
  const one = deps()
  expect(await quickLook(one, ['git'])).toBeNull()
  expect(existsSync(one.home)).toBe(false)
})

test.each([
  [null, 'tool-missing', "git can't be run"],
  ['2.37.9', 'tool-too-old', 'git 2.37.9 is too old: install git 2.38 or newer'],
])('git %s is told', async (version, code, text) => {
  const trouble = await quickLook(deps({ gitVersion: async () => version }), ['home', 'git'])
  expect(trouble).toEqual({ code, text: expect.stringContaining(text) })
})

test('a home that can’t be made, or is no folder, is told before the books are opened', async () => {
  writeFileSync(join(dir, 'file'), '')
  for (const home of [join(dir, 'file'), join(dir, 'file', 'below')]) {
    const one = deps({ home })
    expect(await quickLook(one, ['home'])).toMatchObject({
      code: 'no-access',
      text: expect.stringContaining('ORCH_HOME'),
    })
    expect(one.asked).toEqual([])
  }
})

test('what the books say of themselves comes through', async () => {
  const error = new UserError(6, 'newer-database', 'install a newer orch')
  const look = quickLook(deps({ openBooks: () => Promise.reject(error) }), ['home', 'git'])
  await expect(look).rejects.toBe(error)
})

test('writing is proved by writing; a folder that isn’t there or can’t be written says why', () => {
  expect(proveWritable(dir)).toBeNull()
  expect(readdirSync(dir)).toEqual([])
  expect(proveWritable(join(dir, 'not-there'))).toMatchObject({ code: 'ENOENT' })
  if (process.getuid?.() === 0) return
  const closed = join(dir, 'closed')
  mkdirSync(closed, { mode: 0o500 })
  expect(proveWritable(closed)).toMatchObject({ code: 'EACCES' })
  chmodSync(closed, 0o700)
})

test('probes of dead processes are left over; one of a living process is its own', () => {
  const { pid, startTime, bootId } = identifyProcess(process.pid) ?? { pid: 0, startTime: 0, bootId: '' }
  const boot = bootId.slice(0, 8)
  const mine = `.orch-probe-${pid}-${startTime}-${boot}-aaaaaaaa`
  const dead = [
    `.orch-probe-${pid}-${startTime + 1}-${boot}-bbbbbbbb`,
    `.orch-probe-${pid}-${startTime}-ffffffff-cccccccc`,
    `.orch-probe-4194300-1-${boot}-dddddddd`,
    '.orch-probe-',
  ]
  for (const name of [mine, ...dead, 'orch-probe-1', 'orch.db']) writeFileSync(join(dir, name), '')
  expect(leftoverProbes(dir).toSorted()).toEqual(dead.map((name) => join(dir, name)).toSorted())
  expect(leftoverProbes(join(dir, 'not-there'))).toEqual([])
})

test('room is told in bytes and files', () => {
  expect(room(dir).bytes).toBeGreaterThan(0)
  expect(() => room(join(dir, 'not-there'))).toThrow('ENOENT')
})
