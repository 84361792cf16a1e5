// Gate `verify`: the project's own commands, run by the engine where no agent has been.

import { judgeCommands, passed, unknown } from '../core/verdict.ts'
import type { Gate } from './gate.ts'

export const verifyGate: Gate = {
  name: 'verify',
  costly: true,
  onUnknown: 'closed',
  describe: "The project's verify commands exit 0 in the engine's own checkout of the head.",
  /** Throws what `verify` throws: a setup that failed is infrastructure, and the caller tells it apart by kind. */
  async collect(input) {
    const { verify, knownFailures } = input.policy
    if (verify === 'none') return passed('the project says that it has nothing to verify with (verify: none)')
    if (verify.length === 0) {
      return unknown('no-verify', 'the project names no verify command; add one to .orch.yml, or say `verify: none`', {
        retryable: false,
      })
    }
    const { commands } = await input.verify()
    if (commands.length === 0) return passed('no verify command concerns the changed files')
    return judgeCommands(commands, knownFailures)
  },
}
