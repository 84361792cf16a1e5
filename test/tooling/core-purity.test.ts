// The core's purity is seen to be held: by a tsconfig without Node's types and by lint rules for what every
// JavaScript has (the clock, the dice).

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runProcess } from '../../src/lib/process.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const root = mkdtempSync(join(tmpdir(), 'orch-purity-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

for (const name of ['tsconfig.json', 'tsconfig.core.json', '.oxlintrc.json']) {
  copyFileSync(join(REPOSITORY, name), join(root, name))
}
symlinkSync(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'))
mkdirSync(join(root, 'src/core'), { recursive: true })

test('the core knows no process, no network, no timers and no console', async () => {
  const outside = [
    'process.pid',
    "fetch('x')",
    'setTimeout(later, 1)',
    "console.log('x')",
    'Buffer.alloc(1)',
    'performance.now()',
  ]
  const lines = outside.map((expression, index) => `export const v${index} = ${expression}\n`)
  plant({ 'outside.ts': `${lines.join('')}function later(): void {}\n` })
  const { exitCode, stdout } = await tool('tsc', ['-p', 'tsconfig.core.json', '--pretty', 'false'])
  const unknown = [...stdout.matchAll(/^src\/core\/outside\.ts\(\d+,\d+\): error TS\d+: Cannot find name '(\w+)'/gm)]
  expect(unknown.map((match) => match[1])).toEqual(outside.map((expression) => expression.split(/[.(]/)[0]))
  expect(exitCode).not.toBe(0)
})

test('lint refuses the clock, the dice and the locale in the core, and nowhere else', async () => {
  const impure = [
    'Date.now()',
    'new Date()',
    'Date()',
    'Math.random()',
    "Math['random']()",
    'globalThis.Date.now()',
    'new Intl.NumberFormat()',
  ]
  const text = impure.map((expression, index) => `export const v${index} = ${expression}\n`).join('')
  plant({ 'impure.ts': text })
  writeFileSync(join(root, 'src/outside-the-core.ts'), text)
  const result = await tool('oxlint', ['-f', 'unix', 'src'])
  const lines = new Set(
    [...result.stdout.matchAll(/impure\.ts:(\d+):.*no-restricted/g)].map((match) => Number(match[1])),
  )
  expect([...lines].toSorted((a, b) => a - b)).toEqual(impure.map((_, index) => index + 1))
  expect(result.stdout).not.toContain('outside-the-core.ts')
  expect(result.exitCode).toBe(1)
})

test('lint refuses long files, long functions, forgotten promises, open switches and thrown strings', async () => {
  const filler = '  // One more line.\n'
  plant({
    'long-file.ts': `export const a = 1\n${filler.repeat(500)}`,
    'long-function.ts': `export function long(): void {\n${filler.repeat(80)}}\n`,
    'promise.ts': 'async function later(): Promise<void> {}\nexport function now(): void {\n  later()\n}\n',
    'throws.ts': "export function fail(): never {\n  throw 'no'\n}\n",
    'switches.ts': [
      "export function number(word: 'one' | 'two'): number {",
      '  switch (word) {',
      "    case 'one':",
      '      return 1',
      '  }',
      '  return 0',
      '}',
      '',
    ].join('\n'),
  })
  const { stdout } = await tool('oxlint', ['-f', 'unix', 'src'])
  expect(stdout).toMatch(/long-file\.ts.*\(max-lines\)/)
  expect(stdout).toMatch(/long-function\.ts.*\(max-lines-per-function\)/)
  expect(stdout).toMatch(/promise\.ts.*\(no-floating-promises\)/)
  expect(stdout).toMatch(/throws\.ts.*\(only-throw-error\)/)
  expect(stdout).toMatch(/switches\.ts.*\(switch-exhaustiveness-check\)/)
})

/** Leaves exactly these files in the temporary core. */
function plant(files: Record<string, string>): void {
  rmSync(join(root, 'src'), { recursive: true })
  mkdirSync(join(root, 'src/core'), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, 'src/core', name), text)
}

function tool(name: string, args: string[]): ReturnType<typeof runProcess> {
  const bin = join(REPOSITORY, 'node_modules/.bin')
  return runProcess({
    argv: [join(bin, name), ...args],
    cwd: root,
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    timeoutMs: 50_000,
  })
}
