// The façade's implementation: each call handed to the part that knows.

import type { Actor } from '../core/messages.ts'
import { UserError } from '../lib/errors.ts'
import type {
  AddTask,
  AgentView,
  Answer,
  App,
  ChangeStat,
  ConfigProblem,
  DiffFile,
  InitRequest,
  InitResult,
  PipelineView,
  Reader,
  TaskAction,
  TaskView,
} from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { accountView, heldBy, versionWithin } from './agent-state.ts'
import { makeDeliveryActions } from './delivery-actions.ts'
import { openDemoTasks } from './demo.ts'
import { openTrialTask } from './trial.ts'
import type { Engine, Submitted } from './engine.ts'
import { makeOutsideApp, needProject } from './app-outside.ts'
import { exportTask } from './export-task.ts'
import { inspectTask } from './inspect.ts'
import { makeIntake } from './intake.ts'
import { readLogs, streamRun } from './run-logs.ts'
import { stopRun } from './run.ts'
import { type ServiceDeps, runService } from './service.ts'

/** Parts that main.ts composes and that stand on their own. */
export interface AppParts {
  capabilities: Capabilities
  engine: Engine
  reader: Reader
  lock: ServiceDeps['lock']
  onError: (error: unknown) => void
  settleRestore: ServiceDeps['settleRestore']
  init: (request: InitRequest) => Promise<InitResult>
  addProject: App['addProject']
  /** Makes the demo's sample repository in a folder. */
  makeSample: (dir: string) => Promise<{ clone: string; remote: string }>
  demoLog: (remote: string) => Promise<string>
  conformance: App['conformance']
  close: () => Promise<void>
}

/** Builds the façade. */
export function makeApp(parts: AppParts): App {
  const { capabilities, engine, reader } = parts
  const { store } = capabilities
  const intake = makeIntake({ ...capabilities, engine })

  function answer(submitted: Submitted): Answer<TaskView> {
    if (!submitted.ok) {
      if (submitted.because === 'refused') return { ok: false, refusal: submitted.refusal }
      throw new Error('a command without a job can lose no lease')
    }
    const view = reader.task(submitted.task.id)
    if (!view) throw new Error(`${submitted.task.id} is not there after its commit`)
    return { ok: true, value: view }
  }

  /** Runs outlive the service: where none is there to stop a cancelled one, it is stopped here and now. */
  async function stopWithoutService(task: string): Promise<void> {
    if (reader.service().running) return
    for (const run of store.listRuns({ task, live: true })) await stopRun(capabilities, engine, run.id)
  }

  const addTask = async (request: AddTask, actor: Actor): Promise<Answer<TaskView>> =>
    answer(await intake.addTask(request, actor))

  return {
    reader,
    addTask,
    act: async (action: TaskAction, actor: Actor) => {
      const submitted = await intake.act(action, actor)
      if (action.type === 'cancel' && submitted.ok && submitted.task.status === 'cancelled')
        await stopWithoutService(submitted.task.id)
      return answer(submitted)
    },
    blockedTasks: (project) =>
      store
        .listTasks({ statuses: ['blocked'], limit: 100_000, ...(project ? { project } : {}) })
        .map((line) => line.id),
    init: parts.init,
    addProject: parts.addProject,
    ...makeOutsideApp({ capabilities, engine, changeStat: (task) => changeStat(capabilities, task) }),
    removeProject: (id) => removeProject(capabilities, id),
    agents: (cwd) => listAgents(capabilities, { reader, cwd }),
    pipelines: (cwd) => listPipelines(capabilities, { reader, cwd }),
    validatePipeline: (file) => capabilities.validatePipelineFile(file),
    configCheck: async (cwd) => {
      const resolution = await resolveHere(capabilities, { reader, cwd })
      const known = resolution.ok ? [] : resolution.problems
      // A person's file was looked at as a whole already.
      const isKnown = (one: ConfigProblem): boolean =>
        known.some(({ file, key }) => file === one.file && key === one.key)
      return [...known, ...webhooksHere(capabilities).problems.filter((one) => !isKnown(one))]
    },
    configExplain: async (cwd, key) => {
      const resolution = await resolveHere(capabilities, { reader, cwd })
      if (!resolution.ok) throw badConfig(resolution.problems[0])
      const { sources, problems } = webhooksHere(capabilities)
      if (problems[0]) throw badConfig(problems[0])
      return [...resolution.project.sources, ...sources].filter(
        (source) => key === null || source.key === key || source.key.startsWith(`${key}.`),
      )
    },
    configSchema: (of) => capabilities.config.schema(of),
    changeDiff: (task) => changeDiff(capabilities, task),
    changeStat: (task) => changeStat(capabilities, task),
    stream: (request) => streamRun(capabilities, request),
    logs: (request) => readLogs(capabilities, request),
    inspect: (task, options) => inspectTask({ capabilities, reader }, { task, ...options }),
    exportTask: (task) => exportTask(capabilities, { reader, task }),
    placeOf: async (task) => {
      const folder = store.getTask(task) ? capabilities.workspaces.find(task)?.path : undefined
      return folder === undefined ? null : { kind: 'folder', target: folder }
    },
    diskUse: () => capabilities.workspaces.diskUse(),
    ...makeDeliveryActions(capabilities),
    up: (options) => runService({ ...parts, capabilities, engine }, options),
    ...makeSamples(parts, { reader, addTask }),
    conformance: parts.conformance,
    close: parts.close,
  }
}

/** What happens in sample repositories of Orch's own making: the demo, and the trial of one agent. */
function makeSamples(
  { capabilities, init, makeSample, demoLog }: AppParts,
  { reader, addTask }: { reader: Reader; addTask: App['addTask'] },
): Pick<App, 'demo' | 'demoLog' | 'agentProgram' | 'trial'> {
  return {
    demo: async ({ agent, dir, actor }) => {
      const sample = await makeSample(dir)
      const opened = await openDemoTasks({ init, addTask }, { clone: sample.clone, agent, actor })
      return { dir, ...sample, ...opened }
    },
    demoLog,
    agentProgram: async (cwd, name) => {
      const resolution = await resolveHere(capabilities, { reader, cwd })
      return resolution.ok ? (resolution.project.policy.agents[name] ?? {}) : {}
    },
    trial: async ({ agent, dir, actor }) => {
      const sample = await makeSample(dir)
      const request = { home: capabilities.home, clone: sample.clone, agent, actor }
      return { ...sample, ...(await openTrialTask({ init, addTask }, request)) }
    },
  }
}

async function removeProject(capabilities: Capabilities, id: string): ReturnType<App['removeProject']> {
  const { store, clones } = capabilities
  const project = needProject(capabilities, id)
  const counts = store.countTasks(id)
  const openTasks = counts.queued + counts.running + counts.waiting + counts.blocked + counts.needs_review
  if (openTasks > 0) return { openTasks, removed: false, clone: 'untouched' }
  const removed = await store.removeProject(id)
  if (!clones.isManaged(project.path)) return { openTasks, removed, clone: 'untouched' }
  return { openTasks, removed, clone: (await clones.remove(project.path)) ? 'removed' : 'kept' }
}

/** A broken configuration hides no agent: it is looked for where it usually is. */
async function listAgents(capabilities: Capabilities, at: { reader: Reader; cwd: string }): Promise<AgentView[]> {
  const resolution = await resolveHere(capabilities, at)
  const programs = resolution.ok ? resolution.project.policy.agents : {}
  const { store, workspaces, now } = capabilities
  const views: AgentView[] = []
  for (const adapter of Object.values(capabilities.adapters)) {
    const found = await adapter.find(programs[adapter.name] ?? {}, capabilities.env)
    views.push({
      name: adapter.name,
      found: found !== null,
      path: found?.path ?? null,
      version: found?.version ?? null,
      loggedIn: found?.loggedIn ?? 'unknown',
      note: found?.note ?? 'not found',
      sandbox: heldBy(adapter, workspaces.sandbox.means),
      tested: versionWithin(found?.version ?? null, adapter.tested),
      ...accountView(store.getAccount(adapter.name)?.state ?? null, now()),
    })
  }
  return views
}

async function filesHere(capabilities: Capabilities, at: { reader: Reader; cwd: string }) {
  const project = at.reader.projectAt(at.cwd)
  return capabilities.cloneFiles(project ?? { id: '', name: '', path: at.cwd, remote: '', createdAt: 0 })
}

async function resolveHere(capabilities: Capabilities, at: { reader: Reader; cwd: string }) {
  const projectId = at.reader.projectAt(at.cwd)?.id ?? null
  const layers = { flags: capabilities.flags, env: capabilities.env, user: capabilities.userConfig(), projectId }
  return capabilities.config.resolve({ layers, files: await filesHere(capabilities, at), pipeline: null })
}

async function listPipelines(capabilities: Capabilities, at: { reader: Reader; cwd: string }): Promise<PipelineView[]> {
  const files = await filesHere(capabilities, at)
  return capabilities.config.listPipelines(files).map(({ name, description, file, source, problems, pipeline }) => ({
    name,
    description,
    file,
    source,
    problems,
    stages: (pipeline?.stages ?? []).map((stage) => ({
      name: stage.name,
      kind: stage.kind,
      role: stage.role ?? null,
      gates: [...stage.gates],
      onFail: stage.onFail ?? null,
    })),
  }))
}

const webhooksHere = ({ config, userConfig, env }: Capabilities) => config.webhooks({ user: userConfig(), env })

/** A change as its reviewer sees it: against the point where it left the base. Null before there is one. */
async function findChange(capabilities: Capabilities, id: string) {
  const { store, workspaces } = capabilities
  const task = store.getTask(id)?.state
  const project = store.listProjects().find((p) => p.id === task?.project)
  if (!task?.headSha || !task.baseSha || !project) return null
  const mirror = await workspaces.mirror(project)
  return { mirror, head: task.headSha, base: (await mirror.mergeBase(task.baseSha, task.headSha)) ?? task.baseSha }
}

async function changeDiff(capabilities: Capabilities, id: string): Promise<string | null> {
  const change = await findChange(capabilities, id)
  return change && change.mirror.diffText(change.base, change.head, { maxBytes: 64 << 20 })
}

async function changeStat(capabilities: Capabilities, id: string): Promise<ChangeStat | null> {
  const change = await findChange(capabilities, id)
  if (!change) return null
  const { base, head } = change
  const files = await change.mirror.diffFiles(base, head)
  const sum = (count: (file: DiffFile) => number): number => files.reduce((total, file) => total + count(file), 0)
  return { base, head, files, addedLines: sum((f) => f.addedLines), deletedLines: sum((f) => f.deletedLines) }
}

function badConfig(first: ConfigProblem | undefined): UserError {
  const where = `${first?.file}:${first?.line ?? 0}: ${first?.key}: ${first?.text}`
  return new UserError(1, 'bad-config', `the configuration can't be read: ${where}; see \`orch config check\``)
}
