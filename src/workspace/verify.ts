// Verification: setup and the project's verify commands in a checkout that no agent has been in, deleted afterwards (S16).
// Invariant: the checkout is made from the mirror alone, its runtime folder is new, no credential reaches a verify command.

import path from 'node:path'
import picomatch from 'picomatch'
import type { VerifyCommand } from '../core/policy.ts'
import type { CommandEvidence } from '../core/verdict.ts'
import { ExternalError } from '../lib/errors.ts'
import type { ProcessResult } from '../lib/process.ts'
import { type CommandPlace, runCommand } from './commands.ts'
import { type Context, firstMemory } from './context.ts'
import { ensureRuntimeFolders, makeEnvironment } from './environment.ts'
import { makeReady } from './make-ready.ts'
import { trimOutput } from './output.ts'
import { newOwnedFolder, removeAbandoned } from './owned.ts'
import { placeInside, removeTree, safeSha } from './places.ts'
import { makeTree } from './tree.ts'
import type { Mirror, SetupUse, VerifyRequest } from './workspace.ts'

/** Runs what is to be run and gives what was seen. Throws ExternalError for setup, the sandbox, the disk; never for a red command. */
export async function verifyTree(
  context: Context,
  mirror: Mirror,
  request: VerifyRequest,
): Promise<{ commands: CommandEvidence[]; setup: SetupUse }> {
  const sha = safeSha(request.sha)
  const commands = selected(request.verify, request.changedPaths)
  if (commands.length === 0) return { commands: [], setup: { how: 'none', note: null } }
  const parent = path.join(context.home, 'verify')
  // Nothing in there outlives its process.
  await removeAbandoned(parent, () => true)
  const folder = await newOwnedFolder(parent)
  try {
    const tree = path.join(folder, 'tree')
    const runtimeDir = path.join(folder, 'runtime')
    await ensureRuntimeFolders(runtimeDir)
    const { env, network, outputCapBytes, read = [], sparse = [], signal } = request
    const memory = firstMemory(mirror, { branch: 'verify', baseBranch: 'verified', baseSha: sha, sparse })
    await makeTree(context, { tree, memory, head: null, sha })
    const shared = { network, outputCapBytes, read, ...(signal ? { signal } : {}) }
    const { how, note } = await makeReady(context, mirror, {
      ...shared,
      sha,
      commands: request.setup,
      env,
      sparse,
      timeoutMs: request.setupTimeoutMs,
      at: { tree, runtimeDir, fresh: true, holds: () => true },
      ...(request.runSetup ? { runSetup: true } : {}),
    })
    const place: CommandPlace = {
      ...shared,
      tree,
      runtimeDir,
      cwd: tree,
      objects: path.join(mirror.path, 'objects'),
      masked: mirror.masked,
      env: makeEnvironment({
        user: context.env,
        home: context.home,
        runtimeDir,
        workspace: tree,
        place: env,
        passSecrets: false,
      }),
    }
    return { commands: await runAll(context, commands, place), setup: { how, note } }
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
