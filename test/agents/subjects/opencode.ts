// OpenCode as a person has it: a provider of their own in opencode.json, its key in the environment.

import { opencodeAdapter } from '../../../src/agents/opencode.ts'
import { PINNED } from '../install.ts'
import type { Subject } from '../subject.ts'

export const opencode: Subject = {
  title: 'opencode',
  adapter: opencodeAdapter,
  version: PINNED['opencode-ai'],
  program: (installed) => ({ bin: installed.opencode }),
  model: null,
  env: () => ({ SCRIPTED_API_KEY: 'sk-scripted' }),
  loginNames: ['SCRIPTED_API_KEY'],
  homeFiles: ({ url }) => ({
    '.config/opencode/opencode.json': JSON.stringify({
      model: 'scripted/scripted-1',
      provider: {
        scripted: {
          npm: '@ai-sdk/openai-compatible',
          options: { baseURL: `${url}/v1`, apiKey: '{env:SCRIPTED_API_KEY}' },
          models: { 'scripted-1': { cost: { input: 3, output: 15 }, limit: { context: 200_000, output: 8_000 } } },
        },
      },
    }),
  }),
  // A step is told when its tools are done: what a run had asked for when it was ended in a tool is not in its stream.
  tells: { usage: 'script', partial: false, cost: true, reset: true },
  startMs: 20_000,
  transcripts: 'opencode',
}
