// The manual pages that the build writes: one for each command, which man's own formatter takes without a warning.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { roffOf, writeManPages } from '../../scripts/man-pages.ts'
import { runProcess } from '../../src/lib/process.ts'
import { NOUNS, SECTIONS } from '../../src/surfaces/cli/routes.ts'

const dir = mkdtempSync(join(tmpdir(), 'orch-man-'))
afterAll(() => rmSync(dir, { recursive: true }))

const env = { PATH: process.env['PATH'] ?? '' }
const format = (file: string) =>
  runProcess({ argv: ['groff', '-man', '-Tutf8', '-ww', '-P-c', '-P-b', '-P-u', file], env, timeoutMs: 30_000 })
const hasGroff = (await runProcess({ argv: ['groff', '--version'], env, timeoutMs: 10_000 })).exitCode === 0

test('there is a page for orch and for each command, the same at every build', async () => {
  const files = await writeManPages(dir, '1.2.3')
  const verbs = [
    ...SECTIONS.flatMap((section) => Object.keys(section.verbs)),
    ...Object.entries(NOUNS).flatMap(([noun, own]) => Object.keys(own.verbs).map((verb) => `${noun}-${verb}`)),
  ]
  expect(files.toSorted()).toEqual(['orch.1', ...verbs.map((verb) => `orch-${verb}.1`)].toSorted())
  const before = files.map((file) => readFileSync(join(dir, file), 'utf8'))
  await writeManPages(dir, '1.2.3')
  expect(files.map((file) => readFileSync(join(dir, file), 'utf8'))).toEqual(before)
})

test.runIf(hasGroff)(
  `groff${hasGroff ? '' : ' (skipped: it is not installed)'} takes every page without a warning`,
  async () => {
    for (const file of await writeManPages(dir, '1.2.3')) {
      const page = await format(join(dir, file))
      expect({ file, exit: page.exitCode, said: page.stderr }).toEqual({ file, exit: 0, said: '' })
      expect(page.stdout).toContain('SYNOPSIS')
    }
  },
)

test('text can neither make a request of it nor hide', () => {
  const page = {
    name: 'orch-x',
    summary: 's',
    sections: [{ title: 'NAME', blocks: [{ kind: 'text' as const, text: '.so /etc/passwd and \\n `--all` ’' }] }],
  }
  expect(roffOf(page, '1').split('\n').at(-2)).toBe('\\&.so /etc/passwd and \\en \\fB\\-\\-all\\fR \\[u2019]')
})
