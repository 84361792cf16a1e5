// The real OpenCode CLI through the matrix, and what is its alone: its permissions, its long patience, its hidden reasons.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeMatrix } from './matrix.ts'
import { makeSubjectRuns, type SubjectRuns } from './subject-runs.ts'
import { opencode } from './subjects/opencode.ts'

describeMatrix(opencode)

describe('opencode alone', () => {
  let runs: SubjectRuns
  let wrongModel: SubjectRuns
  beforeAll(async () => {
    runs = await makeSubjectRuns(opencode)
    wrongModel = await makeSubjectRuns({ ...opencode, model: 'scripted/nobody' })
  })
  afterAll(async () => {
    await runs?.close()
    await wrongModel?.close()
  })

  test('without a sandbox of ours its tools stay in the workspace, and reach the handoff', async () => {
    const site = await runs.makeSite()
    const outside = join(site.dir, 'outside.txt')
    const handoff = join(site.handoff, 'handoff.md')
    const steps = [
      { write: { path: outside, content: 'x' } },
      { bash: `cp ${site.home}/.config/opencode/opencode.json .` },
      { write: { path: handoff, content: '---\nstatus: done\n---\n' } },
      { 'no-handoff': true },
    ]
    const script = JSON.stringify({ develop: [[...steps]] })
    const report = await runs.play('refused', { script, site, sandboxed: false, in: 'none' })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(existsSync(outside)).toBe(false)
    expect(existsSync(join(site.workspace, 'opencode.json'))).toBe(false)
    expect(readFileSync(handoff, 'utf8')).toContain('status: done')
  })

  test('a limit of an hour is not sat out: the run ends, and says when it is over', async () => {
    const script = 'develop: [[{answer: 429, retryAfterSeconds: 3600}]]'
    const { outcome } = await runs.play(null, { script })
    expect(outcome).toMatchObject({ kind: 'failed', code: 'rate-limit' })
    const retryAfterMs = outcome.kind === 'failed' ? (outcome.retryAfterMs ?? 0) : 0
    expect(retryAfterMs).toBeGreaterThan(3_500_000)
    expect(retryAfterMs).toBeLessThanOrEqual(3_600_000)
  })

  test('a short outage is the CLI’s own to sit out', async () => {
    const since = runs.server.requests()
    runs.server.outage(529)
    const { runId } = await runs.start({ script: 'develop: [[{say: hi}]]' })
    await expect.poll(() => runs.server.requests(), { timeout: 60_000, interval: 20 }).toBeGreaterThan(since)
    runs.server.outage(null)
    const report = await runs.runner.wait(runId)
    expect(report.outcome).toEqual({ kind: 'succeeded' })
  })

  test('a model that its provider does not have: the reason is in its log alone', async () => {
    const { outcome } = await wrongModel.play('no-model', { script: 'develop: [[{say: hi}]]' })
    expect(outcome).toMatchObject({ kind: 'failed', code: 'model-unavailable' })
    expect(outcome).toMatchObject({ text: expect.stringContaining('scripted/nobody') })
  })
})
