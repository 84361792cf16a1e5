// The composition root and the program: opens what a verb asks for and nothing else. Imported by none.
// A verb that only looks gets the queries; the rest (configuration, agents, workspaces) loads with `compose.ts`.

import { mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { App, Reader } from './flow/app.ts'
import { runCli } from './surfaces/cli/cli.ts'
import { makeProcessContext } from './surfaces/cli/context.ts'

const home = resolve(process.env['ORCH_HOME'] || join(homedir(), '.orch'))
const apps = new Map<string, Promise<App>>()
const opened: { reader: Reader | null } = { reader: null }

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Kept once there is one: a home without a database may get it from another process while we look. */
async function openReader(): Promise<Reader | null> {
  const { openReader: open } = await import('./open-reader.ts')
  opened.reader ??= await open(home)
  return opened.reader
}

/** A sample has settings of its own: those of the environment would have another agent do its work. The sandbox is the machine's. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('ORCH_') || name === 'ORCH_SANDBOX')
  return Object.fromEntries(kept)
}

function openApp(options?: { home: string }): Promise<App> {
  const at = options?.home ?? home
  mkdirSync(at, { recursive: true, mode: 0o700 })
  let app = apps.get(at)
  if (!app) {
    const env = options ? withoutSettings(process.env) : process.env
    app = import('./compose.ts').then(({ compose }) => compose({ home: at, env, version: version() }))
    apps.set(at, app)
  }
  return app
}

const context = makeProcessContext({
  home,
  version: () =>
    (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  // Not by node:url: loading it is a fiftieth of what `orch status` takes.
  packageDir: join(import.meta.dirname, '..'),
  commandsFile: import.meta.filename.endsWith('.ts') ? null : join(import.meta.dirname, 'commands.json'),
  agentNames: async () =>
    Object.keys((await import('./agents/adapters.ts')).makeAdapters({ scripted: ['', ''], acp: ['', ''] })),
  reader: openReader,
  app: openApp,
  vault: async () => (await import('./open-vault.ts')).openVault(home, process.env),
  doctor: async (request) =>
    (await import('./open-doctor.ts')).examine({ home, env: process.env, version: version() }, request),
  quickDoctor: async (needs) =>
    (await import('./quick-doctor.ts')).quickDoctor({ home, env: process.env, openBooks: openReader }, needs),
})

process.exitCode = await runCli(process.argv.slice(2), context)
// What could not be opened was told by the verb that asked for it.
for (const app of apps.values()) await (await app.catch(() => null))?.close()
opened.reader?.close()
