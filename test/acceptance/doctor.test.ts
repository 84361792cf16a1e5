// The doctor with the real program: drift of each kind is planted, seen, named, mended, and then gone; what is broken
// beyond that is told, and no command that changes something begins on it.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import type { Check, DoctorReport } from '../../src/flow/app.ts'
import { openStore } from '../../src/store/sqlite.ts'
import type { Commit, Store } from '../../src/store/store.ts'
import { type World, makeWorld } from './harness.ts'

let world: World
const strays: ChildProcess[] = []
afterEach(async () => {
  for (const stray of strays.splice(0)) stray.kill('SIGKILL')
  await world.close()
})

type Report = DoctorReport & { ok: boolean }

async function doctor(...args: string[]): Promise<Report & { code: number | null; check(name: string): Check }> {
  const ended = await world.orch(['doctor', '--json', ...args])
  if (ended.stdout === '') throw new Error(ended.stderr)
  const report = ended.json<Report>()
  const check = (name: string): Check => {
    const found = report.checks.find((one) => one.name === name)
    if (!found) throw new Error(`there is no check ${name}`)
    return found
  }
  return { ...report, code: ended.code, check }
}

const at = (...names: string[]): string => join(world.home, ...names)

function plant(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

async function onTheBooks(change: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(at('orch.db'))
  try {
    await change(store)
  } finally {
    store.close()
  }
}

/** T-1 has landed; T-2 is open and has not begun. */
async function landed(): Promise<void> {
  world = await makeWorld()
  await world.add('Lands', 'behaviour: add')
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
  await world.add('Waits for a service', 'behaviour: add')
}

/** Takes the task's job and ends it without a word to the task. */
async function loseStep(store: Store): Promise<void> {
  const job = await store.claim({ worker: 'planted', now: Date.now(), leaseMs: 60_000 })
  expect(job?.effect.task).toBe('T-2')
  expect(await store.finish({ jobId: job?.id ?? 0, token: job?.token ?? 0 })).toBe(true)
}

/** A run on the books that never came to be. */
async function loseRun(store: Store): Promise<void> {
  const run = { id: 'T-1-77', task: 'T-1', project: 'T', stage: 'develop', role: 'developer', agent: 'command' }
  const commit: Commit = {
    at: Date.now(),
    actor: { kind: 'engine', name: 'orch' },
    cause: 'planted',
    correlation: 'T-1',
    aggregates: [],
    events: [],
    effects: [],
    intents: [],
    runs: [{ op: 'begin', run: { ...run, model: null, attempt: 9, why: 'planted', startedAt: Date.now() } }],
  }
  expect(await store.commit(commit)).toMatchObject({ ok: true })
}

/** A process that carries the mark of a run which is over. */
function loseProcess(runId: string): number {
  const child = spawn('sleep', ['120'], {
    env: { ORCH_RUN_FOLDER: at('runs', runId) },
    stdio: 'ignore',
    detached: true,
  })
  strays.push(child)
  return child.pid ?? 0
}

const DRIFT = [
  'home.probes',
  'project.branches',
  'service.file',
  'drift.steps',
  'drift.runs',
  'drift.processes',
  'drift.workspaces',
  'drift.read-copies',
  'drift.logins',
  'drift.handoffs',
]

test('drift of each kind is seen, named and mended, once', async () => {
  await landed()
  const { branch, headSha, runs } = await world.task('T-1')
  const before = await doctor()
  for (const name of DRIFT.filter((one) => !['home.probes', 'service.file'].includes(one)))
    expect(before.check(name), name).toMatchObject({ status: 'ok' })
  const first = runs[0]?.id ?? ''
  const pid = loseProcess(first)
  plant(at('workspaces', 'T-1', 'tree', 'notes.txt'), 'worth keeping\n')
  plant(at('workspaces', 'T-99', 'tree', 'notes.txt'), 'of nobody\n')
  plant(at('workspaces', 'T-2', `review-${first}`, 'tree', 'x'))
  plant(at('logins', 'T-1', 'developer-command', 'settings'))
  plant(at('logins', 'T-99', 'developer-command', 'settings'))
  plant(at('handoffs', 'T-99-1', 'handoff-x', 'handoff.md'))
  plant(at('service.json'), JSON.stringify({ pid: 1, startTime: 1, bootId: 'gone', since: 'once' }))
  const probes = [at('.orch-probe-4194300-1-0-abc'), at('runs', '.orch-probe-4194300-1-0-abc')]
  for (const probe of probes) plant(probe)
  await world.git('update-ref', `refs/heads/${branch}`, headSha ?? '')
  await world.git('update-ref', 'refs/heads/orch/T-99-of-another', headSha ?? '')
  await onTheBooks(async (store) => {
    await loseStep(store)
    await loseRun(store)
  })

  const seen = await doctor()
  expect(seen.code).toBe(0)
  const told = (name: string) => seen.check(name).text
  for (const name of DRIFT) expect(seen.check(name), name).toMatchObject({ status: 'warning' })
  expect(told('drift.workspaces')).toContain('T-1 (its task has ended), T-99 (no such task)')
  expect(told('drift.read-copies')).toContain(`${first} (its run is over)`)
  expect(told('drift.logins')).toContain('T-1 (its task has ended), T-99 (no such task)')
  expect(told('drift.handoffs')).toContain('T-99-1 (no such run)')
  expect(told('drift.processes')).toContain(`${first} (over; pid ${pid})`)
  expect(told('drift.runs')).toContain('T-1-77 (never started)')
  expect(told('drift.steps')).toContain('T-2')
  expect(told('home.probes')).toContain('2 probe files')
  expect(told('project.branches')).toContain(`${branch} (its task has ended), orch/T-99-of-another (no such task)`)
  // Looking changes nothing.
  const drift = (report: Report): Check[] => report.checks.filter((check) => DRIFT.includes(check.name))
  expect(drift(await doctor())).toEqual(drift(seen))

  const mended = await doctor('--fix')
  expect(mended.code).toBe(0)
  for (const name of DRIFT.filter((one) => !['home.probes', 'service.file', 'project.branches'].includes(one)))
    expect(mended.check(name), name).toMatchObject({ status: 'ok' })
  expect(mended.fixed.join('\n')).toMatch(/workspace of T-1; what only it had is in .*saved/)
  expect(mended.fixed.join('\n')).toContain(`ended what lived of run ${first}`)
  expect(mended.notFixed).toEqual(['branch orch/T-99-of-another: the books know no such task'])
  expect(readFileSync(at('saved', 'T-1-1', 'tree', 'notes.txt'), 'utf8')).toBe('worth keeping\n')
  for (const gone of [
    ...probes,
    at('service.json'),
    at('workspaces', 'T-1'),
    at('logins', 'T-99'),
    at('handoffs', 'T-99-1'),
  ])
    expect(existsSync(gone), gone).toBe(false)
  expect(existsSync(`/proc/${pid}/environ`) && readFileSync(`/proc/${pid}/environ`, 'utf8')).toBeFalsy()
  expect(await world.git('for-each-ref', '--format=%(refname)', 'refs/heads/orch')).toBe(
    'refs/heads/orch/T-99-of-another',
  )

  const again = await doctor('--fix')
  expect(again.fixed).toEqual([])
  expect(again.notFixed).toEqual(mended.notFixed)
  await world.upUntilIdle()
  expect(await world.task('T-2')).toMatchObject({ status: 'done', attempts: { code: 0 } })
  const after = await doctor()
  for (const name of DRIFT.filter((one) => one.startsWith('drift.')))
    expect(after.check(name), name).toMatchObject({ status: 'ok' })
})

test('while a service runs, nothing is mended that it might be at', async () => {
  world = await makeWorld()
  const up = world.start(['up', '--json'])
  await expect.poll(() => existsSync(at('service.json')), { timeout: 20_000 }).toBe(true)
  plant(at('workspaces', 'T-99', 'tree', 'notes.txt'), 'of nobody\n')
  plant(at('.orch-probe-4194300-1-0-abc'))
  const held = await doctor('--fix')
  expect(held.fixed).toEqual([`removed ${at('.orch-probe-4194300-1-0-abc')}`])
  expect(held.notFixed).toEqual([expect.stringContaining(`orch up runs here (pid ${up.pid})`)])
  expect(held.check('drift.workspaces')).toMatchObject({ status: 'warning' })
  expect(existsSync(at('workspaces', 'T-99'))).toBe(true)
  up.kill('SIGINT')
  await up.ended
  expect((await doctor('--fix')).fixed).toEqual([expect.stringContaining('workspace of T-99')])
})

test('several doctors at once never meet', async () => {
  world = await makeWorld()
  plant(at('workspaces', 'T-99', 'tree', 'notes.txt'), 'of nobody\n')
  const fixes = ['--fix', '--fix']
  const reports = await Promise.all(
    ['', '', ...fixes].map((flag) => doctor('--profile', 'host,service', ...(flag ? [flag] : []))),
  )
  for (const report of reports) {
    expect(report.check('home.writable').status).toBe('ok')
    expect(report.checks.some((check) => check.name === 'home.probes' || check.profile === 'project')).toBe(false)
  }
  expect(reports.flatMap((report) => report.fixed)).toHaveLength(1)
  expect(readdirSync(world.home).filter((name) => name.includes('probe'))).toEqual([])
})

test('a database that can’t be used is a failed check, and nothing begins on it', async () => {
  world = await makeWorld()
  const good = readFileSync(at('orch.db'))
  const raw = new DatabaseSync(at('orch.db'))
  raw.exec('PRAGMA wal_checkpoint(TRUNCATE); PRAGMA user_version = 99')
  raw.close()
  const newer = await doctor()
  expect(newer.code).toBe(6)
  expect(newer.check('service.database')).toMatchObject({
    status: 'failed',
    text: expect.stringContaining('version 99'),
  })
  // What needs no books is looked at all the same.
  expect(newer.check('git.features').status).toBe('ok')
  expect(newer.check('agent.command')).toBeDefined()
  const refused = await world.orch(['task', 'add', 'No', '--body', 'x', '--json'])
  expect(refused.code).toBe(6)
  expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'newer-database', exit: 6 } })

  for (const name of ['orch.db-wal', 'orch.db-shm']) rmSync(at(name), { force: true })
  writeFileSync(at('orch.db'), good.fill(0xff, 0, 1_024))
  const damaged = await doctor('--fix')
  expect(damaged.code).toBe(6)
  expect(damaged.check('service.database').status).toBe('failed')
  expect((await world.orch(['up', '--until-idle'])).code).toBe(6)
  expect(readFileSync(at('orch.db')).equals(good)).toBe(true)

  truncateSync(at('orch.db'), 0)
  await world.ok(['init', '--yes', '--prefix', 'T'])
  expect((await doctor()).code).toBe(0)
})

test('damage inside the database is found although it opens', async () => {
  await landed()
  const raw = new DatabaseSync(at('orch.db'))
  raw.exec(`UPDATE tasks SET state = json_set(state, '$.title', 'Another') WHERE id = 'T-1'`)
  raw.exec('PRAGMA foreign_keys = OFF')
  raw.exec(`INSERT INTO open_dependencies VALUES ('T-1', 'T-77')`)
  raw.close()
  const report = await doctor('--profile', 'service')
  expect(report.code).toBe(6)
  expect(report.check('database.journal')).toMatchObject({ status: 'failed', text: expect.stringContaining('T-1') })
  expect(report.check('database.references').status).toBe('failed')
  expect(report.check('database.integrity').status).toBe('ok')
})

/** The program as a user who may not do everything. */
function asOrdinaryUser(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const root = process.getuid?.() === 0
  const node = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')
  const argv = [node, join(import.meta.dirname, '..', '..', 'bin', 'orch.js'), ...args]
  const [file = '', ...rest] = root ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...argv] : argv
  return new Promise((resolve) => {
    const { NODE_COMPILE_CACHE: _, ...env } = world.env
    execFile(file, rest, { cwd: world.clone, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr })
    })
  })
}

test('an ORCH_HOME that can’t be written is told before anything begins', async () => {
  world = await makeWorld()
  chmodSync(world.dir, 0o755)
  chmodSync(world.home, 0o555)
  const db = statSync(at('orch.db')).mtimeMs
  try {
    const refused = await asOrdinaryUser(['task', 'add', 'No', '--body', 'x', '--json'])
    expect(refused.code, refused.stderr).toBe(6)
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: { code: 'no-access', text: expect.stringMatching(/task add.*EACCES.*set ORCH_HOME.*--skip-doctor/) },
    })
    const report = await asOrdinaryUser(['doctor', '--json'])
    expect(report.code).toBe(6)
    const failed = (JSON.parse(report.stdout) as Report).checks.filter((check) => check.status === 'failed')
    expect(failed.map((check) => check.name)).toContain('home.writable')
    const skipped = await asOrdinaryUser(['task', 'add', 'No', '--body', 'x', '--skip-doctor', '--json'])
    expect(skipped.code).not.toBe(0)
    expect(skipped.stderr).not.toContain('was not begun')
  } finally {
    chmodSync(world.home, 0o700)
  }
  expect(statSync(at('orch.db')).mtimeMs).toBe(db)
})

test('with a git that is too old no command that needs it begins; the others do', async () => {
  world = await makeWorld()
  await world.add('Is paused')
  const bin = join(world.dir, 'bin')
  plant(join(bin, 'git'), '#!/bin/sh\necho "git version 2.30.1"\n')
  chmodSync(join(bin, 'git'), 0o755)
  const env = { PATH: `${bin}:${world.env['PATH']}` }
  const refused = await world.orch(['up', '--until-idle'], { env })
  expect(refused).toMatchObject({ code: 6, stderr: expect.stringContaining('git 2.30.1 is too old') })
  expect(existsSync(at('service.lock'))).toBe(false)
  expect(await world.orch(['task', 'pause', 'T-1'], { env })).toMatchObject({ code: 0 })
  const skipped = await world.orch(['up', '--until-idle', '--skip-doctor', '--timer-wait', '0s'], { env })
  expect(skipped.code, skipped.stderr).toBe(0)
})
