// All agents this version can run, by name.

import type { AgentAdapter } from './agent.ts'
import { claudeAdapter } from './claude.ts'
import { commandAdapter } from './command.ts'
import { makeScriptedAdapter } from './scripted.ts'

/** Makes the record of adapters; `scripted` is what starts the scripted agent: [node, its file]. */
export function makeAdapters(options: { scripted: readonly [string, string] }): Record<string, AgentAdapter> {
  const adapters = [claudeAdapter, commandAdapter, makeScriptedAdapter(options.scripted)]
  return Object.fromEntries(adapters.map((adapter) => [adapter.name, adapter]))
}
