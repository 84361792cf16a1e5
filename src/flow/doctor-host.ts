// The doctor's look at the machine: git, Node, what holds agents and ends them, the disk, the right to write.

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { messageOf } from '../lib/errors.ts'
import type { SandboxMeans } from '../workspace/workspace.ts'
import type { Check } from './app.ts'
import { type DoctorDeps, type Finding, count, mendEach, named, reporter } from './doctor-parts.ts'
import { GIT_NEEDED, atLeast, isGitEnough, leftoverProbes, proveWritable, room } from './doctor-quick.ts'

const NODE_MIN = [24, 0] as const
/** A mirror, a few workspaces and their caches; below the second nothing should start. */
const DISK_WARN_BYTES = 5 * 2 ** 30
const DISK_FAIL_BYTES = 2 ** 29
/** A checkout with its installed packages has some 50,000 files; below the second not even a small one has room. */
const FILES_WARN = 200_000
const FILES_FAIL = 10_000

const { ok, warning, failed } = reporter('host')

/** All checks of the machine; changes nothing. */
export async function checkHost(deps: DoctorDeps): Promise<Finding[]> {
  const checks: Check[] = [
    ...(await gitChecks(deps)),
    atLeast(deps.nodeVersion, NODE_MIN)
      ? ok('node.version', `Node ${deps.nodeVersion}`)
      : failed('node.version', `Node ${deps.nodeVersion} is too old`, 'install Node 24 or newer'),
    ...sandboxChecks(deps.sandbox),
    homeCheck(deps.home),
    ...diskChecks(deps.home),
    await diskUsed(deps),
  ]
  return checks.map((check) => ({ check }))
}

async function gitChecks({ facts }: DoctorDeps): Promise<Check[]> {
  const version = await facts.gitVersion()
  if (version === null) return [failed('git.version', "git can't be run", `install git ${GIT_NEEDED}`)]
  if (!isGitEnough(version)) return [failed('git.version', `git ${version} is too old`, `install git ${GIT_NEEDED}`)]
  const { tried, problem } = await facts.tryGit()
  return [
    ok('git.version', `git ${version}`),
    problem === null
      ? ok('git.features', `tried in a scratch repository: ${tried.join(', ')}`)
      : failed('git.features', `this git could not ${problem}`, `install git ${GIT_NEEDED} as its makers publish it`),
  ]
}

function sandboxChecks(sandbox: DoctorDeps['sandbox']): Check[] {
  if (!sandbox.ok) return [failed('sandbox', sandbox.text, 'unset ORCH_SANDBOX, or install what it names')]
  return [sandboxCheck(sandbox.value), killCheck(sandbox.value)]
}

function sandboxCheck(means: SandboxMeans): Check {
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

/** How a run's whole tree is ended on this machine. */
function killCheck(means: SandboxMeans): Check {
  switch (means.ends) {
    case 'pid-namespace':
      return ok(
        'kill',
        `a run ends whole: its processes are in a pid namespace (${means.kind}), which dies with its first`,
      )
    case 'cgroup':
      return ok('kill', 'a run ends whole: its processes are in a cgroup of its own, which the kernel ends at once')
    case 'marker':
      return warning(
        'kill',
        'a run’s processes are found by their parents and by a mark in their environment: one that leaves its parents and clears its environment outlives its run',
        'install bubblewrap (bwrap), or allow user namespaces or a writable cgroup v2 tree',
      )
    default:
      return means.ends satisfies never
  }
}

/** Folders of ORCH_HOME that may lie on other file systems, or belong to others, each in its own way. */
const WRITTEN = ['.', 'mirrors', 'workspaces', 'runs', 'logins', 'handoffs', 'verify', 'pool', 'products', 'saved']

const writtenFolders = (home: string): string[] =>
  WRITTEN.map((name) => join(home, name)).filter((folder, index) => index === 0 || existsSync(folder))

function homeCheck(home: string): Check {
  const folders = writtenFolders(home)
  const problems = folders.flatMap((folder) => proveWritable(folder)?.text ?? [])
  if (problems.length > 0)
    return failed('home.writable', named(problems), 'check who owns ORCH_HOME, or set it to another folder')
  return ok('home.writable', `a file was written to ${home} and ${count(folders.length - 1, 'folder')} in it`)
}

function diskChecks(home: string): Check[] {
  try {
    const { bytes, files } = room(home)
    return [freeBytes(home, bytes), ...(files === null ? [] : [freeFiles(home, files)])]
  } catch (error) {
    return [warning('disk.free', `free space can't be told: ${messageOf(error)}`, 'check the disk by hand')]
  }
}

const MORE_ROOM = 'make room, or set ORCH_HOME to a folder on a larger disk'

function freeBytes(home: string, bytes: number): Check {
  const text = `${size(bytes)} free where ${home} is`
  if (bytes >= DISK_WARN_BYTES) return ok('disk.free', text)
  return bytes >= DISK_FAIL_BYTES ? warning('disk.free', text, MORE_ROOM) : failed('disk.free', text, MORE_ROOM)
}

function freeFiles(home: string, files: number): Check {
  const text = `room for ${files} more files (inodes) where ${home} is`
  if (files >= FILES_WARN) return ok('disk.files', text)
  return files >= FILES_FAIL ? warning('disk.files', text, MORE_ROOM) : failed('disk.files', text, MORE_ROOM)
}

async function diskUsed(deps: DoctorDeps): Promise<Check> {
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

/** Files by which a process proved that it can write, and died. */
export async function checkProbes({ home }: DoctorDeps): Promise<Finding[]> {
  const left = writtenFolders(home).flatMap(leftoverProbes)
  if (left.length === 0) return []
  const check = warning(
    'home.probes',
    `${count(left.length, 'probe file')} of a process that died: ${named(left.map((path) => basename(path)))}`,
    '`orch doctor --fix` removes them',
  )
  const work = async (path: string): Promise<string> => {
    await rm(path, { force: true })
    return `removed ${path}`
  }
  return [{ check, mend: { alone: false, run: () => mendEach(left, { name: (path) => path, work }) } }]
}
