// An App and a terminal for tests: plain objects. A call that no test expected fails.

import { join } from 'node:path'
import { TASK_STATUSES, type TaskStatus } from '../../core/lifecycle.ts'
import type { App, JournalEntry, Project, Reader, StatusView, TaskView, Vault } from '../../flow/app.ts'
import { runCli } from './cli.ts'
import type { CliContext } from './context.ts'

export const NOW = Date.UTC(2026, 0, 2, 12, 0, 0)

export const PROJECT: Project = {
  id: 'SHOP',
  name: 'shop',
  path: '/code/shop',
  remote: 'https://me:secret@example.com/shop.git',
  createdAt: NOW,
}

export function fakeTask(change: Partial<TaskView> = {}): TaskView {
  return {
    id: 'SHOP-1',
    project: 'SHOP',
    title: 'Fix the rounding',
    body: 'In totals.',
    labels: [],
    priority: 0,
    pipeline: 'direct',
    stage: 'develop',
    status: 'queued',
    paused: false,
    dependsOn: [],
    openDependencies: [],
    attempts: { code: 0, transient: 0, infra: 0 },
    branch: null,
    baseSha: null,
    headSha: null,
    costUsd: 0,
    tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    createdAt: '2026-01-02T11:00:00.000Z',
    updatedAt: '2026-01-02T11:00:00.000Z',
    runs: [],
    verdicts: [],
    findings: [],
    approvals: [],
    artifacts: [],
    ...change,
  }
}

export function fakeLine(change: Partial<StatusView['tasks'][number]> = {}): StatusView['tasks'][number] {
  return {
    id: 'SHOP-1',
    project: 'SHOP',
    title: 'Fix the rounding',
    pipeline: 'direct',
    stage: 'develop',
    status: 'running',
    waitingFor: null,
    waitingUntil: null,
    reasonCode: null,
    paused: false,
    priority: 0,
    attempt: 1,
    agent: 'claude',
    runId: 'r1',
    costUsd: 0,
    createdAt: NOW - 60_000,
    updatedAt: NOW - 60_000,
    since: NOW - 60_000,
    lastActivityAt: NOW - 3_000,
    stallsAt: null,
    ...change,
  }
}

export function fakeEvent(type: string, data: Record<string, unknown>): JournalEntry {
  return {
    seq: 1,
    at: NOW,
    stream: 'task',
    id: 'SHOP-1',
    task: 'SHOP-1',
    type,
    v: 1,
    actor: { kind: 'engine', name: 'orch' },
    cause: 'test',
    correlation: 'c1',
    data,
  }
}

export function counts(change: Partial<Record<TaskStatus, number>> = {}): Record<TaskStatus, number> {
  return {
    ...(Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<TaskStatus, number>),
    ...change,
  }
}

/** A Reader of one project with the tasks given; every other call fails. */
export function fakeReader(change: Partial<Reader> = {}, tasks: TaskView[] = [fakeTask()]): Reader {
  return unexpected<Reader>('reader', {
    projects: () => [PROJECT],
    projectAt: () => PROJECT,
    resolveTaskId: (text) =>
      tasks.find((task) => task.id === (/^\d+$/.test(text) ? `SHOP-${text}` : text.toUpperCase()))?.id ?? null,
    task: (id) => tasks.find((task) => task.id === id) ?? null,
    service: () => ({ running: false, pid: null, since: null }),
    ...change,
  })
}

export function fakeApp(change: Partial<App> = {}, reader = fakeReader()): App {
  return unexpected<App>('app', { reader, ...change })
}

function unexpected<T extends object>(what: string, given: Partial<T>): T {
  return new Proxy(given as T, {
    get(target, key) {
      if (key in target) return target[key as keyof T]
      // A promise resolves to a value only after it was asked for `then`.
      if (key === 'then') return undefined
      throw new Error(`no test expected ${what}.${String(key)}`)
    },
  })
}

export interface Run {
  exit: number
  stdout: string
  stderr: string
}

export interface FakeTerminal extends Partial<Omit<CliContext, 'stdin' | 'app' | 'reader' | 'vault'>> {
  app?: App
  reader?: Reader | null
  vault?: Vault
  stdin?: string
  /** Instead of `runCli`. */
  run?: (argv: string[], context: CliContext) => Promise<number>
  /** Told how to press Ctrl-C, before the verb runs. */
  onReady?: (press: () => void) => void
}

/** Runs one command line against the fakes. */
export async function orch(argv: string[], terminal: FakeTerminal = {}): Promise<Run> {
  const { app, reader, vault, stdin = '', run = runCli, onReady, ...rest } = terminal
  const out: Run = { exit: -1, stdout: '', stderr: '' }
  const handlers = new Set<() => void>()
  onReady?.(() => {
    for (const handler of handlers) handler()
  })
  const context: CliContext = {
    home: '/state',
    cwd: '/code/shop',
    env: { USER: 'ann' },
    version: () => '1.2.3',
    packageDir: join(import.meta.dirname, '..', '..', '..'),
    commandsFile: null,
    agentNames: async () => ['claude', 'codex'],
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    stdin: chunksOf(stdin),
    isTty: false,
    canAsk: false,
    columns: 80,
    rows: 24,
    color: false,
    now: () => NOW,
    reader: async () => (reader === undefined ? (app?.reader ?? fakeReader()) : reader),
    app: async () => app ?? fakeApp(),
    vault: async () => vault ?? unexpected<Vault>('vault', {}),
    doctor: async () => {
      throw new Error('no test expected the doctor')
    },
    quickDoctor: async () => null,
    onInterrupt: (handler) => {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
    screen: async () => {
      throw new Error('no test expected a screen')
    },
    page: async () => false,
    exitNow: (code) => {
      out.exit = code
    },
    ...rest,
  }
  const exit = await run(argv, context)
  return { ...out, exit: out.exit === -1 ? exit : out.exit }
}

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
