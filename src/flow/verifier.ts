// Verification of a tree by its project's own commands, in a checkout where no agent has been.
// Invariant: a result is reused only for the same tree, configuration, environment and selection of commands (S16).

import { createHash } from 'node:crypto'
import type { Policy } from '../core/policy.ts'
import { type Judgement, judgeCommands } from '../core/verdict.ts'
import type { EvidenceRow } from '../store/store.ts'
import type { CommandRun, Mirror, VerifyRun } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'

export interface VerifyTarget {
  project: string
  task: string
  stage: string
  mirror: Mirror
  sha: string
  policy: Policy
  /** For commands with `paths`; null runs all. */
  changedPaths: string[] | null
  signal: AbortSignal
  /** A red that is looked at again must not be answered from memory. */
  fresh?: boolean
}

export interface Verifier {
  /** Runs (or recalls) setup and verify commands of a tree. Throws ExternalError for trouble of the host or of setup. */
  verify(target: VerifyTarget): Promise<CommandRun>
  /** The same, judged. */
  judge(target: VerifyTarget): Promise<Judgement>
}

const SETUP_TIMEOUT_MS = 30 * 60_000
/** Of each command; findings are trimmed further before an agent reads them. */
const OUTPUT_CAP_BYTES = 1 << 20

export function makeVerifier(capabilities: Pick<Capabilities, 'store' | 'workspaces' | 'now' | 'newId'>): Verifier {
  const { store, workspaces } = capabilities
  /** One at a time per project, unless its verifications don't collide: ports and databases are shared by a machine. */
  const queues = new Map<string, Promise<unknown>>()

  function inLine<T>(project: string, parallel: boolean, work: () => Promise<T>): Promise<T> {
    if (parallel) return work()
    const result = (queues.get(project) ?? Promise.resolve()).then(work, work)
    queues.set(project, result)
    return result
  }

  async function verify(target: VerifyTarget): Promise<CommandRun> {
    const tree = await target.mirror.treeOf(target.sha)
    const key = { tree, configHash: scopeOf(target) }
    return inLine(target.project, target.policy.verifyParallel, async () => {
      target.signal.throwIfAborted()
      const environmentId = await workspaces.environmentId()
      const known = target.fresh ? null : recall(key, environmentId)
      if (known) return known
      const run = await runNow(target)
      await store.putEvidence([evidenceOf(target, { ...key, run })])
      return run
    })
  }

  /** Only a whole green run is worth remembering: a red one may be a flake and is cheap to see again. */
  function recall(key: { tree: string; configHash: string }, environmentId: string): CommandRun | null {
    const rows = store.listEvidence({ gate: 'verify', tree: key.tree, configHash: key.configHash })
    const row = rows.find((evidence) => evidence.result === 'pass' && evidence.environmentId === environmentId)
    return row ? { commands: row.data['commands'] as CommandRun['commands'], environmentId } : null
  }

  function runNow(target: VerifyTarget): Promise<VerifyRun> {
    const { policy } = target
    return workspaces.verify(target.mirror, {
      sha: target.sha,
      setup: policy.setup,
      verify: policy.verify === 'none' ? [] : policy.verify,
      changedPaths: target.changedPaths,
      env: policy.env,
      network: policy.sandbox.network,
      read: policy.sandbox.read,
      setupTimeoutMs: SETUP_TIMEOUT_MS,
      outputCapBytes: OUTPUT_CAP_BYTES,
      sparse: policy.checkout?.sparse ?? [],
      runSetup: target.fresh === true,
      signal: target.signal,
    })
  }

  function evidenceOf(target: VerifyTarget, facts: { tree: string; configHash: string; run: VerifyRun }): EvidenceRow {
    return {
      id: capabilities.newId(),
      task: target.task,
      project: target.project,
      gate: 'verify',
      stage: target.stage,
      sha: target.sha,
      tree: facts.tree,
      configHash: facts.configHash,
      environmentId: facts.run.environmentId,
      result: judgeCommands(facts.run.commands, target.policy.knownFailures).result,
      at: capabilities.now(),
      data: { commands: facts.run.commands, setup: facts.run.setup },
    }
  }

  async function judge(target: VerifyTarget): Promise<Judgement> {
    const run = await verify(target)
    return judgeCommands(run.commands, target.policy.knownFailures)
  }

  return { verify, judge }
}

/** The configuration a result belongs to: its hash, and the selection of commands where paths select. */
function scopeOf(target: VerifyTarget): string {
  const { policy, changedPaths } = target
  const selects = policy.verify !== 'none' && policy.verify.some((command) => command.paths.length > 0)
  if (!selects || changedPaths === null) return policy.configHash
  const paths = createHash('sha256')
    .update(JSON.stringify([...changedPaths].sort()))
    .digest('hex')
  return `${policy.configHash}:${paths.slice(0, 16)}`
}
