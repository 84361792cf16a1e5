// Every kind of effect there is; the compiler says when one is missing here.

import type { EffectKind } from '../../src/core/messages.ts'

const KINDS: Record<EffectKind, true> = {
  run: true,
  judge: true,
  publish: true,
  await: true,
  land: true,
  'stop-run': true,
  'release-dependants': true,
  clean: true,
  tell: true,
}

export const EFFECT_KINDS = Object.keys(KINDS)
