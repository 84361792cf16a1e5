// The agent of the chaos suite: works for seconds, in children and in sessions of their own, commits as it goes on.
// What it makes follows from its task's number alone, and what it made before it was killed it finds and keeps: whatever
// happens to it, and in whatever order, the same tree comes out. It never fails by itself.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const prompt = readFileSync(0, 'utf8')
const number = Number(/^labour: (\d+)$/m.exec(prompt)?.[1] ?? fail('the prompt holds no line `labour: NUMBER`'))
const handoffDir = process.env.ORCH_HANDOFF ?? fail('no ORCH_HANDOFF')
// An undisturbed control run has nobody to wait for.
const hurry = existsSync(join(process.env.SIGNALS, 'hurry'))

function fail(text) {
  console.error(text)
  process.exit(3)
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** Works in a child of its own, killed like anybody: its end is ours then. */
async function labour(ms, options = {}) {
  if (hurry) return
  const child = spawn('sleep', [String(ms / 1_000)], { stdio: 'ignore', ...options })
  const code = await new Promise((resolve) => child.once('exit', resolve))
  if (code !== 0) fail(`a child was killed at its work (${child.signalCode})`)
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Commits what changed under a path; nothing when an earlier run did so. */
function commit(path, message) {
  git('add', '--', path)
  if (git('diff', '--cached', '--name-only') !== '') git('commit', '--quiet', '--message', message)
}

async function develop() {
  const ms = 1_000 + ((number * 7_919) % 3_000)
  // Left behind on purpose: it belongs to the run and has to end with it.
  if (number % 2 === 0) spawn('sleep', ['300'], { detached: true, stdio: 'ignore' }).unref()
  await labour(ms / 3)
  write(`parts/p${number}`, 'ok\n')
  commit(`parts/p${number}`, `Add part ${number}`)
  await labour(ms / 3, { detached: number % 4 < 2 })
  if (number % 3 === 0) {
    const slots = readFileSync('slots.txt', 'utf8').replace(`slot ${number}\n`, `slot ${number} taken\n`)
    write('slots.txt', slots)
    commit('slots.txt', `Take slot ${number}`)
  } else if (number % 3 === 1) {
    write(`docs/p${number}.md`, `# Part ${number}\n`)
    commit(`docs/p${number}.md`, `Describe part ${number}`)
  }
  await labour(ms / 3)
  // Uncommitted: the engine commits what is left over.
  if (number % 3 === 2) write(`notes/p${number}`, `a note on ${number}\n`)
  writeFileSync(join(handoffDir, 'handoff.md'), `---\nstatus: done\nsummary: "Part ${number} is made."\n---\n`)
}

async function review() {
  await labour(300 + ((number * 31) % 900))
  const sha = git('rev-parse', 'HEAD')
  writeFileSync(join(handoffDir, 'handoff.md'), `---\nverdict: approve\nsha: ${sha}\nfindings: []\n---\nJudged.\n`)
}

console.log(`${process.env.ORCH_ROLE} at work on ${number}`)
await (process.env.ORCH_ROLE === 'reviewer' ? review() : develop())
console.log('the end')
