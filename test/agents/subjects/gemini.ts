// Gemini CLI as a person has it.

import { geminiAdapter } from '../../../src/agents/gemini.ts'
import type { Subject } from '../subject.ts'

export const gemini: Subject = {
  title: 'gemini',
  adapter: geminiAdapter,
  version: '0.61.0',
  program: (installed) => ({ bin: installed.gemini }),
  // Left to choose, it asks another model first which one to take.
  model: 'gemini-2.5-pro',
  env: ({ url }) => ({ GOOGLE_GEMINI_BASE_URL: url, GEMINI_API_KEY: 'scripted' }),
  // One repeat by the CLI itself: what is tested is what Orch does afterwards.
  homeFiles: () => ({ '.gemini/settings.json': '{\n  // of the person\n  "general": { "maxAttempts": 2 }\n}\n' }),
  loginNames: ['GEMINI_API_KEY'],
  tells: { usage: 'all', partial: false, cost: false, reset: true },
  says: {
    'api-429': 'You exceeded your current quota, please check your plan and billing details. Please retry in 7s.',
    'too-long': 'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).',
  },
  transcripts: 'gemini',
}
