// What every agent must come through, whatever its CLI: run against each subject by its own test file.
// What is here goes through the runner and the adapter; the whole pipeline is in pipeline-matrix.ts. After each run
// nothing of it is left.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Containment, findContainments, PATH } from '../../src/agents/__fixtures__/runs.ts'
import type { RunReport } from '../../src/agents/agent.ts'
import { findRunProcesses } from '../../src/agents/process-tree.ts'
import { markOf } from '../../src/agents/run-files.ts'
import type { RunFailure } from '../../src/core/run.ts'
import { processesOf } from '../acceptance/harness.ts'
import { madeFirst } from './made-first.ts'
import { USAGE } from './model-server.ts'
import { describePipeline } from './pipeline-matrix.ts'
import { git } from './site.ts'
import { makeSubjectRuns, type StartedRun, type SubjectRuns } from './subject-runs.ts'
import type { Subject, Trouble } from './subject.ts'

const STARTS_MS = 5_000
/** Told with a 429: short, since some CLIs wait for it; and as a time, which none of them waits for. */
const RESET_SECONDS = 7
const RESET_AT = Math.ceil(Date.now() / 1_000) + 1_800
interface Scripted {
  /** The step that the model's answer is. */
  step: Record<string, unknown>
  /** The usual class. */
  code: RunFailure
  garbled?: true
}
const TROUBLES: Record<Trouble, Scripted> = {
  'api-401': { step: { answer: 401 }, code: 'auth' },
  'api-403': { step: { answer: 403 }, code: 'auth' },
  'api-404': { step: { answer: 404 }, code: 'model-unavailable' },
  'api-429': { step: { answer: 429, retryAfterSeconds: RESET_SECONDS }, code: 'rate-limit' },
  'api-500': { step: { answer: 500 }, code: 'overload' },
  'api-529': { step: { answer: 529 }, code: 'overload' },
  'too-long': {
    step: { answer: 400, text: 'prompt is too long: 210000 tokens > 200000 maximum' },
    code: 'context-overflow',
  },
  // The connection is gone in the middle of an answer: the vendor's trouble or the network's, and tried again later.
  broken: { step: { broken: true }, code: 'overload' },
  cut: { step: { say: 'This is said in full, and it is heard by half.' }, code: 'malformed-stream', garbled: true },
}
const HANG = 'develop: [[{hang: true}]]'
const UNSEEN = existsSync('/proc') ? '' : ' (skipped: this system shows no processes under /proc)'
const containments = await findContainments()

/** Defines the subject's tests. Its program must be installable: else they fail. */
export function describeMatrix(subject: Subject): void {
  describe(`agent ${subject.title}`, () => {
    const the = madeFirst(() => makeSubjectRuns(subject))
    afterAll(() => the().close())
    describeWork(subject, the)
    describeTroubles(subject, the)
    describeEnds(subject, the)
    describeStrays(subject, the)
    describePipeline(subject, the)
  })
}

/** The runs of the test file. */
type Late = () => SubjectRuns

/** What the model has handed out since, as the subject tells of it. */
function counter(
  { tells }: Subject,
  { server }: SubjectRuns,
): () => { answers: number; input: number; output: number } {
  const count = (): number => server.answered() - (tells.usage === 'all' ? 0 : server.asides())
  const before = count()
  return () => {
    const answers = count() - before
    const told = tells.usage === 'none' ? 0 : answers
    return { answers, input: told * USAGE.input_tokens, output: told * USAGE.output_tokens }
  }
}

/** All input counts, from a cache or not. */
function used({ usage }: RunReport): { input: number; output: number } {
  return { input: usage.input + usage.cacheRead + usage.cacheWrite, output: usage.output }
}

function describeWork(subject: Subject, the: Late): void {
  const { adapter, tells } = subject

  test('it is found, with its pinned version, and told to be logged in or not', async () => {
    const { installed, server, makeSite } = the()
    const program = subject.program(installed)
    const { home } = await makeSite()
    const env = { PATH, HOME: home, ...subject.env({ url: server.url, home }) }
    const found = await adapter.find(program, env)
    expect(found?.version).toBe(subject.version)
    expect(found?.loggedIn).not.toBe('no')
    const nobody = Object.fromEntries(Object.entries(env).filter(([name]) => !subject.loginNames.includes(name)))
    const stranger = await adapter.find(program, { ...nobody, HOME: join(home, 'nobody') })
    expect(stranger?.loggedIn).not.toBe('yes')
    if (stranger?.loggedIn === 'no') expect(stranger.note).not.toBe('')
  })

  test('success, and the same session resumed twice: each answer is counted once', async () => {
    const site = await the().makeSite()
    const script = `develop:
  - - write: {path: ${site.workspace}/greeting.txt, content: "hello\\n"}
    - bash: "echo more >> greeting.txt && git add . && git commit -qm Greeting"
  - - bash: "echo again >> greeting.txt; false"`
    const runs: RunReport[] = []
    const costs: number[] = []
    for (const [index, name] of ['success', 'resumed', null].entries()) {
      const since = counter(subject, the())
      const report = await the().play(name, { script, site, attempt: index + 1, resume: [...runs] })
      expect(report).toMatchObject({ outcome: { kind: 'succeeded' }, sessionId: expect.any(String) })
      const { answers, ...handedOut } = since()
      expect(used(report)).toEqual(handedOut)
      expect(report.costUsd > 0).toBe(tells.cost)
      costs.push(report.costUsd / answers)
      runs.push(report)
    }
    expect(new Set(runs.map((run) => run.sessionId)).size).toBe(1)
    // Each answer costs the same, whichever run it was given to.
    for (const cost of costs) expect(cost).toBeCloseTo(costs[0] ?? 0, 6)
    expect(readFileSync(join(site.workspace, 'greeting.txt'), 'utf8')).toBe('hello\nmore\nagain\nagain\n')
    expect(await git(site, 'log', '--format=%s %an')).toBe('Greeting Ann Example\nStart Ann Example')
    expect(readFileSync(join(site.handoff, 'handoff.md'), 'utf8')).toContain('status: done')
  })

  test('a session whose files are gone: the run starts afresh', async () => {
    const sessionId = '11111111-1111-4111-8111-111111111111'
    const gone = { sessionId, usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, costUsd: 0 }
    const report = await the().play(null, { script: 'develop: [[{say: hi}]]', resume: [gone] })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(report.sessionId).not.toBe(sessionId)
  })

  test('without a sandbox of ours: its work and its commits in the workspace still work', async () => {
    const site = await the().makeSite()
    const script = `develop: [[{write: {path: ${site.workspace}/plain.txt, content: x}}, {bash: "git add . && git commit -qm Plain"}]]`
    const report = await the().play('unsandboxed', { script, site, sandboxed: false, in: 'none' })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    expect(await git(site, 'log', '-1', '--format=%s')).toBe('Plain')
  })
}

function describeTroubles(subject: Subject, the: Late): void {
  const { runMs = 60_000, tells } = subject
  // Most of their time is the CLIs' own waiting before they try again.
  describe.concurrent('trouble', () => {
    for (const name of Object.keys(TROUBLES) as Trouble[]) {
      const { step, code, garbled = false } = TROUBLES[name]
      const script = JSON.stringify({ develop: [[{ ...step, ...words(subject, name) }]] })
      const differs = subject.differs?.[name]
      const expected = differs?.code ?? code
      test(`${name}: ${expected}${differs ? ` (${differs.because})` : ''}`, { timeout: 2 * runMs }, async () => {
        const { outcome, costUsd } = await the().play(name, { script, garbled })
        const want = expected === 'succeeded' ? { kind: 'succeeded' } : { kind: 'failed', code: expected }
        expect(outcome).toMatchObject(want)
        if (name.startsWith('api-')) expect(costUsd).toBe(0)
        if (name !== 'api-429' || outcome.kind !== 'failed') return
        expect(outcome.retryAfterMs !== undefined).toBe(tells.reset)
        if (tells.reset) expect(outcome.retryAfterMs).toBeGreaterThan(0)
        expect(outcome.retryAfterMs ?? 0).toBeLessThan(3_600_000)
      })
    }
  })
}

/** The vendor's own words, with the times in them. */
function words({ says }: Subject, name: Trouble): Record<string, unknown> {
  const said = JSON.stringify(says?.[name] ?? null)
    // A time alone is a number.
    .replaceAll(/"\{(\w+)\}"/g, '{$1}')
    .replaceAll('{seconds}', String(RESET_SECONDS))
    .replaceAll('{epoch}', String(RESET_AT))
  const value: unknown = JSON.parse(said)
  return value === null ? {} : typeof value === 'string' ? { text: value } : { body: value }
}

function describeEnds(subject: Subject, the: Late): void {
  const { startMs = STARTS_MS, tells } = subject

  /** Starts a run and waits until its tool hangs. Not every stream tells of a tool before its end. */
  async function untilHanging(): Promise<StartedRun> {
    const site = await the().makeSite()
    const hang = `tail -s 5 -f ${site.workspace}/nothing`
    const run = await the().start({ script: `develop: [[{bash: "touch nothing && ${hang}"}]]`, site })
    const hangs = (): boolean => processesOf(site.dir).some(({ command }) => command.startsWith(hang))
    await expect.poll(hangs, { timeout: 12 * startMs, interval: 100 }).toBe(true)
    return run
  }

  /** No answer is counted twice, and none is lost where the stream tells of each. */
  function countedTo(report: RunReport, handedOut: { input: number }): void {
    if (tells.partial) expect(used(report)).toMatchObject({ input: handedOut.input })
    else expect(used(report).input).toBeLessThanOrEqual(handedOut.input)
  }

  test('a hang past the time limit', async () => {
    const since = counter(subject, the())
    const report = await the().play('hang', { script: HANG, timeLimitMs: startMs })
    expect(report.outcome.kind).toBe('timed-out')
    // It came to the tool.
    expect(since().answers).toBeGreaterThan(0)
    expect(report.endedAt - report.startedAt).toBeLessThan(startMs + 20_000)
    countedTo(report, since())
  })

  test.skipIf(UNSEEN !== '')(`a cancel in flight leaves no orphan${UNSEEN}`, async () => {
    const since = counter(subject, the())
    const run = await untilHanging()
    const before = performance.now()
    await the().runner.stop(run.runId, 'ann')
    expect(performance.now() - before).toBeLessThan(20_000)
    expect(await the().leftOf(run)).toEqual([])
    const report = await the().runner.wait(run.runId)
    expect(report.outcome).toEqual({ kind: 'cancelled', by: 'ann' })
    countedTo(report, since())
  })

  test.skipIf(UNSEEN !== '').each(['first', 'biggest'] as const)(
    `SIGKILL of its %s process while a tool runs: a crash, and nobody is left${UNSEEN}`,
    async (which) => {
      const run = await untilHanging()
      process.kill(await agentProcess(the().runner.dir(run.runId), which), 'SIGKILL')
      const report = await the().runner.wait(run.runId)
      expect(report.outcome).toMatchObject({ kind: 'failed', code: 'crash' })
      expect(await the().leftOf(run)).toEqual([])
    },
  )
}

function describeStrays(subject: Subject, the: Late): void {
  const ways: Containment[] = containments.includes('bwrap') ? ['bwrap', 'none'] : ['none']
  test.each(ways)('a tool left running in a session of its own is ended with the run: containment %s', async (way) => {
    const site = await the().makeSite()
    // A pid namespace ends also who has shed the run's mark.
    const stray = `setsid ${way === 'none' ? '' : 'env -i '}tail -s 7 -f ${site.workspace}/stray`
    const script = `develop: [[{bash: "touch stray; (${stray} >/dev/null 2>&1 </dev/null & sleep 0.2; kill -0 $! && echo alive > seen)"}]]`
    const report = await the().play(null, { script, site, in: way })
    expect(report.outcome).toEqual({ kind: 'succeeded' })
    // It did run.
    expect(readFileSync(join(site.workspace, 'seen'), 'utf8')).toBe('alive\n')
  })
}

/** The pid of a run's agent, below whatever wraps it: the program that was started, or the one that does the work. */
async function agentProcess(dir: string, which: 'first' | 'biggest'): Promise<number> {
  const statusOf = (pid: number, key: string): string =>
    new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  const members = await findRunProcesses(markOf(dir), null)
  const agents = members.filter((pid) => !['bwrap', 'tail'].includes(statusOf(pid, 'Name')))
  const pid =
    which === 'first'
      ? agents.find((one) => !agents.includes(Number(statusOf(one, 'PPid'))))
      : agents.toSorted((a, b) => Number(statusOf(b, 'VmRSS')) - Number(statusOf(a, 'VmRSS')))[0]
  if (pid === undefined) throw new Error(`no agent among ${members.join(', ')} of ${readdirSync(dir).join(' ')}`)
  return pid
}
