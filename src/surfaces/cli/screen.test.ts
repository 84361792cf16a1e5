// The screen in a real terminal, made by util-linux `script`: what it sends, and that it is given back however the process ends.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { runProcess } from '../../lib/process.ts'
import { makeKeyDecoder } from './screen.ts'

test('keys are named, characters are themselves, and what has no name is left out', () => {
  const decode = makeKeyDecoder()
  const keys = (text: string): string[] => decode(Buffer.from(text))
  expect(keys('aé🚀')).toEqual(['a', 'é', '🚀'])
  expect(keys('\u001b[A\u001bOB\u001b[5~\u001b[6~\u001b[H\u001b[4~')).toEqual([
    'up',
    'down',
    'page-up',
    'page-down',
    'home',
    'end',
  ])
  expect(keys('\r\u007f\u0003\u001b')).toEqual(['enter', 'backspace', 'ctrl-c', 'escape'])
  expect(keys('\u001b[1;5C\u001b[200~x\u0001')).toEqual(['x'])
  const bytes = Buffer.from('日')
  expect([...decode(bytes.subarray(0, 1)), ...decode(bytes.subarray(1))]).toEqual(['日'])
})

const dir = mkdtempSync(join(tmpdir(), 'orch-screen-'))
afterAll(() => rmSync(dir, { recursive: true }))

const said = await runProcess({
  argv: ['script', '--version'],
  env: { PATH: process.env['PATH'] ?? '' },
  timeoutMs: 10_000,
})
const hasScript = said.stdout.includes('util-linux')

/** Starts a program of a few lines on a terminal of its own; `ends` says how it ends. */
function onTerminal(ends: string) {
  const file = join(dir, `${ends.length}.ts`)
  const screen = join(import.meta.dirname, 'screen.ts')
  writeFileSync(
    file,
    `import { openScreen } from ${JSON.stringify(screen)}
const screen = openScreen({ onKey: (key) => { if (key === 'q') { ${ends} } else screen.draw(['got ' + key, 'second']) }, onResize() {}, onEnd: () => { screen.close(); process.exit(0) } })
screen.draw(['pid ' + process.pid + '.', 'second'])
`,
  )
  const child = spawn('script', ['-qec', `${process.execPath} ${file}; stty -a`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  const ended = new Promise((resolve) => child.on('close', resolve))
  return {
    type: (text: string) => child.stdin.write(text),
    ended: () => ended,
    output: () => out,
    async says(text: string | RegExp): Promise<RegExpMatchArray> {
      for (let waited = 0; waited < 40_000; waited += 10) {
        const match = out.match(text)
        if (match) return match
        await delay(10)
      }
      throw new Error(`not said: ${text}\n${JSON.stringify(out)}`)
    },
  }
}

const note = hasScript ? '' : ' (skipped: script of util-linux is not installed)'
const ENDS: [string, string][] = [
  ['a clean close', 'screen.close()'],
  ['an exit', 'process.exit(1)'],
  ['a crash', 'throw new Error("it broke")'],
  ['SIGTERM without anyone to catch it, caught as an end', 'process.kill(process.pid, "SIGHUP")'],
]

test.runIf(hasScript).each(ENDS)(`the terminal is given back after %s${note}`, async (_, ends) => {
  const terminal = onTerminal(ends)
  await terminal.says('pid ')
  terminal.type('x')
  await terminal.says('got x')
  terminal.type('q')
  // What stty says of the terminal afterwards: typed characters are shown again.
  await terminal.says(/[ ;]echo /)
  await terminal.ended()
  const out = terminal.output()
  expect(out.indexOf('\u001b[?1049h')).toBeGreaterThanOrEqual(0)
  const left = out.indexOf('\u001b[?25h\u001b[?1049l')
  expect(left).toBeGreaterThan(out.indexOf('got x'))
  expect(out.match(/\u001b\[\?1049l/g)).toHaveLength(1)
  // An error is told on the terminal that is left, not on the one that goes.
  if (ends.startsWith('throw')) expect(out.indexOf('it broke')).toBeGreaterThan(left)
  // Only the line that changed was written again.
  expect(out.slice(0, left).match(/second/g)).toHaveLength(1)
})
