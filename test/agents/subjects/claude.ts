// Claude Code as a person has it.

import { claudeAdapter } from '../../../src/agents/claude.ts'
import { PINNED } from '../install.ts'
import type { Subject } from '../subject.ts'

export const claude: Subject = {
  title: 'claude',
  adapter: claudeAdapter,
  version: PINNED['@anthropic-ai/claude-code'],
  program: (installed) => ({ bin: installed.claude }),
  model: null,
  env: ({ url }) => ({
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: 'sk-ant-scripted',
    // One repeat by the CLI itself: what is tested is what Orch does afterwards.
    CLAUDE_CODE_MAX_RETRIES: '1',
  }),
  loginNames: ['ANTHROPIC_API_KEY'],
  tells: { usage: 'script', partial: true, cost: true, reset: true },
  says: { 'api-429': 'Claude AI usage limit reached|{epoch}' },
  transcripts: 'claude',
}
