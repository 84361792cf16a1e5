// Verification: setup and the project's verify commands in a checkout that no agent has been in, deleted afterwards (S16).
// Invariant: the checkout is made from the mirror alone, its runtime folder is new, no credential reaches a verify command.

import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import picomatch from 'picomatch'
import type { VerifyCommand } from '../core/policy.ts'
import type { CommandEvidence } from '../core/verdict.ts'
import { ExternalError } from '../lib/errors.ts'
import type { ProcessResult } from '../lib/process.ts'
import { type ProcessIdentity, identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import { type CommandPlace, runCommand, runSetup } from './commands.ts'
import { type Context, ensureFolder, firstMemory } from './context.ts'
import { ensureRuntimeFolders, makeEnvironment } from './environment.ts'
import { trimOutput } from './output.ts'
import { placeInside, removeTree, safeSha } from './places.ts'
import { makeTree } from './tree.ts'
import type { Mirror, VerifyRequest } from './workspace.ts'

/** Runs what is to be run and gives what was seen. Throws ExternalError for setup, the sandbox, the disk; never for a red command. */
export async function verifyTree(context: Context, mirror: Mirror, request: VerifyRequest): Promise<CommandEvidence[]> {
  const sha = safeSha(request.sha)
  const commands = selected(request.verify, request.changedPaths)
  if (commands.length === 0) return []
  await removeAbandoned(context)
  const folder = await newCheckoutFolder(context)
  try {
    const tree = path.join(folder, 'tree')
    const runtimeDir = path.join(folder, 'runtime')
    await ensureRuntimeFolders(runtimeDir)
    await makeTree(context, {
      tree,
      memory: firstMemory(mirror, { branch: 'verify', baseBranch: 'verified', baseSha: sha }),
      head: null,
      sha,
    })
    const environment = (passSecrets: boolean): Record<string, string> =>
      makeEnvironment({
        user: context.env,
        home: context.home,
        runtimeDir,
        workspace: tree,
        place: request.env,
        passSecrets,
      })
    const place: CommandPlace = {
      tree,
      runtimeDir,
      cwd: tree,
      env: environment(false),
      objects: path.join(mirror.path, 'objects'),
      masked: mirror.masked,
      read: request.read ?? [],
      network: request.network,
      outputCapBytes: request.outputCapBytes,
      ...(request.signal ? { signal: request.signal } : {}),
    }
    await runSetup(context, request.setup, { ...place, env: environment(true), timeoutMs: request.setupTimeoutMs })
    return await runAll(context, commands, place)
  } finally {
    await removeTree(folder)
  }
}

/** One after the other, all of them: a red that is known to be red must not hide the next one. */
async function runAll(context: Context, commands: VerifyCommand[], place: CommandPlace): Promise<CommandEvidence[]> {
  const evidence: CommandEvidence[] = []
  for (const command of commands) {
    const cwd = await commandFolder(place.tree, command)
    const result = await runCommand(context, command.run, { ...place, cwd, timeoutMs: command.timeoutSeconds * 1000 })
    evidence.push(evidenceOf(command, result))
  }
  return evidence
}

async function commandFolder(tree: string, command: VerifyCommand): Promise<string> {
  if (command.cwd === '' || command.cwd === '.') return tree
  try {
    return await placeInside(tree, command.cwd)
  } catch (error) {
    const message = `\`${command.run}\` can't run in ${command.cwd}: it is not a folder inside the repository; mend \`cwd\` in .orch.yml`
    throw new ExternalError({ system: 'verify', kind: 'rejected', message, cause: error })
  }
}

function evidenceOf(command: VerifyCommand, result: ProcessResult): CommandEvidence {
  const outcome = result.outcome === 'cancelled' ? 'killed' : result.outcome
  return {
    run: command.run,
    outcome,
    exitCode: result.exitCode,
    ...(result.signal === null ? {} : { signal: result.signal }),
    durationMs: Math.round(result.durationMs),
    output: trimOutput(outcome === 'could-not-start' ? result.stderr : result.stdout),
  }
}

/** Commands that a change concerns; without known paths, all. */
function selected(commands: VerifyCommand[], changedPaths: string[] | null): VerifyCommand[] {
  if (changedPaths === null) return commands
  return commands.filter((command) => {
    if (command.paths.length === 0) return true
    const matches = picomatch(command.paths, { dot: true })
    return changedPaths.some((file) => matches(file))
  })
}

const OWNER = 'owner.json'

async function newCheckoutFolder(context: Context): Promise<string> {
  const parent = path.join(context.home, 'verify')
  await ensureFolder(parent)
  const draft = path.join(parent, `new-${crypto.randomUUID()}`)
  const folder = path.join(parent, crypto.randomUUID().slice(0, 13))
  await mkdir(draft, { mode: 0o700 })
  await writeFile(path.join(draft, OWNER), JSON.stringify(identifyProcess(process.pid)))
  await rename(draft, folder)
  return folder
}

/** Far above what writing one small file takes: a folder that names no owner by then was left by a crash. */
const OWNERLESS_MS = 60_000

/** Removes checkouts whose process is gone: a crash leaves them behind, also half-made or half-removed. */
async function removeAbandoned(context: Context): Promise<void> {
  const parent = path.join(context.home, 'verify')
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = path.join(parent, name)
    const owner = await readOwner(folder)
    const made = owner ? null : await stat(folder).catch(() => null)
    const gone = owner ? !isSameProcessAlive(owner) : made !== null && Date.now() - made.mtimeMs > OWNERLESS_MS
    if (gone) await removeTree(folder)
  }
}

/** Null for a folder that names none: it is being made or removed, or a process was killed doing that. */
async function readOwner(folder: string): Promise<ProcessIdentity | null> {
  try {
    return JSON.parse(await readFile(path.join(folder, OWNER), 'utf8')) as ProcessIdentity | null
  } catch {
    return null
  }
}
