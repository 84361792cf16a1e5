// All agents this version can run, by name.

import { makeAcpAdapter } from './acp.ts'
import type { AgentAdapter } from './agent.ts'
import { claudeAdapter } from './claude.ts'
import { codexAdapter } from './codex.ts'
import { commandAdapter } from './command.ts'
import { geminiAdapter } from './gemini.ts'
import { opencodeAdapter } from './opencode.ts'
import { makeScriptedAdapter } from './scripted.ts'

/** Makes the record of adapters; what starts each of our own agents is [node, its file]. */
export function makeAdapters(options: {
  scripted: readonly [string, string]
  acp: readonly [string, string]
}): Record<string, AgentAdapter> {
  const natives = [claudeAdapter, codexAdapter, geminiAdapter, opencodeAdapter]
  const others = [makeAcpAdapter(options.acp, natives), commandAdapter, makeScriptedAdapter(options.scripted)]
  const adapters = [...natives, ...others]
  return Object.fromEntries(adapters.map((adapter) => [adapter.name, adapter]))
}
