// Why a command was refused: a closed union, a sentence each. A refusal changes nothing.

export const REFUSALS = {
  'task-exists': 'A task with this id or for this issue is already open.',
  'no-such-task': 'There is no such task.',
  'task-ended': 'The task is done or cancelled; nothing changes it any more.',
  'stale-step': 'The result belongs to a step that is no longer the current one.',
  'task-paused': 'The task is paused; resume it first.',
  'task-blocked': 'The task waits for other tasks.',
  'not-waiting-for-approval': 'Nothing of this task waits for an approval now.',
  'no-token': 'This project wants two confirmations: ask for a token with `orch change request`, then approve with it.',
  'wrong-token': 'The token is not that of the last request for this head.',
  'token-expired': 'The token has expired; ask for another with `orch change request`.',
  'not-confirmed': 'The token is right; say that you mean it with --confirm.',
  'not-waiting-for-answers': 'The task has asked nothing.',
  'head-moved': 'The head has changed since; look at the new one and approve that.',
  'nothing-to-reject': 'The task has no change yet that could be sent back.',
  'nothing-to-retry': 'The task is under way; only a held or waiting task can be retried.',
  'not-blocked': 'The task waits for no other task.',
  'already-paused': 'The task is paused already.',
  'not-paused': 'The task is not paused.',
  'not-cancelled': 'Only the issue of a cancelled task can be started afresh.',
  'landing-under-way': 'The change is being merged; this will be applied right after.',
  'not-approved': 'Landing needs an approval of exactly this head.',
  'not-verified': 'Landing needs a green verification of exactly this tree.',
  'account-limited': 'The agent is at its limit; the task waits until it ends.',
  'not-first-in-train': 'Another change lands first.',
  'wrong-status': 'The task is not in a state in which this is possible.',
  'inside-run': 'An agent’s run may not change Orch.',
} as const

export type RefusalCode = keyof typeof REFUSALS

export interface Refusal {
  code: RefusalCode
  text: string
}

export function refuse(code: RefusalCode, detail?: string): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { code, text: detail ? `${REFUSALS[code]} ${detail}` : REFUSALS[code] } }
}
