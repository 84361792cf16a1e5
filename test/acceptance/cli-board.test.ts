// `orch status --watch` on a terminal, with the real program: util-linux `script` makes the terminal.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProcess } from '../../src/lib/process.ts'
import { type World, makeWorld, sleep } from './harness.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const said = await runProcess({
  argv: ['script', '--version'],
  env: { PATH: process.env['PATH'] ?? '' },
  timeoutMs: 10_000,
})
const hasScript = said.stdout.includes('util-linux')
const note = hasScript ? '' : ' (skipped: script of util-linux is not installed)'

let world: World
beforeAll(async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('Round the totals')
  await world.upUntilIdle()
}, 100_000)
afterAll(() => world.close())

/** Opens the board; gives what the terminal was sent, a way to type, and the end. */
function openBoard() {
  const orch = `'${join(ROOT, 'node_modules/.bin/node')}' '${join(ROOT, 'bin/orch.js')}' status --watch`
  const child = spawn('script', ['-qec', `stty cols 80 rows 24; ${orch}; echo "ended with $?"`, '/dev/null'], {
    cwd: world.clone,
    env: { ...world.env, TERM: 'xterm', NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  return {
    type: (keys: string) => child.stdin.write(keys),
    output: () => out,
    async says(text: string): Promise<void> {
      for (let waited = 0; !out.includes(text); waited += 20) {
        if (waited > 60_000) throw new Error(`not said: ${text}\n${JSON.stringify(out)}`)
        await sleep(20)
      }
    },
  }
}

test.runIf(hasScript)(`a waiting task is approved from the board, at the head that was shown${note}`, async () => {
  const { headSha } = await world.task('T-1')
  const board = openBoard()
  await board.says('It waits for your approval')
  await board.says('Press a approve, r reject')
  board.type('a')
  await board.says(`Approve T-1 at ${headSha?.slice(0, 10)} (1 file, +1 −0)? (y/n)`)
  expect((await world.task('T-1')).approvals).toEqual([])
  board.type('y')
  await board.says('T-1: approved')
  expect((await world.task('T-1')).approvals).toMatchObject([{ sha: headSha, by: 'ann' }])
  board.type('q')
  await board.says('ended with 0')
  const out = board.output()
  expect(out.indexOf('\u001b[?1049h')).toBeGreaterThanOrEqual(0)
  expect(out.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(out.indexOf('T-1: approved'))
  expect(out).not.toMatch(/\u001b\[[0-9;]*m/)
})

test.runIf(hasScript)(`it sees what other processes commit${note}`, async () => {
  const board = openBoard()
  await board.says('Round the totals')
  const id = await world.add('Print a receipt')
  await board.says('Print a receipt')
  await world.ok(['task', 'pause', id])
  await board.says('(paused)')
  board.type('\u0003')
  await board.says('ended with 0')
})
