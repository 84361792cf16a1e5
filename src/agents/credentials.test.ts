// A login lent to a run and taken back, on real files; the run's directory is in the hands of an agent.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lendCredentials, takeBackCredentials, writeSettings } from './credentials.ts'

const LOGIN = JSON.stringify({ oauth: { token: 'old' } })
const REFRESHED = JSON.stringify({ oauth: { token: 'new' } })

let dir: string
let from: string
let config: string
let lent: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orch-login-'))
  from = join(dir, 'user.json')
  config = join(dir, 'config')
  lent = join(config, 'login.json')
  mkdirSync(config)
  writeFileSync(from, LOGIN, { mode: 0o600 })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const lend = (): Promise<void> => lendCredentials([{ from, to: 'login.json' }], config)
const takeBack = (): Promise<void> => takeBackCredentials([{ from, to: 'login.json' }], config)

/** Writes a file that is newer (or older) than anything here. */
function write(path: string, text: string, seconds: number): void {
  writeFileSync(path, text)
  const at = Date.now() / 1_000 + seconds
  utimesSync(path, at, at)
}

test('lent for its owner only, refreshed, taken back whole; no helper file is left', async () => {
  await lend()
  expect(readFileSync(lent, 'utf8')).toBe(LOGIN)
  expect(statSync(lent).mode & 0o777).toBe(0o600)
  write(lent, REFRESHED, 10)
  await takeBack()
  expect(readFileSync(from, 'utf8')).toBe(REFRESHED)
  expect(statSync(from).mode & 0o777).toBe(0o600)
  for (const extra of [`${from}.orch-lock`, `${from}.orch-${process.pid}`]) expect(existsSync(extra)).toBe(false)
})

test('the newer of the two stays, either way', async () => {
  await lend()
  write(lent, REFRESHED, -100)
  await takeBack()
  expect(readFileSync(from, 'utf8')).toBe(LOGIN)
  await lend()
  expect(readFileSync(lent, 'utf8')).toBe(LOGIN)
  write(lent, REFRESHED, 10)
  await lend()
  expect(readFileSync(lent, 'utf8')).toBe(REFRESHED)
})

test('nobody is logged in: nothing is lent, nothing is made of what an agent left', async () => {
  rmSync(from)
  await lend()
  expect(existsSync(lent)).toBe(false)
  write(lent, REFRESHED, 10)
  await takeBack()
  expect(existsSync(from)).toBe(false)
})

test('a link in the place of the login brings no other file out, and sends none there', async () => {
  const secret = join(dir, 'secret.json')
  write(secret, JSON.stringify({ oauth: { token: 'a secret of another kind' } }), 10)
  symlinkSync(secret, lent)
  await takeBack()
  expect(readFileSync(from, 'utf8')).toBe(LOGIN)
  await lend()
  expect(lstatSync(lent).isSymbolicLink()).toBe(false)
  expect(readFileSync(lent, 'utf8')).toBe(LOGIN)
  expect(readFileSync(secret, 'utf8')).toContain('another kind')
})

test('a folder in its place, or on the way to it, is no login', async () => {
  mkdirSync(join(lent, 'deep'), { recursive: true })
  await takeBack()
  await lend()
  expect(readFileSync(lent, 'utf8')).toBe(LOGIN)

  const outside = join(dir, 'outside')
  mkdirSync(outside)
  symlinkSync(outside, join(config, 'sub'))
  await lendCredentials([{ from, to: 'sub/login.json' }], config)
  expect(existsSync(join(outside, 'login.json'))).toBe(false)
  write(join(outside, 'login.json'), REFRESHED, 10)
  await takeBackCredentials([{ from, to: 'sub/login.json' }], config)
  expect(readFileSync(from, 'utf8')).toBe(LOGIN)
})

test.each([
  ['empty', ''],
  ['not JSON any more', 'oops'],
  ['JSON of another form', JSON.stringify({ other: true })],
  ['far too large', JSON.stringify({ oauth: 'x'.repeat(2 << 20) })],
])('what an agent made of it costs nobody their login: %s', async (_, text) => {
  await lend()
  write(lent, text, 10)
  await takeBack()
  expect(readFileSync(from, 'utf8')).toBe(LOGIN)
})

test("settings are written anew into the run's own directory, never through a link", async () => {
  const outside = join(dir, 'outside')
  mkdirSync(outside, { recursive: true })
  await writeSettings([{ to: 'settings.json', text: 'one' }], config)
  writeFileSync(join(outside, 'file'), 'theirs')
  rmSync(join(config, 'settings.json'))
  symlinkSync(join(outside, 'file'), join(config, 'settings.json'))
  await writeSettings([{ to: 'settings.json', text: 'two' }], config)
  expect(readFileSync(join(config, 'settings.json'), 'utf8')).toBe('two')
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs')
  symlinkSync(outside, join(config, 'sub'))
  await expect(writeSettings([{ to: 'sub/settings.json', text: 'x' }], config)).rejects.toThrow('replaced by a link')
  expect(readdirSync(outside)).toEqual(['file'])
})
