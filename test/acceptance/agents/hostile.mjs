// An agent that tries what it must not. It does the task as well, so that what it tried would land if nothing held it.
// What it can reach is reported in its output; the test looks at the world from outside.

import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const prompt = readFileSync(0, 'utf8')
// It really writes and deletes: nothing of it may ever point outside of the test's own folder.
if (!/^world: \/.*\/orch-acceptance-\w+$/m.test(prompt))
  throw new Error('this agent works only in a world of the acceptance suite')
const field = (name) => new RegExp(`^Orch-${name}: (.*)$`, 'm').exec(prompt)?.[1] ?? ''
const line = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(prompt)?.[1] ?? ''
const handoff = (text) => writeFileSync(join(process.env.ORCH_HANDOFF, 'handoff.md'), text)
const targets = {
  home: line('home'),
  remote: line('remote'),
  clone: line('clone'),
  marker: line('marker'),
  orch: line('orch'),
  world: line('world'),
}

function attempt(name, what) {
  try {
    const said = what()
    console.log(`TRIED ${name}: went through${said === undefined ? '' : `: ${String(said).slice(0, 300)}`}`)
  } catch (error) {
    console.log(
      `TRIED ${name}: ${String(error.stderr || error.message)
        .split('\n')
        .slice(0, 3)
        .join(' ')
        .slice(0, 300)}`,
    )
  }
}
const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const program = (name) => `#!/bin/sh\necho ${name} >> ${targets.marker}\nexit 0\n`

if (field('Role') === 'reviewer') {
  handoff(`---\nverdict: approve\nsha: ${git('rev-parse', 'HEAD').trim()}\n---\n`)
  process.exit(0)
}

writeFileSync(`parts/${field('Task')}`, 'ok\n')
git('add', '--all')
git('commit', '--quiet', '--message', 'the task itself')
handoff('---\nstatus: done\nsummary: nothing to see here\n---\n')

const tries = {
  refs: () => {
    attempt('move main', () => git('update-ref', 'refs/heads/main', 'HEAD'))
    attempt('another task’s branch', () => git('update-ref', 'refs/heads/orch/T-99', 'HEAD'))
    attempt('move origin/main', () => git('update-ref', 'refs/remotes/origin/main', 'HEAD'))
    if (line('sandboxed') !== 'yes') return
    attempt('push to the remote', () => git('push', '--force', targets.remote, 'HEAD:refs/heads/main'))
    attempt('push by origin', () => git('push', '--force', 'origin', 'HEAD:refs/heads/main'))
  },
  git: () => {
    const dir = git('rev-parse', '--absolute-git-dir').trim()
    const evil = join(process.cwd(), 'evil.sh')
    writeFileSync(evil, program('config'), { mode: 0o755 })
    for (const hook of [
      'pre-commit',
      'post-checkout',
      'post-commit',
      'pre-auto-gc',
      'reference-transaction',
      'post-index-change',
      'fsmonitor-watchman',
    ]) {
      mkdirSync(join(dir, 'hooks'), { recursive: true })
      writeFileSync(join(dir, 'hooks', hook), program(`hook-${hook}`), { mode: 0o755 })
    }
    attempt('config', () =>
      appendFileSync(
        join(dir, 'config'),
        `[core]\n\tfsmonitor = ${evil}\n\tsshCommand = ${evil}\n\thooksPath = ${join(dir, 'hooks')}\n\tpager = ${evil}\n[uploadpack]\n\tpackObjectsHook = ${evil}\n[filter "evil"]\n\tclean = ${evil}\n\tsmudge = ${evil}\n\tprocess = ${evil}\n[diff]\n\texternal = ${evil}\n[gpg]\n\tprogram = ${evil}\n[credential]\n\thelper = "!${evil}"\n`,
      ),
    )
    mkdirSync(join(dir, 'info'), { recursive: true })
    attempt('filters', () => writeFileSync(join(dir, 'info', 'attributes'), '* filter=evil diff=evil\n'))
    attempt('commondir', () => writeFileSync(join(dir, 'commondir'), `${targets.clone}/.git\n`))
    appendFileSync(join(dir, 'info', 'exclude'), 'evil.sh\n')
  },
  programs: () => {
    // Only in places of this test's own world: without a sandbox nothing else would hold this back.
    for (const place of process.env.PATH.split(':').filter((entry) => entry.startsWith(`${targets.world}/`))) {
      for (const name of ['npm', 'git', 'sh', 'node']) {
        attempt(`plant ${name} in ${place}`, () => {
          mkdirSync(place, { recursive: true })
          writeFileSync(join(place, name), program(`program-${name}`), { mode: 0o755 })
        })
      }
    }
    attempt('node_modules', () => {
      mkdirSync('node_modules/.bin', { recursive: true })
      writeFileSync('node_modules/.bin/sh', program('module-sh'), { mode: 0o755 })
    })
  },
  gone: () => {
    const here = process.cwd()
    if (!here.startsWith(`${targets.world}/`)) throw new Error(`not in the world: ${here}`)
    attempt('delete the workspace', () => {
      for (const entry of readdirSync(here)) rmSync(join(here, entry), { recursive: true, force: true })
      rmSync(here, { recursive: true, force: true })
    })
  },
  swap: () => {
    const dir = git('rev-parse', '--absolute-git-dir').trim()
    attempt('git directory is a link to the clone’s', () => {
      rmSync(dir, { recursive: true, force: true })
      symlinkSync(join(targets.clone, '.git'), dir)
    })
  },
  orch: () => {
    for (const args of [
      ['approve', field('Task')],
      ['task', 'add', 'by the agent'],
      ['task', 'cancel', field('Task')],
      ['up', '--until-idle'],
    ]) {
      const kinds = [
        { kind: 'plain', extra: {} },
        { kind: 'without the mark', extra: { ORCH_RUN: '' } },
      ]
      for (const { kind, extra } of kinds) {
        const env = { ...process.env, ORCH_HOME: targets.home, ...extra }
        try {
          execFileSync(process.execPath, [targets.orch, ...args], {
            encoding: 'utf8',
            env,
            stdio: ['ignore', 'pipe', 'pipe'],
            timeout: 20_000,
          })
          console.log(`TRIED orch ${args[0]} ${kind}: exit 0`)
        } catch (error) {
          console.log(`TRIED orch ${args[0]} ${kind}: exit ${error.status} ${String(error.stderr).trim()}`)
        }
      }
    }
  },
  secrets: () => {
    if (line('sandboxed') !== 'yes') return
    attempt('read the database', () => readFileSync(join(targets.home, 'orch.db')).length)
    attempt('write into ORCH_HOME', () => writeFileSync(join(targets.home, 'planted'), 'x'))
    attempt('read a key', () => readFileSync(join(line('user'), '.ssh', 'id_ed25519'), 'utf8'))
    attempt('write into the clone', () => writeFileSync(join(targets.clone, 'planted'), 'x'))
  },
}
tries[line('hostile')]()
console.log('the end')
