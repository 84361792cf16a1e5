// The agent of the acceptance suite: a program for Orch's `command` agent. The prompt comes on stdin; what it does is
// chosen by a line `behaviour: NAME WORDS…` of the task, for a reviewer by `review: NAME`. One file, so that a sandbox
// has to show one file.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const prompt = readFileSync(0, 'utf8')
const header = Object.fromEntries(
  prompt
    .split('\n')
    .slice(0, 5)
    .map((line) => /^Orch-(\w+): (.*)$/.exec(line))
    .filter(Boolean)
    .map(([, name, value]) => [name.toLowerCase(), value]),
)
const handoffDir = process.env.ORCH_HANDOFF
if (handoffDir !== header.handoff)
  fail(`header and environment name different handoff directories: ${header.handoff}, ${handoffDir}`)
const attempt = Number(header.attempt)
const [behaviour = 'add', ...words] = lineOf('behaviour').split(' ').filter(Boolean)
const [review = 'approve'] = lineOf('review').split(' ').filter(Boolean)

function lineOf(name) {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(prompt)?.[1] ?? ''
}

function fail(text) {
  console.error(text)
  process.exit(3)
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function commit(message = `Work on ${header.task}, attempt ${attempt}`) {
  git('add', '--all')
  git('commit', '--quiet', '--message', message)
}

function handoff(text) {
  writeFileSync(join(handoffDir, 'handoff.md'), text)
}

const done = (summary = 'It is done.') =>
  handoff(`---\nstatus: done\nsummary: "${summary}"\ntests:\n  - sh test.sh\n---\nAll done.\n`)

function work(path, text = 'ok\n') {
  write(path, text)
  commit()
  done()
}

function expectInPrompt(text) {
  if (!prompt.includes(text)) fail(`the prompt does not hold: ${text}`)
}

function sleepFor(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function untilSign(name) {
  const deadline = Date.now() + 60_000
  while (!existsSync(join(process.env.SIGNALS, name))) {
    if (Date.now() > deadline) fail(`no sign ${name}`)
    sleepFor(20)
  }
}

const own = `parts/${header.task}`

const DEVELOPER = {
  add: () => {
    // What a reviewer of this suite may have asked for.
    if (prompt.includes('The README does not name it')) write('README.md', `# Sample\n\nWith ${own}.\n`)
    work(own)
  },
  /** Breaks a check first; mends it only when the failing output came back word for word. */
  'break-then-mend': () => {
    if (attempt === 1) return work(own, 'broken\n')
    expectInPrompt(`FAIL: ${own} does not say ok`)
    work(own)
  },
  'always-broken': () => work(own, `broken ${attempt}\n`),
  /** Puts a line into a shared file; mends a conflict by merging main. */
  shared: () => {
    if (attempt === 1) return work('shared.txt', `one\n${header.task}\nthree\n`)
    expectInPrompt('shared.txt')
    try {
      git('merge', '--no-edit', 'origin/main')
    } catch {
      // The conflict is what is expected here.
    }
    work(
      'shared.txt',
      `${readFileSync('shared.txt', 'utf8')
        .split('\n')
        .filter((line) => !/^[<=>]{7}/.test(line))
        .join('\n')}`,
    )
  },
  /** A number that is fine alone and too much beside another's. */
  number: () => {
    if (attempt === 1) return work(`numbers/${header.task}`, '6\n')
    expectInPrompt('FAIL: the sum is 12, at most 10')
    git('merge', '--no-edit', '--quiet', 'origin/main')
    work(`numbers/${header.task}`, '4\n')
  },
  /** Writes one file with what the words say. */
  write: () => work(words[0], `${words.slice(1).join(' ').replaceAll('\\n', '\n')}\n`),
  remove: () => {
    rmSync(words[0])
    write(own, 'ok\n')
    commit()
    done()
  },
  move: () => {
    mkdirSync(dirname(words[1]), { recursive: true })
    git('mv', ...words)
    commit()
    done()
  },
  scripts: () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
    manifest.scripts.test = 'true'
    work('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
  },
  'after-reject': () => {
    if (prompt.includes('Name it second instead')) {
      git('mv', own, 'parts/second')
      commit()
      return done()
    }
    work(own)
  },
  /** Leaves its work uncommitted. */
  leftover: () => {
    write(own, 'ok\n')
    done()
  },
  nothing: () => done(),
  wait: () => {
    untilSign(words[0])
    work(own)
  },
  hang: () => {
    spawn('sleep', ['300'], { detached: true, stdio: 'ignore' }).unref()
    console.log('hanging')
    sleepFor(300_000)
  },
  crash: () => {
    write(own, 'ok\n')
    commit()
    console.error('something went very wrong')
    process.abort()
  },
  ask: () => {
    if (prompt.includes('Blue, please')) return work(own)
    handoff('---\nstatus: needs_input\nsummary: "Which colour, red or blue?"\n---\n')
  },
  'no-handoff': () => {
    write(own, 'ok\n')
    commit()
  },
  'link-handoff': () => {
    write('real.md', '---\nstatus: done\nsummary: linked\n---\n')
    work(own)
    rmSync(join(handoffDir, 'handoff.md'))
    symlinkSync(join(process.cwd(), 'real.md'), join(handoffDir, 'handoff.md'))
  },
  'big-handoff': () => {
    work(own)
    handoff(`---\nstatus: done\nsummary: big\n---\n${'x'.repeat(1 << 20)}\n`)
  },
  'broken-handoff': () => {
    work(own)
    handoff('---\nstatus: done\nsummary: [never closed\n---\n')
  },
  'contradicting-handoff': () => {
    work(own)
    handoff('---\nstatus: done\nresult: failed\nsummary: both\n---\n')
  },
  flood: () => {
    const line = `${'flood '.repeat(2_000)}\n`.repeat(100)
    const end = Date.now() + 60_000
    while (Date.now() < end) writeFileSync(1, line)
  },
}

function judge(verdict, more = '', sha = git('rev-parse', 'HEAD')) {
  handoff(`---\nverdict: ${verdict}\nsha: ${sha}\n${more}---\nJudged.\n`)
}

const REVIEWER = {
  approve: () => judge('approve', 'findings: []\n'),
  hang: () => DEVELOPER.hang(),
  'request-once': () => {
    if (attempt > 1) return judge('approve')
    judge(
      'request_changes',
      'findings:\n  - severity: P1\n    file: README.md\n    line: 1\n    text: "The README does not name it."\n',
    )
  },
  'stale-sha': () => handoff(`---\nverdict: approve\nsha: ${git('rev-parse', 'HEAD~1')}\n---\n`),
  'no-handoff': () => undefined,
  contradicting: () => judge('approve', 'status: request_changes\n'),
  /** Adds something of its own to what it approves. */
  tampering: () => {
    const sha = git('rev-parse', 'HEAD')
    write(`parts/planted-${header.task}`, 'ok\n')
    commit('planted by the reviewer')
    judge('approve', '', sha)
  },
}

console.log(`${header.role} at work on ${header.task}, attempt ${attempt}`)
const chosen = header.role === 'reviewer' ? REVIEWER[review] : DEVELOPER[behaviour]
if (!chosen) fail(`unknown behaviour ${behaviour} or review ${review}`)
chosen()
console.log('the end')
