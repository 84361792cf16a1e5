import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claimWhole, writeWhole } from './run-files.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'orch-files-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

test('a record is replaced whole: who reads the old one reads it to its end', () => {
  const dir = folder()
  const path = join(dir, 'record.json')
  writeWhole(path, '{"n":1}')
  const reader = openSync(path, 'r')
  writeWhole(path, '{"n":2}')
  expect(readFileSync(reader, 'utf8')).toBe('{"n":1}')
  closeSync(reader)
  expect(readFileSync(path, 'utf8')).toBe('{"n":2}')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(dir)).toEqual(['record.json'])
})

test('a claim is the first one’s, whole, and leaves nothing else', () => {
  const dir = folder()
  const path = join(dir, 'claim.json')
  expect(claimWhole(path, '{"by":"first"}')).toBe(true)
  expect(claimWhole(path, '{"by":"second"}')).toBe(false)
  expect(readFileSync(path, 'utf8')).toBe('{"by":"first"}')
  expect(readdirSync(dir)).toEqual(['claim.json'])
})
