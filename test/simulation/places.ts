// Workspaces and verification checkouts: folders of the machine, which outlive Orch and not their task.

import { ExternalError } from '../../src/lib/errors.ts'
import type { CommandEvidence } from '../../src/core/verdict.ts'
import type { VerifyRequest, VerifyRun, Workspace, Workspaces } from '../../src/workspace/workspace.ts'
import { isRed } from './agents.ts'
import { type Process, step } from './chaos.ts'
import { makeSimMirror } from './mirror.ts'
import { type Place, type Sim, blame, violate } from './sim.ts'

const workspaceOf = ({ task, path }: Place): Workspace => ({ task, path, runtimeDir: `${path}/runtime` })
const pathOf = (task: string): string => `/workspaces/${task}`
const copyOf = (task: string, runId: string): string => `/workspaces/${task}/review-${runId}`

function diskTrouble(): never {
  throw new ExternalError({ system: 'disk', kind: 'disk-full', message: 'no space left on device' })
}

export function makeSimWorkspaces(sim: Sim, process: Process): Workspaces {
  const { places } = sim
  const find = (path: string): Workspace | null => {
    const place = places.get(path)
    return place ? workspaceOf(place) : null
  }
  const disk = { failed: diskTrouble }
  return {
    mirror: (project) => Promise.resolve(makeSimMirror(sim, process, project.id)),
    ensure: (_mirror, request) =>
      step(sim, process, {
        name: 'workspace',
        takes: [10, 300],
        faults: disk,
        apply: () => ensure(sim, { task: request.task, head: request.headSha, base: request.baseSha }),
      }),
    ensureReadCopy: (_mirror, { task, runId, sha }) =>
      step(sim, process, {
        name: 'read copy',
        takes: [10, 300],
        faults: disk,
        apply: () => {
          const place: Place = { task, runId, path: copyOf(task, runId), head: sha }
          places.set(place.path, place)
          return workspaceOf(place)
        },
      }),
    find: (task) => find(pathOf(task)),
    findReadCopy: ({ task, runId }) => find(copyOf(task, runId)),
    discard: (workspace) =>
      step(sim, process, {
        name: 'discard',
        takes: [1, 50],
        faults: disk,
        apply: () => void places.delete(workspace.path),
      }),
    setup: (_mirror, _workspace, { commands }) =>
      step(sim, process, {
        name: 'setup',
        takes: commands.length > 0 ? [100, 20_000] : [0, 0],
        faults: { failed: setupTrouble },
        apply: () => ({ how: commands.length > 0 ? ('ran' as const) : ('none' as const), note: null }),
      }),
    collect: (_mirror, workspace) =>
      step(sim, process, {
        name: 'collect',
        takes: [10, 200],
        faults: disk,
        apply: () => {
          const place = places.get(workspace.path) ?? diskTrouble()
          return { headSha: place.head, leftovers: false, tampering: [] }
        },
      }),
    verify: (_mirror, request) => verify(sim, process, request),
    remove: (task) =>
      step(sim, process, { name: 'remove', takes: [5, 100], faults: disk, apply: () => remove(sim, task) }),
    environment: () => ({}),
    environmentId: () => Promise.resolve('env-1'),
    stock: () => Promise.resolve(),
    list: () => Promise.reject(new Error('only the doctor lists places')),
    diskUse: () => Promise.resolve([]),
    sandbox: {
      means: { kind: 'bubblewrap', version: '1', open: [], ends: 'pid-namespace' },
      wrap: ({ argv, env }) => ({ file: argv[0] ?? '', args: argv.slice(1), env, containment: 'pid-namespace' }),
    },
  }
}

function ensure(sim: Sim, { task, head, base }: { task: string; head: string | null; base: string }): Workspace {
  const path = pathOf(task)
  for (const run of sim.runs.values())
    if (run.state === 'running' && run.cwd === path)
      violate(sim, `the workspace of ${task} is prepared under run ${run.id}`)
  const place = sim.places.get(path) ?? { task, path, runId: null, head: base }
  place.head = head ?? place.head
  sim.places.set(path, place)
  return workspaceOf(place)
}

function remove(sim: Sim, task: string): { saved: null } {
  for (const run of sim.runs.values())
    if (run.state === 'running' && run.task === task)
      violate(sim, `the workspace of ${task} is removed under run ${run.id}`)
  for (const [path, place] of sim.places) if (place.task === task) sim.places.delete(path)
  return { saved: null }
}

function setupTrouble(): never {
  throw new ExternalError({ system: 'setup', kind: 'setup-failed', message: '`make ready` exited 1' })
}

/** Takes its time, notices that it is not wanted any more, and may be ended by somebody or be a flake. */
async function verify(sim: Sim, process: Process, request: VerifyRequest): Promise<VerifyRun> {
  const { random, scheduler } = sim
  const { signal } = request
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const timer = scheduler.at(random.int(500, 60_000), process, () => resolve())
    signal?.addEventListener('abort', () => {
      timer.cancel()
      reject(signal.reason as Error)
    })
  })
  return step(sim, process, {
    name: 'verify',
    takes: [0, 100],
    faults: { failed: setupTrouble },
    apply: () => ({
      commands: [judge(sim, request)],
      environmentId: 'env-1',
      setup: { how: 'none', note: null },
    }),
  })
}

function judge(sim: Sim, { sha }: VerifyRequest): CommandEvidence {
  const { random, chaos, plan } = sim
  const commit = sim.objects.get(sha)
  const command = { run: 'make test', durationMs: 1_000, output: 'out' }
  const isDisturbed = !chaos.isCalm && random.chance(plan.faultRate)
  if (isDisturbed && random.chance(0.5))
    return { ...command, outcome: random.pick(['killed', 'timed-out']), exitCode: null }
  const isGreen = !isRed(commit.files) && !isDisturbed
  sim.verified.push({ tree: commit.tree, isGreen, sha })
  if (!isGreen) blame(sim, commit.task, `${commit.tree.slice(0, 10)} is red`)
  return { ...command, outcome: 'exited', exitCode: isGreen ? 0 : 1 }
}
