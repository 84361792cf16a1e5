// Closed lists of the core that schemas name. A surface knows the core as types only, so they stand here once more;
// the compiler refuses a word too many, and a schema's type one too few.

import type { RunFailure } from '../../../core/run.ts'

export const RUN_FAILURE_WORDS = [
  'auth',
  'rate-limit',
  'overload',
  'context-overflow',
  'model-unavailable',
  'permission',
  'missing-tool',
  'waiting-for-input',
  'output-flood',
  'malformed-stream',
  'crash',
] as const satisfies readonly RunFailure[]
