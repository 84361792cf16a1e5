#!/usr/bin/env node
// A stand-in for the claude CLI, as a developer whose change goes through CI and a person's review. It writes its part first,
// and mends only what was brought back to it word for word, in the session in which it wrote it.

import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const args = process.argv.slice(2)
if (args[0] === '--version') {
  console.log('2.1.329 (Claude Code)')
  process.exit(0)
}
const prompt = readFileSync(0, 'utf8')
const task = /^Orch-Task: (.*)$/m.exec(prompt)?.[1]
const resumed = args.includes('--resume') ? args[args.indexOf('--resume') + 1] : null
const session = resumed ?? `session-of-${process.env.ORCH_RUN}`
const say = (line) => console.log(JSON.stringify({ ...line, session_id: session }))
const git = (...words) => execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
const answer = (text) =>
  say({
    type: 'assistant',
    message: {
      id: 'msg_1',
      role: 'assistant',
      content: [{ type: 'text', text }],
      usage: { input_tokens: 1000, output_tokens: 100 },
    },
  })

say({ type: 'system', subtype: 'init', model: 'contributor' })
// By this file the adapter knows that the session can be gone on with.
const sessions = join(process.env.CLAUDE_CONFIG_DIR, 'projects', 'here')
mkdirSync(sessions, { recursive: true })
const transcript = join(sessions, `${session}.jsonl`)
appendFileSync(transcript, '{}\n')
answer(resumed ? `resumed ${resumed}` : 'a new session')

/** What CI said, and what a reviewer said, as this task's findings must hold them. */
const log = `docs/${task}.md is missing`
const words = `Please name ${task} in the README`
const part = `parts/${task}`
const page = `docs/${task}.md`
const done = []
if (!existsSync(part)) {
  writeFileSync(part, 'ok\n')
  done.push(`add ${part}`)
}
if (prompt.includes(log) && !existsSync(page)) {
  mkdirSync('docs', { recursive: true })
  writeFileSync(page, `# ${task}\n`)
  done.push(`add ${page}, which CI asked for`)
}
if (prompt.includes(words) && !readFileSync('README.md', 'utf8').includes(task)) {
  writeFileSync('README.md', `${readFileSync('README.md', 'utf8')}\nIt has ${task}.\n`)
  done.push('name it in the README, as the review asked')
}
if (prompt.includes('conflicts in:')) {
  try {
    git('merge', '--no-edit', 'origin/main')
  } catch {
    writeFileSync('README.md', readFileSync('README.md', 'utf8').replaceAll(/^[<=>]{7}.*\n/gm, ''))
    done.push('merge main')
  }
}
if (done.length > 0) {
  git('add', '--all')
  if (git('status', '--porcelain') !== '') git('commit', '--quiet', '--message', `${task}: ${done.join('; ')}`)
}
writeFileSync(
  join(process.env.ORCH_HANDOFF, 'handoff.md'),
  `---\nstatus: done\nsummary: "${done.join('; ') || 'nothing was left to do'}"\n---\nAll done.\n`,
)
say({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'done',
  // Of the whole session, as the CLI tells it.
  total_cost_usd: 0.25 * readFileSync(transcript, 'utf8').trim().split('\n').length,
  usage: { input_tokens: 1000, output_tokens: 100 },
})
