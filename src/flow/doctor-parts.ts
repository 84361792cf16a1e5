// What the doctor is handed, and how a check is told.

import type { AgentAdapter } from '../agents/agent.ts'
import type { Config, ConfigFile, ProjectFiles } from '../config/config.ts'
import type { Project, Store } from '../store/store.ts'
import type { Mirror, RepositoryFacts, SandboxMeans } from '../workspace/workspace.ts'
import type { Check, Reader } from './app.ts'

export interface DoctorDeps {
  home: string
  env: NodeJS.ProcessEnv
  /** Version of Orch and of Node. */
  version: string
  nodeVersion: string
  facts: RepositoryFacts
  sandbox: SandboxMeans
  reader: Pick<Reader, 'projectAt' | 'projects' | 'service'>
  now: () => number
  store: Pick<Store, 'lastSeq' | 'jobSummary' | 'getAccount'>
  adapters: Record<string, AgentAdapter>
  config: Config
  userConfig: () => ConfigFile | null
  cloneFiles: (project: Project) => Promise<ProjectFiles>
  mirror: (project: Project) => Promise<Mirror>
  diskUse: () => Promise<{ path: string; bytes: number }[]>
}

/** Shorthands for a check's three ends. */
export function reporter(
  profile: Check['profile'],
): Record<'ok', (name: string, text: string) => Check> &
  Record<'warning' | 'failed', (name: string, text: string, fix: string) => Check> {
  return {
    ok: (name, text) => ({ name, profile, status: 'ok', text, fix: null }),
    warning: (name, text, fix) => ({ name, profile, status: 'warning', text, fix }),
    failed: (name, text, fix) => ({ name, profile, status: 'failed', text, fix }),
  }
}
