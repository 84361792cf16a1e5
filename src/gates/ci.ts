// CI of the forge: every check of exactly this head has ended, and none has failed.
// A check that has yet to end is waited for, never failed (the ancestor's gate once looked one second too early); a commit
// about which nothing has reported is not green either.

import { type Finding, type Judgement, failed, passed, unknown, waitsFor } from '../core/verdict.ts'
import type { Check } from '../drivers/driver.ts'
import type { AwaitGate, AwaitInput } from './gate.ts'

/** Longest a CI is waited for (issue: 24 h); after that a person looks. */
const CI_LIMIT_MS = 24 * 3_600_000
/** What a developer is shown of one failed check. */
const TEXT_MAX = 8_000

export const ciGate: AwaitGate = {
  name: 'ci',
  describe: 'Every check that the forge shows for this head has passed.',
  collect: judgeCi,
}

async function judgeCi({ forge, now, since, headSha }: AwaitInput): Promise<Judgement> {
  const { state, checks } = await forge.checks()
  const broken = checks.filter((check) => check.state === 'failed')
  if (broken.length > 0) return failed(`${names(broken)} failed`, broken.map(findingOf))
  if (state === 'passed') return passed(`${checks.length} check(s) passed`)
  if (now - since < CI_LIMIT_MS) {
    const open = checks.filter((check) => check.state === 'pending')
    return waitsFor('ci', state === 'none' ? 'nothing has reported yet' : `${names(open)} still running`)
  }
  const what =
    state === 'none'
      ? `no check has reported on ${headSha.slice(0, 10)} within a day; take the gate \`ci\` out of the pipeline if this repository has no CI`
      : `CI is still pending after a day`
  return unknown('ci-timeout', what, { retryable: false })
}

function findingOf({ name, text, url }: Check): Finding {
  const words = text === null ? 'It left no log.' : text.slice(-TEXT_MAX)
  return { gate: 'ci', severity: 'P0', text: `The check \`${name}\` failed${url ? ` (${url})` : ''}:\n${words}` }
}

function names(checks: Check[]): string {
  const shown = checks.slice(0, 3).map((check) => `\`${check.name}\``)
  return checks.length > 3 ? `${shown.join(', ')} and ${checks.length - 3} more` : shown.join(', ')
}
