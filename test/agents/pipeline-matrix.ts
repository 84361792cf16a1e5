// What every agent must bring through the whole pipeline: the real `orch`, real git, its own sandbox, a scripted model.
// What landed is asked of plain git; what was used, of the model that handed it out.

import { afterEach, describe, expect, test } from 'vitest'
import type { RunView, TaskView } from '../../src/flow/app.ts'
import type { Installed } from './install.ts'
import { type AgentWorld, inputOf, landed, makeAgentWorld, usedOf } from './pipeline-world.ts'
import type { Subject } from './subject.ts'

/** Defines the subject's tests. */
export function describePipeline(subject: Subject, the: () => { installed: Installed }): void {
  describe('through the pipeline', () => {
    let world: AgentWorld
    afterEach(() => world?.close())
    const make = async (): Promise<AgentWorld> => {
      world = await makeAgentWorld({ installed: the().installed, subject })
      return world
    }

    test('success', async () => successIn(await make()))
    test('a failing test is mended on the retry, in the same session', async () => mendedIn(await make()))
    test("sent back by its reviewer once, mended, and judged again in a session that is nobody else's", async () =>
      sentBackIn(await make()))
  })
}

/** A task that goes well, seen from outside. */
export async function successIn(world: AgentWorld): Promise<void> {
  const id = await world.script(
    'Say more',
    'develop: [[{bash: "echo ok > parts/second && git add . && git commit -qm Second"}]]',
  )
  await world.upUntilIdle()
  const task = await landed(world, id)
  expect(await world.git('show', 'main:parts/second')).toBe('ok')
  const ended = { agent: world.subject.adapter.name, outcome: 'succeeded', exitCode: 0, sessionId: expect.any(String) }
  expect(task.runs).toMatchObject([
    { role: 'developer', ...ended },
    { role: 'reviewer', ...ended },
  ])
  expect(task.runs[1]?.sessionId).not.toBe(task.runs[0]?.sessionId)
  countedOnce(world, task)
  expect(world.leftOf(id)).toEqual([])
}

async function mendedIn(world: AgentWorld): Promise<void> {
  const script = `develop:
  - - bash: "echo broken > parts/second && git add . && git commit -qm Second"
  - - bash: "echo ok > parts/second && git commit -qam Mended"`
  const id = await world.script('Break it first', script)
  await world.upUntilIdle()
  const task = await landed(world, id)
  expect(task.attempts).toEqual({ code: 1, transient: 0, infra: 0 })
  expect(task.runs.map((run) => [run.role, run.outcome])).toEqual([
    ['developer', 'succeeded'],
    ['developer', 'succeeded'],
    ['reviewer', 'succeeded'],
  ])
  const [first, second, review] = ofThree(task)
  const prompt = world.runFile(second.id, 'prompt.md')
  expect(prompt).toMatch(/^Orch-Task: CLI-1\nOrch-Stage: develop\nOrch-Role: developer\nOrch-Attempt: 2\n/)
  expect(prompt).toContain('FAIL: parts/second does not say ok')
  expect(world.runFile(first.id, 'prompt.md')).not.toContain('FAIL: parts/second')
  expect(world.argvOf(second.id)).toContain(first.sessionId)
  expect(second.sessionId).toBe(first.sessionId)
  expect(review.sessionId).not.toBe(first.sessionId)
  countedOnce(world, task)
}

async function sentBackIn(world: AgentWorld): Promise<void> {
  const script = `develop:
  - - bash: "echo ok > parts/second && git add . && git commit -qm Second"
  - - bash: "echo ok > parts/third && git add . && git commit -qm Third"
review:
  - - handoff: {verdict: request_changes, sha: HEAD, findings: [{severity: P1, file: parts/second, text: "A third part is missing."}]}
  - - bash: "test -f parts/third"`
  const id = await world.script('Two parts', script)
  await world.upUntilIdle()
  const task = await landed(world, id)
  expect(await world.git('show', 'main:parts/third')).toBe('ok')
  expect(task.attempts.code).toBe(1)
  expect(task.runs.map((run) => run.role)).toEqual(['developer', 'reviewer', 'developer', 'reviewer'])
  const [develop, review, mend] = ofThree(task)
  const again = task.runs[3]
  expect(world.runFile(mend.id, 'prompt.md')).toContain('A third part is missing.')
  expect(mend.sessionId).toBe(develop.sessionId)
  expect(new Set([develop, review, again].map((run) => run?.sessionId)).size).toBe(3)
  for (const judge of [review, again])
    for (const { sessionId } of task.runs) expect(world.argvOf(judge?.id ?? '')).not.toContain(sessionId)
  countedOnce(world, task)
}

/** Every answer of the model is counted once, in the runs and in the task, and their costs add up. */
function countedOnce(world: AgentWorld, task: TaskView): void {
  const { input, output, costUsd } = usedOf(task)
  expect({ input, output }).toEqual(world.handedOut())
  const { tokens } = task
  expect(tokens.input + tokens.cacheRead + tokens.cacheWrite).toBe(input)
  expect(tokens.output).toBe(output)
  expect(task.costUsd).toBeCloseTo(costUsd, 9)
  expect(costUsd > 0).toBe(world.subject.tells.cost)
  if (world.subject.tells.usage === 'none') return
  // All answers cost the same, so the first run tells.
  const [first] = task.runs
  const perToken = first && inputOf(first) > 0 ? (first.costUsd ?? 0) / inputOf(first) : 0
  for (const run of task.runs) expect(run.costUsd ?? 0).toBeCloseTo(inputOf(run) * perToken, 9)
}

function ofThree({ runs }: TaskView): [RunView, RunView, RunView] {
  const [first, second, third] = runs
  if (!first || !second || !third) throw new Error(`three runs or more were expected, not ${runs.length}`)
  return [first, second, third]
}
