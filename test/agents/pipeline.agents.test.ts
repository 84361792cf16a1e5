// The real Claude Code CLI through the whole pipeline: the real `orch`, real git, its own sandbox, a scripted model.
// What landed is asked of plain git; what was used, of the model that handed it out.

import { afterEach, beforeAll, expect, test } from 'vitest'
import { ensureInstalled, type Installed } from './install.ts'
import { type ClaudeWorld, handedOut, makeClaudeWorld, usedOf } from './pipeline-world.ts'

let installed: Installed
let world: ClaudeWorld
beforeAll(async () => {
  installed = await ensureInstalled()
})
afterEach(() => world?.close())

/** It is done, main holds its merge, and a fresh clone of the remote passes its own tests. */
async function landed(id: string): ReturnType<ClaudeWorld['task']> {
  const task = await world.task(id)
  expect(task).toMatchObject({ status: 'done' })
  const merges = await world.git('log', '--first-parent', '--format=%H', 'main', `--grep=Orch-Task: ${id}`)
  expect(merges).toBe(task.mergedSha)
  const fresh = `${world.dir}/fresh-${id}`
  await world.gitIn(world.dir, 'clone', '--quiet', world.remote, fresh)
  expect(await world.passes(fresh)).toBe(true)
  return task
}

/** Every answer of the model is counted once, in the runs and in the task, and their costs add up. */
function countedOnce(task: Awaited<ReturnType<ClaudeWorld['task']>>): void {
  const used = usedOf(task)
  expect({ input: used.runs.input, output: used.runs.output }).toEqual(handedOut(world.server))
  expect(task.tokens).toMatchObject(handedOut(world.server))
  expect(task.costUsd).toBeCloseTo(used.runs.costUsd, 9)
  for (const run of task.runs) expect(run.costUsd ?? 0).toBeCloseTo((run.usage.input / 1_000) * costOfAnswer(task), 9)
}

/** All answers cost the same, so the first run tells. */
function costOfAnswer({ runs }: Awaited<ReturnType<ClaudeWorld['task']>>): number {
  const [first] = runs
  const cost = (first?.costUsd ?? 0) / ((first?.usage.input ?? 0) / 1_000)
  expect(cost).toBeGreaterThan(0)
  return cost
}

test.each([
  ['the sandbox of this machine', {}, 'key'],
  ['no sandbox', { ORCH_SANDBOX: 'none' }, 'key'],
  ['a login of its own instead of a key', {}, 'file'],
] as const)('success, with %s', async (_, env, login) => {
  world = await makeClaudeWorld({ installed, env, login })
  const id = await world.script(
    'Say more',
    'develop: [[{bash: "echo ok > parts/second && git add . && git commit -qm Second"}]]',
  )
  await world.upUntilIdle()
  const task = await landed(id)
  expect(await world.git('show', 'main:parts/second')).toBe('ok')
  expect(task.runs).toMatchObject([
    {
      role: 'developer',
      agent: 'claude',
      outcome: 'succeeded',
      exitCode: 0,
      sessionId: expect.any(String),
      model: expect.any(String),
    },
    { role: 'reviewer', agent: 'claude', outcome: 'succeeded', exitCode: 0, sessionId: expect.any(String) },
  ])
  expect(task.runs[1]?.sessionId).not.toBe(task.runs[0]?.sessionId)
  countedOnce(task)
  expect(world.leftOf(id)).toEqual([])
})

test('a failing test is mended on the retry, in the same session', async () => {
  world = await makeClaudeWorld({ installed })
  const script = `develop:
  - - bash: "echo broken > parts/second && git add . && git commit -qm Second"
  - - bash: "echo ok > parts/second && git commit -qam Mended"`
  const id = await world.script('Break it first', script)
  await world.upUntilIdle()
  const task = await landed(id)
  expect(task.attempts).toEqual({ code: 1, transient: 0, infra: 0 })
  const [first, second, review] = task.runs
  expect(task.runs.map((run) => [run.role, run.outcome])).toEqual([
    ['developer', 'succeeded'],
    ['developer', 'succeeded'],
    ['reviewer', 'succeeded'],
  ])
  const prompt = world.runFile(second?.id ?? '', 'prompt.md')
  expect(prompt).toMatch(/^Orch-Task: CLI-1\nOrch-Stage: develop\nOrch-Role: developer\nOrch-Attempt: 2\n/)
  expect(prompt).toContain('FAIL: parts/second does not say ok')
  expect(world.runFile(first?.id ?? '', 'prompt.md')).not.toContain('FAIL: parts/second')
  expect(world.argvOf(second?.id ?? '')).toContain('--resume')
  expect(world.argvOf(second?.id ?? '')).toContain(first?.sessionId)
  expect(second?.sessionId).toBe(first?.sessionId)
  expect(review?.sessionId).not.toBe(first?.sessionId)
  countedOnce(task)
})

test("sent back by its reviewer once, mended, and judged again in a session that is nobody else's", async () => {
  world = await makeClaudeWorld({ installed })
  const script = `develop:
  - - bash: "echo ok > parts/second && git add . && git commit -qm Second"
  - - bash: "echo ok > parts/third && git add . && git commit -qm Third"
review:
  - - handoff: {verdict: request_changes, sha: HEAD, findings: [{severity: P1, file: parts/second, text: "A third part is missing."}]}
  - - bash: "test -f parts/third"`
  const id = await world.script('Two parts', script)
  await world.upUntilIdle()
  const task = await landed(id)
  expect(await world.git('show', 'main:parts/third')).toBe('ok')
  expect(task.attempts.code).toBe(1)
  const [develop, review, mend, again] = task.runs
  expect(task.runs.map((run) => run.role)).toEqual(['developer', 'reviewer', 'developer', 'reviewer'])
  expect(world.runFile(mend?.id ?? '', 'prompt.md')).toContain('A third part is missing.')
  expect(mend?.sessionId).toBe(develop?.sessionId)
  expect(new Set([develop, review, again].map((run) => run?.sessionId)).size).toBe(3)
  for (const judge of [review, again]) expect(world.argvOf(judge?.id ?? '')).not.toContain('--resume')
  countedOnce(task)
})
