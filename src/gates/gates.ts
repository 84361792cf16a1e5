// All gates by name. A new one is a file of its own, a line here, and a line in core's GATES.

import type { GateName } from '../core/pipeline.ts'
import { changesGate } from './changes.ts'
import { diffBudgetGate } from './diff-budget.ts'
import type { Gate } from './gate.ts'
import { handoffGate } from './handoff.ts'
import { protectedGate } from './protected.ts'
import { reviewGate } from './review.ts'
import { secretsGate } from './secrets.ts'
import { verifyGate } from './verify.ts'

export const gates: Record<GateName, Gate> = {
  handoff: handoffGate,
  changes: changesGate,
  'diff-budget': diffBudgetGate,
  protected: protectedGate,
  secrets: secretsGate,
  verify: verifyGate,
  review: reviewGate,
}
