// What an agent writes, read by the real gates and judged by the real core.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { HEAD, POLICY, eventTypes, inReview, judging, report, taskIn, when } from '../../src/core/test-spec.ts'
import type { GateInput } from '../../src/gates/gate.ts'
import { readHandoff } from '../../src/gates/front-matter.ts'
import { gates } from '../../src/gates/gates.ts'

/** The review that a reviewer left as this file, as far as it gets its change. */
async function reviewed(text: string | null) {
  const dir = await mkdtemp(path.join(tmpdir(), 'orch-handoff-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  if (text !== null) await writeFile(path.join(dir, 'handoff.md'), text)
  const handoff = await readHandoff(dir)
  // Only what this gate asks is there: all else fails.
  const judgement = await gates.review.collect({ handoff, headSha: HEAD } as GateInput)
  let w = inReview()
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [{ ...judgement, gate: 'review', stage: 'look', sha: HEAD, configHash: POLICY.configHash }])
  return { passed: eventTypes(w.last).includes('stage.passed'), attempts: taskIn(w).attempts.code }
}

const head = `sha: ${HEAD.slice(0, 12)}`

test('"PASS" found in prose', async () => {
  const prose = 'PASS\n\nverdict: pass\n\nAll checks pass. APPROVED, ready-to-deploy.'
  for (const text of [
    prose,
    `Some words first.\n---\nverdict: pass\n${head}\n---\n${prose}`,
    `---\n${head}\n---\n${prose}`,
    `---\nsummary: PASS\n${head}\n---\n${prose}`,
    `---\nverdict: "PASS?"\n${head}\n---\n${prose}`,
    `---\nverdict: pass\n${head}\n${prose}`,
    `---\nverdict: pass\n---\n${prose}`,
    `---\nverdict: pass\nsha: ${'9'.repeat(12)}\n---\n${prose}`,
    null,
  ])
    // It can't be read, or is of another head: no pass, and not the developer's fault either.
    expect([text, await reviewed(text)]).toEqual([text, { passed: false, attempts: 0 }])
  const negative = `---\nverdict: pass\nstatus: request_changes\n${head}\nsummary: the total is wrong\n---\n${prose}`
  expect(await reviewed(negative)).toEqual({ passed: false, attempts: 1 })
  expect(await reviewed(`---\nverdict: pass\n${head}\n---\nIt does not fail, although FAIL is a word here.`)).toEqual({
    passed: true,
    attempts: 0,
  })
})
