// `orch doctor`: looks at everything a task will need and says what is missing before the night does.
// Invariant: changes nothing but the mirror's fetched refs; a check that can't be made is never `ok`.

import { access, constants, statfs } from 'node:fs/promises'
import { messageOf } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { SandboxMeans } from '../workspace/workspace.ts'
import type { Check } from './app.ts'
import { checkAgents } from './doctor-agents.ts'
import { type DoctorDeps, reporter } from './doctor-parts.ts'
import { type ProjectLook, checkProject } from './doctor-project.ts'

/** Makes the doctor. Each call looks anew; it never throws for what it finds. */
export function makeDoctor(deps: DoctorDeps): (request: { cwd: string }) => Promise<Check[]> {
  return async ({ cwd }) => {
    const project = deps.reader.projectAt(cwd)
    const [host, look] = await Promise.all([checkHost(deps), lookAtProject(deps, project)])
    return [...host, ...look.checks, ...(await checkAgents(deps, look)), ...checkService(deps)]
  }
}

/** merge-tree --write-tree, without which nothing lands, came with git 2.38. */
const GIT_MIN = [2, 38] as const
const NODE_MIN = [24, 0] as const
/** A mirror, a few workspaces and their caches; below the second nothing should start. */
const DISK_WARN_BYTES = 5 * 2 ** 30
const DISK_FAIL_BYTES = 2 ** 29

async function checkHost(deps: DoctorDeps): Promise<Check[]> {
  const { ok, failed } = reporter('host')
  const git = await deps.facts.gitVersion()
  const node = deps.nodeVersion
  return [
    git === null
      ? failed('git.version', "git can't be run", 'install git 2.38 or newer')
      : atLeast(git, GIT_MIN)
        ? ok('git.version', `git ${git}`)
        : failed('git.version', `git ${git} is too old`, 'install git 2.38 or newer'),
    atLeast(node, NODE_MIN)
      ? ok('node.version', `Node ${node}`)
      : failed('node.version', `Node ${node} is too old`, 'install Node 24 or newer'),
    sandboxCheck(deps.sandbox),
    await homeCheck(deps.home),
    await diskFree(deps.home),
    await diskUsed(deps),
  ]
}

function atLeast(version: string, min: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > min[0] || (major === min[0] && minor >= min[1])
}

function sandboxCheck(means: SandboxMeans): Check {
  const { ok, warning } = reporter('host')
  const name = `${means.kind}${means.version ? ` ${means.version}` : ''}`
  if (means.open.length === 0) return ok('sandbox', `${name}: a probe run in it succeeded`)
  const fix =
    'install bubblewrap (bwrap) and allow user namespaces; until then run agents only on repositories and issues you trust'
  return warning(
    'sandbox',
    `${means.kind === 'none' ? 'no sandbox could be started' : name}; this stays open: ${means.open.join('; ')}`,
    fix,
  )
}

async function homeCheck(home: string): Promise<Check> {
  const { ok, failed } = reporter('host')
  try {
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok('home.writable', `${home} can be written`)
  } catch (error) {
    return failed('home.writable', messageOf(error), 'check who owns ORCH_HOME, or set it to another folder')
  }
}

async function diskFree(home: string): Promise<Check> {
  const { ok, warning, failed } = reporter('host')
  try {
    const { bavail, bsize } = await statfs(home)
    const bytes = bavail * bsize
    const text = `${size(bytes)} free where ${home} is`
    if (bytes >= DISK_WARN_BYTES) return ok('disk.free', text)
    const fix = 'make room, or set ORCH_HOME to a folder on a larger disk'
    return bytes >= DISK_FAIL_BYTES ? warning('disk.free', text, fix) : failed('disk.free', text, fix)
  } catch (error) {
    return warning('disk.free', `free space can't be told: ${messageOf(error)}`, 'check the disk by hand')
  }
}

async function diskUsed(deps: DoctorDeps): Promise<Check> {
  const { ok, warning } = reporter('host')
  try {
    const uses = await deps.diskUse()
    const total = uses.reduce((sum, use) => sum + use.bytes, 0)
    const largest = uses
      .toSorted((a, b) => b.bytes - a.bytes)
      .slice(0, 3)
      .filter((use) => use.bytes > 0)
    const detail = largest.length === 0 ? '' : ` (${largest.map((use) => `${use.path} ${size(use.bytes)}`).join(', ')})`
    return ok('disk.used', `Orch uses ${size(total)}${detail}`)
  } catch (error) {
    return warning('disk.used', `what Orch uses can't be told: ${messageOf(error)}`, `look into ${deps.home}`)
  }
}

export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 2 ** (10 * power)
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

async function lookAtProject(deps: DoctorDeps, project: Project | null): Promise<ProjectLook> {
  if (project) return checkProject(deps, project)
  const known = deps.reader.projects().map((one) => one.id)
  const check =
    known.length === 0
      ? reporter('project').warning('project.registered', 'no project is registered', 'run `orch init` in a clone')
      : reporter('project').warning(
          'project.registered',
          `this folder belongs to no project (known: ${known.join(', ')})`,
          "run `orch doctor` in a project's clone",
        )
  return { checks: [check], policy: null, missingPrograms: [] }
}

function checkService(deps: DoctorDeps): Check[] {
  const { ok, warning, failed } = reporter('service')
  const service = deps.reader.service()
  const running = service.running
    ? ok('service.running', `orch up is running (pid ${service.pid}, since ${service.since ?? 'unknown'})`)
    : warning('service.running', 'orch up is not running: tasks wait', 'run `orch up`')
  return [ok('orch.version', `orch ${deps.version}`), running, databaseCheck()]

  function databaseCheck(): Check {
    try {
      const { ready, delayed, running: busy } = deps.store.jobSummary()
      return ok('service.database', `opens; ${deps.store.lastSeq()} events, ${ready + delayed + busy} open jobs`)
    } catch (error) {
      return failed('service.database', `can't be read: ${messageOf(error)}`, `check ${deps.home}/orch.db`)
    }
  }
}
