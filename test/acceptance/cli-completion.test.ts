// Completion in the real shells: each loads its script and is asked as its user would.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProcess } from '../../src/lib/process.ts'
import { type World, makeWorld } from './harness.ts'

const ROOT = join(import.meta.dirname, '..', '..')

let world: World
beforeAll(async () => {
  world = await makeWorld()
  await world.add('Round the totals')
  await world.add('Print a receipt')
  mkdirSync(join(world.dir, 'bin'))
  const orch = join(world.dir, 'bin', 'orch')
  writeFileSync(orch, `#!/bin/sh\nexec "${join(ROOT, 'node_modules/.bin/node')}" "${join(ROOT, 'bin/orch.js')}" "$@"\n`)
  chmodSync(orch, 0o755)
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(join(world.dir, `orch.${shell}`), (await world.ok(['completion', shell])).stdout)
})
afterAll(() => world.close())

/** Runs a program in the clone, with `orch` on its PATH. */
async function shell(argv: [string, ...string[]], env: Record<string, string> = {}): Promise<string> {
  const result = await runProcess({
    argv,
    cwd: world.clone,
    env: { ...world.env, TERM: 'xterm', ...env, PATH: `${join(world.dir, 'bin')}:${world.env['PATH']}` },
    timeoutMs: 100_000,
  })
  if (result.outcome !== 'exited') throw new Error(`${argv[0]}: ${result.outcome}: ${result.stdout}${result.stderr}`)
  return result.stdout + result.stderr
}

const has = async (name: string): Promise<boolean> =>
  (await runProcess({ argv: [name, '-c', ':'], env: { PATH: process.env['PATH'] ?? '' }, timeoutMs: 10_000 }))
    .exitCode === 0
const found = { bash: await has('bash'), zsh: await has('zsh'), fish: await has('fish') }
const named = (name: keyof typeof found): string => (found[name] ? name : `${name} (skipped: it is not installed)`)

const askBash = (words: string[], more = ''): Promise<string> =>
  shell([
    'bash',
    '--norc',
    '-c',
    `source "$1"; shift; ${more} COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _orch orch; printf '[%s]\\n' "\${COMPREPLY[@]}"`,
    'bash',
    join(world.dir, 'orch.bash'),
    ...words,
  ])

test.runIf(found.bash)(`${named('bash')} completes verbs, options, values, tasks and files`, async () => {
  expect(await askBash(['orch', 'task', 'ret'])).toBe('[retry]\n')
  expect(await askBash(['orch', 'task', 'show', ''])).toBe('[T-1]\n[T-2]\n')
  expect(await askBash(['orch', 'task', 'list', '--st'])).toBe('[--status]\n')
  // As bash itself splits `--status=needs`.
  expect(await askBash(['orch', 'task', 'list', '--status', '=', 'needs'])).toBe('[needs_review]\n')
  expect(await askBash(['orch', 'task', 'list', '--status', '='])).toContain('[blocked]\n')
  expect(await askBash(['orch', 'task', 'add', 'x', '--body-file', 'READ'])).toBe('[README.md]\n')
})

test.runIf(found.bash)(`${named('bash')} prints nothing where Orch fails`, async () => {
  const broken = join(world.dir, 'broken')
  mkdirSync(broken)
  writeFileSync(join(broken, 'orch.db'), 'no database')
  expect(await askBash(['orch', 'why', ''], `export ORCH_HOME="${broken}";`)).toBe('[]\n')
  expect(await askBash(['orch', 'why', ''], 'PATH=/nowhere;')).toBe('[]\n')
})

test.runIf(found.fish)(`${named('fish')} completes tasks with their titles, and values after =`, async () => {
  const ask = (line: string): Promise<string> =>
    shell(['fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', join(world.dir, 'orch.fish'), line])
  expect(await ask('orch task show ')).toBe('T-1\tqueued: Round the totals\nT-2\tqueued: Print a receipt\n')
  expect(await ask('orch why 2')).toBe('2\tqueued: Print a receipt\n')
  expect(await ask('orch task list --status=wai')).toBe('--status=waiting\n')
  expect(await ask('orch task add x --pipeline d')).toContain('direct\n')
  expect(await ask('orch pipeline validate REA')).toContain('README.md')
  expect(await ask('orch config explain sandbox.n')).toBe('sandbox.network\n')
})

/** A zsh in a terminal of its own: types the keys, and prints what is on the screen until the text is there. */
const ZPTY = `
zmodload zsh/zpty
zpty -b z zsh -f -i
until_seen() {
  local part all=""
  for i in {1..800}; do
    while zpty -r -t z part; do all+="$part"; done
    [[ "$all" == *"$1"* ]] && { print -r -- "$all"; return 0 }
    sleep 0.1
  done
  print -r -- "not seen: $1 in: $all"
}
zpty -w z "PS1='%% '; autoload -Uz compinit; compinit -D -u; source \${(q)1}; print rea\\"\\"dy"
until_seen ready
zpty -w -n z "$2"
until_seen "$3"
zpty -d z
`
const askZsh = (keys: string, expected: string): Promise<string> =>
  shell(['zsh', '-f', '-c', ZPTY, 'zsh', join(world.dir, 'orch.zsh'), keys, expected])

test.runIf(found.zsh)(`${named('zsh')} completes verbs, and tasks with their titles`, async () => {
  expect(await askZsh('orch task ret\t', 'retry')).not.toContain('not seen')
  const listed = await askZsh('orch task show \t\t', 'Print a receipt')
  expect(listed).not.toContain('not seen')
  expect(listed).toContain('Round the totals')
  expect(await askZsh('orch task list --status=needs\t', 'needs_review')).not.toContain('not seen')
})
