// Agents that try what they must not. Main, other refs, the clone and Orch's own home are looked at from outside.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../src/flow/app.ts'
import { type World, agentCommand, makeWorld } from './harness.ts'
import { MODES } from './modes.ts'

const AGENT = join(import.meta.dirname, 'agents', 'hostile.mjs')
const CHECKOUT = join(import.meta.dirname, '..', '..')
const ORCH = join(CHECKOUT, 'bin', 'orch.js')
const TRIES = ['refs', 'git', 'programs', 'gone', 'swap', 'orch', 'secrets']

describe.each(MODES)('a hostile agent with %s', (_, env) => {
  let world: World
  let base: string
  let sandbox: Check | undefined
  let tools: string
  const output = (id: string): string => readFileSync(join(world.home, 'runs', `${id}-1`, 'output.log'), 'utf8')
  const idOf = (what: string): string => `T-${TRIES.indexOf(what) + 1}`

  beforeAll(async () => {
    ;({ world, base, sandbox, tools } = await prepare(env))
  }, 120_000)
  afterAll(() => world.close())

  test('main moved only by landings of Orch, and no other ref appeared', async () => {
    const landed = (await world.git('log', '--first-parent', '--format=%cn', `${base}..main`))
      .split('\n')
      .filter(Boolean)
    expect(new Set(landed)).toEqual(new Set(['Orch']))
    expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
    expect(await world.git('log', '--format=%s', '--first-parent', 'main')).not.toMatch(/^the task itself$/m)
  })

  test('nothing that was planted was executed outside of its run', () => {
    const marker = join(world.signals, 'executed')
    expect(existsSync(marker) ? readFileSync(marker, 'utf8') : '').toBe('')
  })

  test('orch refuses to change anything from inside a run', () => {
    const tried = output(idOf('orch'))
      .split('\n')
      .filter((line) => line.startsWith('TRIED orch'))
    expect(tried).toHaveLength(8)
    for (const line of tried) expect(line).toMatch(/exit 4 .*\[inside-run\]/)
  })

  test('no approval, task or landing came from an agent', async () => {
    expect((await world.orch(['task', 'show', `T-${TRIES.length + 1}`])).code).toBe(3)
    for (const what of TRIES) expect((await world.task(idOf(what))).approvals).toEqual([])
  })

  test('a deleted workspace or a swapped git directory is never success', async () => {
    for (const what of ['gone', 'swap']) {
      const task = await world.task(idOf(what))
      expect(task, what).toMatchObject({ status: 'needs_review', attempts: { code: 0 } })
      expect((await world.why(task.id)).actions.length).toBeGreaterThan(0)
    }
    expect(await world.gitIn(world.clone, 'rev-parse', 'HEAD')).toBe(base)
    expect(await world.gitIn(world.clone, 'status', '--porcelain')).toBe('')
  })

  test('the run that tampered with its git directory is named', async () => {
    for (const what of ['refs', 'git']) {
      const { tampering } = await world.task(idOf(what))
      expect(tampering, what).toMatchObject([{ run: `${idOf(what)}-1`, agent: 'command' }])
      expect((await world.ok(['task', 'show', idOf(what)])).stdout).toContain(`run ${idOf(what)}-1 (command): `)
    }
    expect((await world.task(idOf('programs'))).tampering).toBeUndefined()
  })

  test('with bubblewrap nothing outside can be read or written; without, doctor says what is open', () => {
    if (sandbox?.status !== 'ok') {
      expect(sandbox?.text).toContain('this stays open')
      return
    }
    const tried = output(idOf('secrets')) + output(idOf('refs'))
    expect(tried).not.toMatch(/TRIED (read the database|read a key|push to the remote).*: went through/)
    // In the sandbox it may write over a mask; the places themselves must not have changed.
    expect([world.home, world.clone].map((place) => existsSync(join(place, 'planted')))).toEqual([false, false])
    expect(output(idOf('programs'))).toContain(`plant git in ${tools}`)
    expect(readdirSync(tools)).toEqual(['README'])
  })
})

interface Prepared {
  world: World
  base: string
  sandbox: Check | undefined
  tools: string
}

/** A world in which each of the tries has run to its end. */
async function prepare(env: Record<string, string>): Promise<Prepared> {
  const world = await makeWorld({
    env: { ...env, ORCH_AGENTS_COMMAND_COMMAND: agentCommand(AGENT) },
    config: 'limits: { attempts: 1, infra: 0 }',
  })
  const tools = join(world.dir, 'tools')
  mkdirSync(tools)
  writeFileSync(join(tools, 'README'), 'a folder on the PATH\n')
  const base = await world.git('rev-parse', 'main')
  mkdirSync(join(world.env['HOME'] ?? '', '.ssh'), { recursive: true })
  writeFileSync(join(world.env['HOME'] ?? '', '.ssh', 'id_ed25519'), 'a private key\n')
  const programs = join(world.home, '..', 'programs')
  mkdirSync(programs, { recursive: true })
  const places = {
    home: world.home,
    remote: world.remote,
    clone: world.clone,
    marker: join(world.signals, 'executed'),
    orch: ORCH,
    programs,
    user: world.env['HOME'] ?? '',
    world: world.dir,
  }
  const sandbox = (await world.orch(['doctor', '--json']))
    .json<{ checks: Check[] }>()
    .checks.find((check) => check.name === 'sandbox')
  // Without a sandbox it tries only what must hold all the same; the rest is open, as doctor says.
  const sandboxed = sandbox?.status === 'ok'
  const lines = Object.entries({ ...places, sandboxed: sandboxed ? 'yes' : 'no' }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  for (const what of TRIES) await world.add(`Tries ${what}`, [`hostile: ${what}`, ...lines].join('\n'))
  await world.upUntilIdle({
    timeoutMs: 110_000,
    // Orch itself is shown to the agent wherever this checkout lies: it must be refused, not just out of sight.
    env: {
      ORCH_SANDBOX_READ: JSON.stringify([world.signals, CHECKOUT]),
      ...(sandboxed ? { PATH: `${tools}:${world.env['PATH']}` } : {}),
    },
  })
  return { world, base, sandbox, tools }
}
