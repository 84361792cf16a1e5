// OpenCode over the Agent Client Protocol, as a person has it who gives Orch only a command.

import type { Subject } from '../subject.ts'
import { acpAdapter } from './acp-gemini.ts'
import { opencode } from './opencode.ts'

export const acpOpencode: Subject = {
  ...opencode,
  title: 'opencode over ACP',
  adapter: acpAdapter,
  program: (installed) => ({ command: `${installed.opencode} acp` }),
  // Of tokens it tells a turn's last request alone, which is no count; its cost is whole.
  tells: { usage: 'none', partial: false, cost: true, reset: true },
  // Over ACP it hands on an API's words, and neither its status nor its headers.
  says: { 'api-429': 'Rate limit reached for scripted-1. Please try again in {seconds}s.' },
  differs: {
    'too-long': { code: 'succeeded', because: 'it sums the conversation up by itself, and goes on with that' },
  },
  // It repeats a 500 or a 529 five times by itself, and over ACP nothing can tell it not to.
  runMs: 150_000,
  transcripts: 'acp-opencode',
}
