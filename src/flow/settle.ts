// Merges whose intent is open or held and whose task nobody is at: was it made after all? Main says (S4, S9).
// A push can be applied and its answer lost, and the remote be out of reach until the repeats are spent; the merge is then
// in main while its task waits for a person. Found there it is recorded, and the person has one thing less to do.

import { isTerminal } from '../core/lifecycle.ts'
import { backoffMs } from '../core/policy.ts'
import { ExternalError } from '../lib/errors.ts'
import type { IntentRow, Store } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import type { Engine } from './engine.ts'
import { proveMerge } from './prove-merge.ts'

interface SettleDeps {
  store: Store
  engine: Engine
  workspaces: { mirror: Capabilities['workspaces']['mirror'] }
  now: () => number
  onError: (error: unknown) => void
}

/** Looks at most every few seconds at first, every few minutes later: each look is a fetch. */
export function makeSettleMerges(deps: SettleDeps): () => Promise<string[]> {
  const { store, now } = deps
  const looks = new Map<string, { next: number; n: number }>()
  return async () => {
    const done: string[] = []
    for (const intent of store.unsettledIntents()) {
      const { n, next } = looks.get(intent.key) ?? { n: 0, next: 0 }
      if (intent.kind !== 'merge' || now() < next || isAtWork(store, intent)) continue
      looks.set(intent.key, { n: n + 1, next: now() + backoffMs(n) })
      try {
        const settled = await settle(deps, intent)
        if (settled) done.push(settled)
      } catch (error) {
        // Out of reach again: the next look tells.
        if (!(error instanceof ExternalError)) deps.onError(error)
      }
    }
    return done
  }
}

/** Its own step looks before it acts. */
function isAtWork(store: Store, { task }: IntentRow): boolean {
  return store.jobsOf(task).some((job) => job.epoch !== null && job.state !== 'parked')
}

/** What came of a look, in a sentence; null: nothing. */
async function settle(deps: SettleDeps, { task: id, key, data }: IntentRow): Promise<string | null> {
  const { store, engine, workspaces } = deps
  const task = store.getTask(id)?.state
  const project = store.listProjects().find((one) => one.id === task?.project)
  if (!task || !project || isTerminal(task.status) || task.landing?.mergeSha !== key) return null
  const mirror = await workspaces.mirror(project)
  const base = await mirror.fetchBase(task.policy?.base ?? null)
  const by = { actor: { kind: 'engine' as const, name: 'orch' }, cause: 'reconcile', correlation: id }
  const { onto = '', tree = '', sha: head = '' } = data
  const via = data['via'] === 'forge' ? 'forge' : 'push'
  const proof = await proveMerge(mirror, { mergeSha: key, onto, tree, head, via }, base.sha)
  if (proof.kind === 'merged') {
    const { mergedSha } = proof
    const command = { type: 'confirm-merge' as const, task: id, epoch: task.epoch, mergeSha: key, mergedSha }
    return (await engine.submit(command, by)).ok ? `${id}: its merge ${mergedSha.slice(0, 10)} is in main` : null
  }
  // The forge merged what was not tested: a person was told, and no cancel takes that back.
  if (proof.kind === 'untested') return null
  if (!task.cancelRequested || task.status !== 'needs_review') return null
  // Asked for again it goes on from where it was held: its own step gives the merge up.
  const asked = await engine.submit({ type: 'cancel', task: id }, by)
  return asked.ok ? `${id}: ${base.branch} does not hold its merge ${key.slice(0, 10)}, so its cancel goes on` : null
}
