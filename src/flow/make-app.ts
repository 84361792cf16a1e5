// The façade's implementation: each call handed to the part that knows.

import type { Actor } from '../core/messages.ts'
import { UserError } from '../lib/errors.ts'
import type {
  AddTask,
  AgentView,
  Answer,
  App,
  Check,
  InitRequest,
  InitResult,
  PipelineView,
  Reader,
  TaskAction,
  TaskView,
} from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { openDemoTasks } from './demo.ts'
import type { Engine, Submitted } from './engine.ts'
import { makeIntake } from './intake.ts'
import { stopRun } from './run.ts'
import { type ServiceDeps, runService } from './service.ts'

/** Parts that main.ts composes and that stand on their own. */
export interface AppParts {
  capabilities: Capabilities
  engine: Engine
  reader: Reader
  lock: ServiceDeps['lock']
  onError: (error: unknown) => void
  init: (request: InitRequest) => Promise<InitResult>
  addProject: (request: { path: string; prefix: string | null }) => Promise<InitResult>
  doctor: (request: { cwd: string }) => Promise<Check[]>
  /** Makes the demo's sample repository in a folder. */
  makeSample: (dir: string) => Promise<{ clone: string; remote: string }>
  demoLog: (remote: string) => Promise<string>
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
    removeProject: (id) => removeProject(capabilities, id),
    doctor: parts.doctor,
    agents: (cwd) => listAgents(capabilities, { reader, cwd }),
    pipelines: (cwd) => listPipelines(capabilities, { reader, cwd }),
    validatePipeline: (file) => capabilities.validatePipelineFile(file),
    configCheck: async (cwd) => {
      const resolution = await resolveHere(capabilities, { reader, cwd })
      return resolution.ok ? [] : resolution.problems
    },
    configExplain: async (cwd, key) => {
      const resolution = await resolveHere(capabilities, { reader, cwd })
      if (!resolution.ok) {
        const [first] = resolution.problems
        throw new UserError(
          1,
          'bad-config',
          `the configuration can't be read: ${first?.file}:${first?.line ?? 0}: ${first?.key}: ${first?.text}; see \`orch config check\``,
        )
      }
      return resolution.project.sources.filter(
        (source) => key === null || source.key === key || source.key.startsWith(`${key}.`),
      )
    },
    configSchema: (of) => capabilities.config.schema(of),
    changeDiff: (task) => changeDiff(capabilities, task),
    stream: (request) => stream(capabilities, request),
    diskUse: () => capabilities.workspaces.diskUse(),
    up: (options) => runService({ capabilities, engine, lock: parts.lock, onError: parts.onError }, options),
    demo: async ({ agent, dir, actor }) => {
      const sample = await parts.makeSample(dir)
      const opened = await openDemoTasks({ init: parts.init, addTask }, { clone: sample.clone, agent, actor })
      return { dir, ...sample, ...opened }
    },
    demoLog: parts.demoLog,
    close: parts.close,
  }
}

async function removeProject(capabilities: Capabilities, id: string): Promise<{ openTasks: number; removed: boolean }> {
  const { store } = capabilities
  if (!store.listProjects().some((project) => project.id === id))
    throw new UserError(3, 'no-project', `there is no project ${id}; see \`orch project list\``)
  const counts = store.countTasks(id)
  const openTasks = counts.queued + counts.running + counts.waiting + counts.blocked + counts.needs_review
  if (openTasks > 0) return { openTasks, removed: false }
  return { openTasks, removed: await store.removeProject(id) }
}

/** A broken configuration hides no agent: it is looked for where it usually is. */
async function listAgents(capabilities: Capabilities, at: { reader: Reader; cwd: string }): Promise<AgentView[]> {
  const resolution = await resolveHere(capabilities, at)
  const programs = resolution.ok ? resolution.project.policy.agents : {}
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
    })
  }
  return views
}

async function filesHere(capabilities: Capabilities, at: { reader: Reader; cwd: string }) {
  const project = at.reader.projectAt(at.cwd)
  return capabilities.cloneFiles(project ?? { id: '', name: '', path: at.cwd, remote: '', createdAt: 0 })
}

async function resolveHere(capabilities: Capabilities, at: { reader: Reader; cwd: string }) {
  const layers = { flags: capabilities.flags, env: capabilities.env, user: capabilities.userConfig() }
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

/** A change as its reviewer sees it: against the point where it left the base. */
async function changeDiff(capabilities: Capabilities, id: string): Promise<string | null> {
  const { store, workspaces } = capabilities
  const task = store.getTask(id)?.state
  const project = store.listProjects().find((p) => p.id === task?.project)
  if (!task?.headSha || !task.baseSha || !project) return null
  const mirror = await workspaces.mirror(project)
  const base = (await mirror.mergeBase(task.baseSha, task.headSha)) ?? task.baseSha
  return mirror.diffText(base, task.headSha, { maxBytes: 64 << 20 })
}

async function stream(capabilities: Capabilities, request: Parameters<App['stream']>[0]): ReturnType<App['stream']> {
  const { store, runner } = capabilities
  const runs = store.listRuns({ task: request.task })
  const run = request.runId ? runs.find((row) => row.id === request.runId) : runs.at(-1)
  if (!run) return null
  const { from, signal } = request
  return request.raw
    ? runner.stream(run.id, { from, raw: true, signal })
    : runner.stream(run.id, { from, raw: false, signal })
}
