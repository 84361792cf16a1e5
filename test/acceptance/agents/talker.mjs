#!/usr/bin/env node
// A stand-in for the claude CLI, for what only an agent with sessions, usage and a long output shows. It speaks its
// stream-json. A developer without a session says numbered lines until the sign `go`; one that resumes works at once.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const args = process.argv.slice(2)
if (args[0] === '--version') {
  console.log('2.1.329 (Claude Code)')
  process.exit(0)
}
const prompt = readFileSync(0, 'utf8')
const role = /^Orch-Role: (.*)$/m.exec(prompt)?.[1]
const task = /^Orch-Task: (.*)$/m.exec(prompt)?.[1]
const resumed = args.includes('--resume') ? args[args.indexOf('--resume') + 1] : null
const session = resumed ?? `session-of-${process.env.ORCH_RUN}`
const say = (line) => console.log(JSON.stringify({ ...line, session_id: session }))
const git = (...words) => execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()

let answers = 0
function answer(text) {
  answers += 1
  const usage = answers === 1 ? { input_tokens: 1000, output_tokens: 100 } : { input_tokens: 0, output_tokens: 0 }
  say({
    type: 'assistant',
    message: { id: `msg_${answers}`, role: 'assistant', content: [{ type: 'text', text }], usage },
  })
}

say({ type: 'system', subtype: 'init', model: 'talker' })
// By this file the adapter knows that the session can be gone on with.
const sessions = join(process.env.CLAUDE_CONFIG_DIR, 'projects', 'here')
mkdirSync(sessions, { recursive: true })
writeFileSync(join(sessions, `${session}.jsonl`), '{}\n')

answer(resumed ? `resumed ${resumed}` : 'a new session')
if (role === 'developer') {
  const deadline = Date.now() + 60_000
  for (let n = 1; !resumed && !existsSync(join(process.env.SIGNALS, 'go')) && Date.now() < deadline; n += 1) {
    answer(`line ${n}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  writeFileSync(join('parts', task), 'ok\n')
  git('add', '--all')
  // A run before, whose end nobody could read, may have done it.
  if (git('status', '--porcelain') !== '') git('commit', '--quiet', '--message', `Work on ${task}`)
  writeFileSync(
    join(process.env.ORCH_HANDOFF, 'handoff.md'),
    '---\nstatus: done\nsummary: "It is done."\n---\nAll done.\n',
  )
} else {
  const head = git('rev-parse', 'HEAD')
  writeFileSync(join(process.env.ORCH_HANDOFF, 'handoff.md'), `---\nverdict: approve\nsha: ${head}\n---\nJudged.\n`)
}
say({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'done',
  total_cost_usd: 0.25,
  usage: { input_tokens: 1000, output_tokens: 100 },
})
