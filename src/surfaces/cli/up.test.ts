import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { App, UpOptions, UpResult } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { eventSentence } from './event-lines.ts'
import { counts, fakeApp, fakeEvent, fakeLine, fakeReader, orch } from './fake-app.ts'

const IDLE: UpResult = { liveRuns: [], counts: counts({ done: 2 }) }

test('up until idle prints sentences, and one JSON line an event for scripts', async () => {
  const asked: UpOptions[] = []
  const app = fakeApp({
    up: async (options) => {
      asked.push(options)
      options.onNotice?.('watching')
      options.onEvent?.(
        fakeEvent('run.begun', {
          runId: 'r1',
          stage: 'develop',
          role: 'developer',
          agent: 'claude',
          model: null,
          attempt: 2,
          why: '',
        }),
      )
      options.onEvent?.(fakeEvent('step.begun', { epoch: 1 }))
      return IDLE
    },
  })
  const plain = await orch(['up', '--until-idle'], { app })
  expect(plain.exit).toBe(0)
  expect(plain.stdout).toMatch(
    /^[\d:]{8} watching\n[\d:]{8} SHOP-1 claude begins attempt 2 as developer \(run r1\)\nIdle: 2 done; no run goes on\n$/,
  )
  const json = await orch(['up', '--until-idle', '--timer-wait', '30s', '--json'], { app })
  expect(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type),
  ).toEqual(['run.begun', 'step.begun'])
  expect(asked.map(({ untilIdle, timerWaitMs }) => [untilIdle, timerWaitMs])).toEqual([
    [true, 600_000],
    [true, 30_000],
  ])
})

function upUntilAborted(press: () => () => void, result: UpResult, times = 1): App {
  return fakeApp({
    up: (options) =>
      new Promise((resolve) => {
        options.signal.addEventListener('abort', () => resolve(result))
        for (let time = 0; time < times; time++) press()()
      }),
  })
}

test('Ctrl-C stops cleanly and names the runs that go on', async () => {
  let press = (): void => undefined
  const result = { liveRuns: [{ runId: 'r1', task: 'SHOP-1', agent: 'claude' }], counts: counts({ running: 1 }) }
  const onReady = (interrupt: () => void): void => {
    press = interrupt
  }
  const run = await orch(['up'], { app: upUntilAborted(() => press, result), onReady })
  expect(run).toEqual({
    exit: 0,
    stderr: 'orch: stopping; Ctrl-C again ends at once\n',
    stdout:
      'Stopped: 1 running\nThese runs go on; `orch up` takes them up again:\n  SHOP-1: claude (run r1); stop it with `orch task cancel SHOP-1`\n',
  })
  expect((await orch(['up', '--until-idle'], { app: upUntilAborted(() => press, result), onReady })).exit).toBe(130)
  expect((await orch(['up'], { app: upUntilAborted(() => press, result, 2), onReady })).exit).toBe(130)
})

test('a second service is refused with 4', async () => {
  const app = fakeApp({ up: () => Promise.reject(new UserError(4, 'already-up', 'another `orch up` runs')) })
  expect(await orch(['up'], { app })).toMatchObject({ exit: 4, stderr: 'orch: another `orch up` runs [already-up]\n' })
})

test('what an event says is safe to print, and unknown ones are told by their type', () => {
  expect(
    eventSentence(fakeEvent('task.held', { reason: { code: 'base-red', text: 'a\u001b[31mb\nc' }, step: null })),
  ).toBe('needs a person (base-red): a\\x1b[31mb c')
  expect(eventSentence(fakeEvent('task.polished', {}))).toBe('task.polished')
  expect(eventSentence(fakeEvent('step.queued', {}))).toBeNull()
  expect(eventSentence({ ...fakeEvent('account.limited', { until: 0, reason: 'quota' }), stream: 'account' })).toMatch(
    /is at its limit until \d\d:\d\d:\d\d: quota/,
  )
  expect(eventSentence({ ...fakeEvent('account.opened', { until: 0 }), stream: 'account' })).toMatch(
    /left alone until \d\d:\d\d:\d\d$/,
  )
  expect(eventSentence({ ...fakeEvent('account.canary_begun', { runId: 'T-1-1', until: 0 }), stream: 'account' })).toBe(
    'is tried again by run T-1-1',
  )
})

test('status --watch prints a snapshot for each change and ends with Ctrl-C', async () => {
  let press = (): void => undefined
  let looks = 0
  const reader = fakeReader({
    status: () => ({
      tasks: [fakeLine({ attempt: looks < 2 ? 1 : 2, since: looks })],
      counts: counts({ running: 1 }),
      more: 0,
      service: { running: false, pid: null, since: null },
    }),
    nextChange: async () => {
      looks += 1
      if (looks === 4) press()
    },
  })
  const terminal = { reader, onReady: (interrupt: () => void) => (press = interrupt) }
  const run = await orch(['status', '--watch', '--json'], terminal)
  expect(run.exit).toBe(0)
  expect(
    run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).tasks[0].attempt),
  ).toEqual([1, 2])
  looks = 0
  const drawn = await orch(['status', '--watch'], { ...terminal, isTty: true })
  expect(drawn.stdout.match(/\u001b\[J/g)).toHaveLength(4)
  expect(drawn.stdout.startsWith('\u001b[?25l')).toBe(true)
  expect(drawn.stdout.endsWith('\u001b[?25h')).toBe(true)
})

function demoApp(ends: UpResult['counts']): App {
  const status = () => ({
    tasks: [fakeLine({ status: 'needs_review' })],
    counts: ends,
    more: 0,
    service: { running: true, pid: 1, since: null },
  })
  return fakeApp(
    {
      demo: async ({ dir }) => ({
        dir,
        clone: `${dir}/shop`,
        remote: `${dir}/shop.git`,
        project: 'SHOP',
        tasks: ['SHOP-1', 'SHOP-2'],
      }),
      up: async () => ({ liveRuns: [], counts: ends }),
      demoLog: async () => '* abc Ann  Landed\u001b[2J',
    },
    fakeReader({
      status,
      nextChange: async ({ signal }) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve())),
    }),
  )
}

test('the demo gives 0 only for the ends it should come to', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orch-demo-test-'))
  const good = await orch(['demo', '--dir', join(dir, 'a')], { app: demoApp(counts({ done: 3, needs_review: 1 })) })
  expect(good.exit).toBe(0)
  for (const part of ['* abc Ann  Landed\\x1b[2J', `${dir}/a/home/runs`, 'orch why SHOP-1', 'orch init && orch doctor'])
    expect(good.stdout).toContain(part)
  const bad = demoApp(counts({ done: 2, needs_review: 2 }))
  expect((await orch(['demo', '--dir', join(dir, 'b'), '--json'], { app: bad })).exit).toBe(1)
  expect((await orch(['demo', '--dir', join(dir, 'c'), '--agent', 'claude'], { app: bad })).exit).toBe(0)
  expect((await orch(['demo', '--dir', join(dir, 'a')], { app: bad })).exit).toBe(2)
  expect((await orch(['demo', '--dir', join(dir, 'd')], { app: bad, isTty: true })).stdout).toContain('needs_review')
  rmSync(dir, { recursive: true })
})
