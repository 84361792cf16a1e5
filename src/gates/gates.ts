// All gates by name. A new one is a file of its own, a line here, and a line in core's GATES.

import type { AwaitGateName, GateName } from '../core/pipeline.ts'
import { changesGate } from './changes.ts'
import { diffBudgetGate } from './diff-budget.ts'
import { ciGate } from './ci.ts'
import type { AwaitGate, Gate } from './gate.ts'
import { handoffGate } from './handoff.ts'
import { protectedGate } from './protected.ts'
import { reviewGate } from './review.ts'
import { reviewsGate } from './reviews.ts'
import { secretsGate } from './secrets.ts'
import { verifyGate } from './verify.ts'

export const gates: Record<Exclude<GateName, AwaitGateName>, Gate> = {
  handoff: handoffGate,
  changes: changesGate,
  'diff-budget': diffBudgetGate,
  protected: protectedGate,
  secrets: secretsGate,
  verify: verifyGate,
  review: reviewGate,
}

export const awaitGates: Record<AwaitGateName, AwaitGate> = { ci: ciGate, reviews: reviewsGate }
