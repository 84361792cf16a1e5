// Puts the doctor together, whatever is broken: what can't be opened is a finding, not the end. Part of the composition root.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ComposeOptions, makeCapabilities, makeFirm, serviceLock } from './compose.ts'
import type { DoctorReport, DoctorRequest } from './flow/app.ts'
import { makeDoctor } from './flow/doctor.ts'
import type { Books, Opened } from './flow/doctor-parts.ts'
import { makeEngine } from './flow/engine.ts'
import { removeLogins, removeUnknownLogins } from './flow/logins.ts'
import { stopRun } from './flow/run.ts'
import { ExternalError, messageOf } from './lib/errors.ts'
import { makeLend, openRemotes } from './open-drivers.ts'
import { readerOver } from './open-reader.ts'
import { openStore } from './store/sqlite.ts'
import { makeRepositoryFacts } from './workspace/facts.ts'
import { probeSandbox } from './workspace/sandbox.ts'
import type { Sandbox, Workspaces } from './workspace/workspace.ts'
import { makeWorkspaces } from './workspace/workspaces.ts'

/** Looks once and closes what it opened. Throws nothing for what is broken. */
export async function examine(options: ComposeOptions, request: DoctorRequest): Promise<DoctorReport> {
  const { env, home } = options
  await attempt(async () => mkdirSync(home, { recursive: true, mode: 0o700 }))
  const remotes = openRemotes({ env, now: Date.now })
  const lend = makeLend(remotes, env)
  const probed = await attempt(() => probeSandbox(env))
  const sandbox = probed.ok ? probed.value : brokenSandbox(probed.text)
  const places = await attempt(async () => makeWorkspaces({ home, env, sandbox, lend }))
  const place = (): Workspaces => {
    if (!places.ok) throw new Error(places.text)
    return places.value
  }
  const opened = await attempt(() => openBooks(options, sandbox))
  try {
    return await makeDoctor({
      ...makeFirm(options),
      version: options.version,
      nodeVersion: process.versions.node,
      facts: makeRepositoryFacts(env, lend),
      sandbox: probed.ok ? { ok: true, value: sandbox.means } : probed,
      books: opened,
      mirror: async (project) => place().mirror(project),
      remotes,
      diskUse: async () => place().diskUse(),
      lock: serviceLock(options),
    })(request)
  } finally {
    if (opened.ok) opened.value.store.close()
  }
}

async function openBooks(options: ComposeOptions, sandbox: Sandbox): Promise<Books> {
  const { home } = options
  const store = await openStore(join(home, 'orch.db'))
  const capabilities = makeCapabilities(options, { store, sandbox })
  const { runner, workspaces, now, wake } = capabilities
  const engine = makeEngine({ store, now, wake })
  return {
    reader: readerOver(home, { queries: store, close: () => undefined }),
    store,
    runner,
    workspaces,
    engine,
    stopRun: (runId) => stopRun(capabilities, engine, runId),
    removeLogins: (id) => {
      const task = store.getTask(id)?.state
      return task ? removeLogins(capabilities, task) : removeUnknownLogins(capabilities, id)
    },
  }
}

/** The sandbox that was asked for can't be had: what an agent may have touched is then not touched at all. */
function brokenSandbox(why: string): Sandbox {
  return {
    means: { kind: 'none', version: null, open: [why], ends: 'marker' },
    wrap: () => {
      throw new ExternalError({ system: 'sandbox', kind: 'tool-missing', message: why })
    },
  }
}

async function attempt<T>(open: () => Promise<T>): Promise<Opened<T>> {
  try {
    return { ok: true, value: await open() }
  } catch (error) {
    return { ok: false, text: messageOf(error) }
  }
}
