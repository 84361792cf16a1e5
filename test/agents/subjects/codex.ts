// Codex as a person has it who reaches a model by a provider of their own.

import { codexAdapter } from '../../../src/agents/codex.ts'
import type { Subject } from '../subject.ts'

export const codex: Subject = {
  title: 'codex',
  adapter: codexAdapter,
  version: '0.169.0',
  program: (installed) => ({ bin: installed.codex }),
  model: null,
  env: () => ({ SCRIPTED_KEY: 'sk-scripted' }),
  loginNames: ['SCRIPTED_KEY'],
  homeFiles: ({ url }) => ({
    '.codex/config.toml': `model = "gpt-5.4"
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "${url}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"

# None of these may start in a run.
[mcp_servers.own]
command = "touch"
args = ["started-by-codex"]
`,
  }),
  // It tells the thread's tokens once, at the turn's end, and of a plain 429 no time at all: of a used-up plan it does.
  tells: { usage: 'script', partial: false, cost: false, reset: true },
  says: {
    'api-429': {
      error: {
        type: 'usage_limit_reached',
        message: 'The usage limit has been reached',
        plan_type: 'pro',
        resets_at: '{epoch}',
      },
    },
  },
  transcripts: 'codex',
}
