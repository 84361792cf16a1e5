// Agents at their limit, and agents that keep failing: who takes over, who waits and until when, what moves a task, and
// that nothing is done while all of them wait.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { AgentView, Check, StatusView } from '../../src/flow/app.ts'
import { type World, makeWorld, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

const HOUR_MS = 3_600_000
/** The scripted agent leaves half of the work behind and is limited; any other agent does the worker's behaviour. */
const HALF = `behaviour: add

\`\`\`script
develop:
  - - write: { path: parts/half, content: "ok\\n" }
    - commit: The first half
    - error: { code: rate-limit, text: "usage limit reached", retryAfterMs: ${HOUR_MS} }
\`\`\`
`
const FINE = `\`\`\`script
develop:
  - - write: { path: parts/fine, content: "ok\\n" }
    - commit: All of it
\`\`\`
`

/** The file of the world names the developer already: another is chosen by the environment. */
const withDeveloper = (env: Record<string, string>) =>
  makeWorld({ env: { ORCH_AGENTS_DEVELOPER_AGENT: 'scripted', ...env } })

test('while the chosen agent is limited the next permitted one goes on with its branch and commits, and says why', async () => {
  world = await withDeveloper({ ORCH_AGENTS_DEVELOPER_FALLBACK: 'command' })
  await world.add('In two halves', HALF)
  await world.upUntilIdle()
  const task = await world.task('T-1')
  expect(task).toMatchObject({ status: 'done', attempts: { code: 0 } })
  expect(task.runs.map(({ role, agent, outcome }) => [role, agent, outcome])).toEqual([
    ['developer', 'scripted', 'failed'],
    ['developer', 'command', 'succeeded'],
    ['reviewer', 'command', 'succeeded'],
  ])
  const begun = (await world.journal('T-1')).filter(({ type }) => type === 'run.begun').map(({ data }) => data['why'])
  expect(begun[1]).toMatch(/^scripted is limited until \d{4}-\d\d-\d\dT.*Z \(rate limit\); command may take over$/)
  // One branch: the commit of the one is under that of the other, and both landed together.
  const subjects = await world.git('log', '--format=%s', `${task.mergedSha}^1..${task.mergedSha}^2`)
  expect(subjects.split('\n')).toEqual(['Work on T-1, attempt 1', 'The first half'])
  expect(await world.git('show', 'main:parts/half')).toBe('ok')
})

/** What the service and the processes it has started did so far. */
function activity(pid: number): { ownTicks: number; childFaults: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  // Every process that was started and has ended leaves hundreds of page faults on its parent's account.
  return { ownTicks: (fields[11] ?? 0) + (fields[12] ?? 0), childFaults: fields[8] ?? 0 }
}

test('a limited agent’s tasks wait until its reset, cost nothing meanwhile, and a retry moves each of them', async () => {
  world = await withDeveloper({})
  await world.add('Meets the limit', HALF)
  const up = world.start(['up', '--json'])
  const met = await world.until('T-1', (task) => task.status === 'waiting')
  expect(met).toMatchObject({ waitingFor: 'limit', attempts: { code: 0, transient: 1 } })
  expect(Date.parse(met.waitingUntil ?? '') - Date.now()).toBeGreaterThan(HOUR_MS / 2)
  await world.add('Comes too late', FINE)
  const late = await world.until('T-2', (task) => task.status === 'waiting')
  expect(late).toMatchObject({ waitingFor: 'limit', waitingUntil: met.waitingUntil, runs: [] })
  const why = await world.why('T-2')
  expect(why.because).toContain(`at ${met.waitingUntil}: scripted is limited (rate limit)`)
  const [line] = (await world.ok(['status', '--json'])).json<StatusView>().tasks.filter(({ id }) => id === 'T-2')
  expect(line).toMatchObject({ waitingFor: 'limit', waitingUntil: met.waitingUntil })

  // What was under way when the last one began to wait may take its time on a busy machine.
  let still = { ownTicks: 1_000, childFaults: 1 }
  for (let n = 0; n < 12 && (still.childFaults > 0 || still.ownTicks > 5); n++) {
    const before = activity(up.pid)
    await sleep(3_000)
    const after = activity(up.pid)
    still = { ownTicks: after.ownTicks - before.ownTicks, childFaults: after.childFaults - before.childFaults }
  }
  expect(still).toEqual({ ownTicks: expect.any(Number), childFaults: 0 })
  expect(still.ownTicks).toBeLessThanOrEqual(5)
  expect((await world.task('T-1')).runs).toHaveLength(1)

  expect(why.actions).toContain('orch task retry T-2')
  await world.ok(['task', 'retry', 'T-2'])
  await world.until('T-2', (task) => task.status === 'done')
  expect((await world.task('T-1')).status).toBe('waiting')
  up.kill('SIGINT')
  expect((await up.ended).code).toBe(0)
}, 90_000)

test('an agent that fails run after run is left alone until one run tries it; a person may say when', async () => {
  world = await makeWorld({ config: 'limits: { infra: 0 }' })
  for (let n = 1; n <= 3; n++) await world.add(`Crashes ${n}`, 'behaviour: crash')
  await world.upUntilIdle()
  for (const id of ['T-1', 'T-2', 'T-3'])
    expect(await world.task(id)).toMatchObject({ status: 'needs_review', reason: 'agent-crash' })
  const agents = async () => (await world.ok(['agent', 'list', '--json'])).json<AgentView[]>()
  const command = async () => (await agents()).find(({ name }) => name === 'command')
  expect(await command()).toMatchObject({
    breaker: { state: 'open', failures: 3, reason: expect.stringMatching(/^crash/) },
  })
  const { checks } = (await world.orch(['doctor', '--json'])).json<{ checks: Check[] }>()
  expect(checks.find(({ name }) => name === 'agent.command.account')).toMatchObject({ status: 'warning' })

  await world.add('Would be fine')
  await world.upUntilIdle()
  expect(await world.task('T-4')).toMatchObject({ status: 'waiting', waitingFor: 'limit', runs: [] })
  const why = await world.why('T-4')
  expect(why.because).toMatch(/command failed 3 runs in a row \(crash: .*\); one run tries it again then/)
  expect(why.actions).toContain('orch task retry T-4')
  await world.ok(['task', 'retry', 'T-4'])
  await world.upUntilIdle()
  expect((await world.task('T-4')).status).toBe('done')
  expect((await world.journal('T-4')).find(({ type }) => type === 'run.begun')?.data['why']).toContain('tries it again')
  expect((await command())?.breaker).toBeNull()
}, 90_000)

test('a host on which three supervisors in a row come to nothing is no mark against the agent', async () => {
  world = await makeWorld()
  for (const id of ['T-1', 'T-2', 'T-3']) {
    await world.add(`Task ${id}`)
    // Where its supervisor's log should be: none can be started.
    mkdirSync(join(world.home, 'runs', `${id}-1`, 'supervisor.log'), { recursive: true })
  }
  await world.upUntilIdle({ timerWait: '30s' })
  for (const id of ['T-1', 'T-2', 'T-3']) {
    const task = await world.task(id)
    expect(task, id).toMatchObject({ status: 'done', attempts: { code: 0 } })
    expect(
      task.runs.map((run) => run.outcome),
      JSON.stringify(task.runs),
    ).toEqual(['lost', 'succeeded', 'succeeded'])
  }
})
