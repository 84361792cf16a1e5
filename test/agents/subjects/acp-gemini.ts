// Gemini CLI over the Agent Client Protocol, as a person has it who gives Orch only a command.

import { makeAdapters } from '../../../src/agents/adapters.ts'
import { ACP } from '../../../src/agents/__fixtures__/runs.ts'
import type { AgentAdapter } from '../../../src/agents/agent.ts'
import type { Subject } from '../subject.ts'
import { gemini } from './gemini.ts'

/** The adapter as the program composes it. */
export const acpAdapter = makeAdapters({ scripted: ['', ''], acp: [process.execPath, ACP] })['acp'] as AgentAdapter

export const acpGemini: Subject = {
  ...gemini,
  title: 'gemini over ACP',
  adapter: acpAdapter,
  program: (installed) => ({ command: `${installed.gemini} --acp` }),
  tells: { usage: 'script', partial: false, cost: false, reset: true },
  transcripts: 'acp-gemini',
}
