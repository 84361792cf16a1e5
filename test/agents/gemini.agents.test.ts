// The real Gemini CLI through the matrix, and what only it does with what it is given.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeMatrix } from './matrix.ts'
import { makeSubjectRuns, type SubjectRuns } from './subject-runs.ts'
import { gemini } from './subjects/gemini.ts'

describeMatrix(gemini)

describe('only gemini', () => {
  let runs: SubjectRuns
  beforeAll(async () => {
    runs = await makeSubjectRuns(gemini)
  })
  afterAll(() => runs?.close())

  test('a path after an @ in the prompt stays as it is, although there is such a file', async () => {
    const site = await runs.makeSite()
    writeFileSync(join(site.workspace, 'notes'), 'nothing to see')
    await runs.play(null, { script: 'develop: [[{bash: "echo x@notes > seen"}]]', site })
    expect(readFileSync(join(site.workspace, 'seen'), 'utf8')).toBe('x@notes\n')
  })

  test('its own tool writes the handoff, and nothing beside the places it was given', async () => {
    const site = await runs.makeSite()
    const files = [join(site.handoff, 'plain.md'), join(site.dir, 'beside.md')] as const
    const steps = files.map((path) => ({ write: { path, content: 'x' } }))
    const report = await runs.play(null, { script: JSON.stringify({ develop: [steps] }), site })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(files.map((path) => existsSync(path))).toEqual([true, false])
  })

  test('what its model can not read in one piece is no success, although the CLI says so', async () => {
    const asked = runs.server.requests()
    const script = `develop: [[{say: hi}]]\n# ${'lorem ipsum dolor sit amet '.repeat(220_000)}`
    const report = await runs.play(null, { script })
    expect(report.outcome).toMatchObject({ kind: 'failed', code: 'context-overflow', exitCode: 0 })
    expect(runs.server.requests()).toBe(asked)
  })

  test('a session whose model never answered is not resumed: the next run starts afresh', async () => {
    const site = await runs.makeSite()
    const script = 'develop: [[{answer: 401}], [{say: hi}]]'
    const first = await runs.play(null, { script, site })
    expect(first).toMatchObject({ outcome: { kind: 'failed', code: 'auth' }, sessionId: expect.any(String) })
    const second = await runs.play(null, { script, site, attempt: 2, resume: [first] })
    expect(second.outcome).toEqual({ kind: 'succeeded' })
    expect(second.sessionId).not.toBe(first.sessionId)
  })
})
