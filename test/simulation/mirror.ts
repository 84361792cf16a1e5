// A project's mirror over the simulated remote: what asks the remote can fail in every way, what only reads commits can't.

import type { Mirror, PushResult } from '../../src/workspace/workspace.ts'
import { checkPush } from './check-effects.ts'
import { type Process, step, unreachable } from './chaos.ts'
import { move } from './git.ts'
import { type Sim, blame, remoteOf } from './sim.ts'

const TAKES = [5, 600] as const
const NO_ANSWER: PushResult = { ok: false, because: 'unreachable', text: 'no answer' }

export const IDENTITY = { name: 'Ann', email: 'ann@example.org' }

export function makeSimMirror(sim: Sim, process: Process, project: string): Mirror {
  const { objects } = sim
  const remote = remoteOf(sim, project)
  const failed = (): never => unreachable('git')
  const reach = (): void => void (remote.isReachable || failed())

  return {
    path: `/mirrors/${project}`,
    masked: [],
    identity: IDENTITY,
    holdsText: () => Promise.reject(new Error('no project here has markers')),
    listPins: () => Promise.reject(new Error('only the doctor lists pins')),
    fetchBase: () =>
      step(sim, process, {
        name: 'fetch',
        takes: TAKES,
        apply: () => {
          reach()
          return { branch: remote.base, sha: remote.refs.get(remote.base) ?? '' }
        },
        faults: { failed },
      }),
    remoteBranches: (prefix) =>
      step(sim, process, {
        name: 'list branches',
        takes: TAKES,
        apply: () => {
          reach()
          return new Map([...remote.refs].filter(([name]) => name.startsWith(prefix)))
        },
        faults: { failed },
      }),
    push: (request) => {
      const isBase = request.branch === remote.base
      return step(sim, process, {
        name: isBase ? 'push base' : 'push branch',
        takes: TAKES,
        apply: () => push(sim, process, { project, ...request }),
        faults: { failed: () => NO_ANSWER, lost: () => ({ ok: true }) },
      })
    },
    deleteBranch: (request) =>
      step(sim, process, {
        name: 'delete branch',
        takes: TAKES,
        apply: () => deleteBranch(sim, { project, ...request }),
        faults: { failed: () => NO_ANSWER },
      }),
    canPush: () => Promise.resolve({ ok: true }),
    pin: () => step(sim, process, { name: 'pin', takes: [0, 5], apply: () => undefined }),
    commitTree: ({ tree, parents, message }) => {
      const task = /Orch-Task: (\S+)/.exec(message)?.[1] ?? null
      const { sha } = objects.commit({ files: objects.treeOf(tree), parents, message, task })
      return Promise.resolve(sha)
    },
    readFile: (sha, path) => Promise.resolve(objects.get(sha).files[path] ?? null),
    listFiles: () => Promise.resolve([]),
    treeOf: (sha) => Promise.resolve(objects.get(sha).tree),
    mergeBase: (a, b) => Promise.resolve(objects.mergeBase(a, b)),
    isAncestor: (a, b) => Promise.resolve(objects.isAncestor(a, b)),
    diffFiles: (base, head) => Promise.resolve(objects.diff(base, head)),
    diffText: () => Promise.resolve(''),
    commitsBetween: (base, head) => Promise.resolve(objects.between(base, head)),
    mainline: (base, tip) => Promise.resolve(objects.mainline(base, tip)),
    mergeTree: (ours, theirs) => {
      const merged = objects.merge(ours, theirs)
      if (!merged.ok) blame(sim, objects.get(theirs).task, `conflicts with ${ours}`)
      return Promise.resolve(merged)
    },
  }
}

interface Push {
  project: string
  sha: string
  branch: string
  expected: string | null
}

/** As `git push --force-with-lease`: what is there already is fine, else the lease decides. */
function push(sim: Sim, process: Process, { project, sha, branch, expected }: Push): PushResult {
  const remote = remoteOf(sim, project)
  if (!remote.isReachable) return NO_ANSWER
  const current = remote.refs.get(branch) ?? null
  if (branch === remote.base) {
    if (expected === null || !sim.objects.isAncestor(expected, sha))
      return { ok: false, because: 'refused', text: 'the base may only move onward' }
    if (remote.isProtected) return { ok: false, because: 'refused', text: 'protected branch' }
  }
  if (current === sha) return { ok: true }
  if (current !== expected) return { ok: false, because: 'moved', text: 'stale info' }
  checkPush(sim, process, { project, sha, branch, from: current })
  move(remote, { branch, to: sha, by: 'orch' })
  return { ok: true }
}

function deleteBranch(sim: Sim, request: { project: string; branch: string; expected: string }): PushResult {
  const remote = remoteOf(sim, request.project)
  const { branch, expected } = request
  if (!remote.isReachable) return NO_ANSWER
  if (branch === remote.base) return { ok: false, because: 'refused', text: 'it is the base' }
  const current = remote.refs.get(branch)
  if (current === undefined) return { ok: true }
  if (current !== expected) return { ok: false, because: 'moved', text: 'stale info' }
  move(remote, { branch, to: null, by: 'orch' })
  return { ok: true }
}
