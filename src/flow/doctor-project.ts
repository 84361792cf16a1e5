// The doctor's look at one project: its clone, its origin, its configuration in both places, its commands.

import { existsSync, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import type { ProjectFiles, Resolution } from '../config/config.ts'
import { type Policy, programOf as agentProgramOf } from '../core/policy.ts'
import { messageOf } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Check } from './app.ts'
import { type DoctorDeps, reporter } from './doctor-parts.ts'
import { checkRemotes } from './doctor-remotes.ts'
import { filesAt } from './project.ts'

export interface ProjectLook {
  checks: Check[]
  /** What holds, as far as it could be read. */
  policy: Policy | null
  /** Commands of agents whose program is not there. */
  missingPrograms: string[]
  /** The project with its mirror; null where its origin could not be reached. */
  place: { project: Project; mirror: Mirror } | null
}

const { ok, warning, failed } = reporter('project')

/** All checks of a project; each that needs a failed one is left out. */
export async function checkProject(deps: DoctorDeps, project: Project): Promise<ProjectLook> {
  const root = await deps.facts.findRoot(project.path)
  if (!root.ok) {
    const fix = `clone it there again, or \`orch project remove ${project.id}\` and \`orch init\` where it is now`
    return {
      checks: [failed('project.clone', `${project.path} is no clone any more: ${root.text}`, fix)],
      policy: null,
      missingPrograms: [],
      place: null,
    }
  }
  const clone = await deps.cloneFiles(project)
  const inClone = resolve(deps, clone, project.id)
  const base = await checkOrigin(deps, { project, base: inClone.ok ? inClone.project.policy.base : null })
  const holding = base.files?.config ? base.files : clone
  const resolution = resolve(deps, holding, project.id)
  const policy = resolution.ok ? resolution.project.policy : null
  return {
    checks: [
      ok('project.clone', `${project.id}: ${project.path}`),
      ...base.checks,
      ...configChecks({
        clone,
        inClone,
        base: base.files,
        baseName: base.name,
        inBase: base.files?.config ? resolution : null,
      }),
      ...(policy ? commandChecks(policy, { root: root.root, env: deps.env }) : []),
      ...(await unsupportedChecks(deps, root.root)),
      ...(await checkRemotes(remoteDeps(deps), {
        project,
        resolved: resolution.ok ? resolution.project : null,
        base: base.at,
      })),
    ],
    policy,
    missingPrograms: policy ? missingOf(agentCommands(policy), { root: root.root, env: deps.env }) : [],
    place: base.mirror && { project, mirror: base.mirror },
  }
}

function remoteDeps({ remotes, now, books }: DoctorDeps) {
  return { remotes, now, books: books.ok ? books.value.store : null }
}

/** What the user's own programs are started with, role by role. */
function agentCommands(policy: Policy): { run: string; cwd: string }[] {
  const commands = Object.entries(policy.roles).flatMap(([role, { agent }]) =>
    agent ? [agentProgramOf(policy, { role, agent }).command ?? ''] : [],
  )
  return [...new Set(commands)].map((run) => ({ run, cwd: '.' }))
}

/** Programs that these commands begin with and that are neither in their folder nor on the PATH. */
function missingOf(
  commands: readonly { run: string; cwd: string }[],
  at: { root: string; env: NodeJS.ProcessEnv },
): string[] {
  return commands.flatMap((command) => {
    const program = programOf(command.run)
    return program !== null && !isThere(program, { dir: join(at.root, command.cwd), env: at.env }) ? [program] : []
  })
}

function resolve(deps: DoctorDeps, files: ProjectFiles, projectId: string): Resolution {
  return deps.config.resolve({ layers: { env: deps.env, user: deps.userConfig(), projectId }, files, pipeline: null })
}

interface OriginLook {
  checks: Check[]
  name: string
  /** Null when the base could not be fetched. */
  files: ProjectFiles | null
  mirror: Mirror | null
  at: { branch: string; sha: string } | null
}

async function checkOrigin(deps: DoctorDeps, at: { project: Project; base: string | null }): Promise<OriginLook> {
  const { project } = at
  let mirror: Mirror
  let base: { branch: string; sha: string }
  try {
    mirror = await deps.mirror(project)
    base = await mirror.fetchBase(at.base)
  } catch (error) {
    const fix = 'check that `git fetch origin` works in the clone without asking for anything'
    return {
      checks: [failed('project.origin', messageOf(error), fix)],
      name: 'base',
      files: null,
      mirror: null,
      at: null,
    }
  }
  const name = `origin/${base.branch}`
  const checks = [
    ok('project.origin', `reached; the base is ${name} at ${base.sha.slice(0, 10)}`),
    await pushCheck(mirror),
  ]
  try {
    return { checks, name, files: await filesAt(mirror, base.sha, name), mirror, at: base }
  } catch (error) {
    return {
      checks: [...checks, failed('project.base', messageOf(error), 'look at the files under .orch at the base')],
      name,
      files: null,
      mirror,
      at: base,
    }
  }
}

async function pushCheck(mirror: Mirror): Promise<Check> {
  const result = await mirror
    .canPush('orch/doctor')
    .catch((error: unknown) => ({ ok: false as const, text: messageOf(error) }))
  if (result.ok) return ok('project.push', 'a dry-run push was accepted')
  return failed(
    'project.push',
    `a dry-run push was refused: ${result.text}`,
    'check that `git push --dry-run origin HEAD` works in the clone',
  )
}

interface BothConfigs {
  clone: ProjectFiles
  inClone: Resolution
  base: ProjectFiles | null
  baseName: string
  inBase: Resolution | null
}

function configChecks(at: BothConfigs): Check[] {
  const checks = [configCheck('project.config', '.orch.yml in the clone', at.clone.config ? at.inClone : null)]
  if (!at.base) return checks
  checks.push(configCheck('project.config-base', `.orch.yml at ${at.baseName}`, at.inBase))
  const cloned = at.clone.config?.text ?? null
  const based = at.base.config?.text ?? null
  if (cloned !== based) {
    const fix =
      based === null
        ? "commit .orch.yml and push it; until then the clone's counts"
        : `the one at ${at.baseName} counts: push yours, or pull`
    checks.push(warning('project.config-alike', `.orch.yml differs between the clone and ${at.baseName}`, fix))
  } else if (cloned !== null) {
    checks.push(ok('project.config-alike', `.orch.yml is the same in the clone and at ${at.baseName}`))
  }
  return checks
}

function configCheck(name: string, what: string, resolution: Resolution | null): Check {
  if (resolution === null)
    return warning(name, `there is no ${what}`, 'commit and push .orch.yml (`orch init` writes one)')
  if (resolution.ok) return ok(name, `${what} is valid`)
  const [first] = resolution.problems
  const more = resolution.problems.length > 1 ? ` (and ${resolution.problems.length - 1} more)` : ''
  return failed(
    name,
    `${first?.file}${first?.line ? `:${first.line}` : ''}: ${first?.key}: ${first?.text}${more}`,
    'mend it; `orch config check` lists all problems',
  )
}

function commandChecks(policy: Policy, at: { root: string; env: NodeJS.ProcessEnv }): Check[] {
  if (policy.verify === 'none')
    return [
      warning(
        'project.verify',
        'the project says `verify: none`: changes land without any check',
        'name a command as soon as there is one',
      ),
    ]
  if (policy.verify.length === 0)
    return [
      failed(
        'project.verify',
        'there is no verify command, so nothing can land',
        'set `verify` in .orch.yml, or `verify: none` if there is nothing to run',
      ),
    ]
  const missing = missingOf(policy.verify, at)
  if (missing.length === 0)
    return [ok('project.verify', policy.verify.map((command) => `\`${command.run}\``).join(', '))]
  const text = `not found: ${missing.join(', ')}`
  // Setup may bring it; without setup nothing will.
  return [
    policy.setup.length > 0
      ? warning('project.verify', text, 'unless setup brings it, install it')
      : failed('project.verify', text, 'install it, or mend `verify` in .orch.yml'),
  ]
}

const SHELL_WORDS = new Set([
  'cd',
  'set',
  'export',
  'test',
  '[',
  'true',
  ':',
  'exit',
  'if',
  'for',
  'while',
  'case',
  'exec',
  'eval',
  '.',
  'source',
  'trap',
  'umask',
  '!',
  '{',
])

/** The program a command line begins with; null when only a shell could tell. */
export function programOf(command: string): string | null {
  const words = command.trim().split(/\s+/)
  const first = words.find((word) => word !== '' && !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word))
  return !first || SHELL_WORDS.has(first) || /["'`$(){}<>|&;*?~\\]/.test(first) ? null : first
}

function isThere(program: string, at: { dir: string; env: NodeJS.ProcessEnv }): boolean {
  if (program.includes('/')) return existsSync(isAbsolute(program) ? program : join(at.dir, program))
  const folders = (at.env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder))
  return folders.some((folder) => {
    const stat = statSync(join(folder, program), { throwIfNoEntry: false })
    // Any execute bit: who may run it is told when it is run.
    return stat?.isFile() === true && (stat.mode & 0o111) !== 0
  })
}

async function unsupportedChecks(deps: DoctorDeps, root: string): Promise<Check[]> {
  const { lfs, submodules, signatures } = await deps.facts.unsupported(root)
  const check = (name: string, what: string, seen: string | null, fix: string): Check =>
    seen === null ? ok(name, `no ${what}`) : warning(name, `${what} (${seen}) are not supported yet`, fix)
  return [
    check(
      'project.lfs',
      'Git LFS files',
      lfs,
      'tasks that touch them will not work; keep to the rest of the repository',
    ),
    check(
      'project.submodules',
      'submodules',
      submodules,
      "they stay empty in workspaces; keep to tasks that don't need them",
    ),
    check(
      'project.signatures',
      'required signatures',
      signatures,
      "Orch's commits are unsigned: if the remote demands signatures, its pushes are refused",
    ),
  ]
}
