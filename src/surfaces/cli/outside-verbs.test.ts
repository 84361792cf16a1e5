// Verbs about trackers and forges, and about two confirmations: what they ask the app, print and end with.

import { expect, test } from 'vitest'
import type { OnboardView, SyncView, TaskAction } from '../../flow/app.ts'
import { fakeApp, fakeReader, fakeTask, orch } from './fake-app.ts'

const ONBOARD: OnboardView = {
  project: 'SHOP',
  mode: 'plan',
  ok: false,
  steps: [
    { at: 'github acme/shop', what: 'permissions', name: 'bot', state: 'there', text: 'Orch is bot' },
    { at: 'github acme/shop', what: 'label', name: 'orch', state: 'missing', text: 'label orch\u001b[31m' },
  ],
  notes: ['No webhook'],
  config: 'intake:\n  labels: [orch]\n',
}

test('onboard plans unless told otherwise, and ends with 6 where something is missing', async () => {
  const asked: unknown[] = []
  const app = fakeApp({
    onboard: async (project, request) => {
      asked.push([project, request])
      return { ...ONBOARD, mode: request.mode, ok: request.mode === 'apply' }
    },
  })
  const plan = await orch(['onboard', 'shop'], { app })
  expect(plan.exit).toBe(0)
  expect(plan.stdout).toContain('  ! label orch\\x1b[31m (missing)\n')
  expect(plan.stdout).toContain('1 of 2 are missing: `orch onboard SHOP --apply` makes what it can.')
  expect(plan.stdout).toContain('  intake:\n    labels: [orch]')
  expect((await orch(['onboard', '--apply', '--url', 'https://x.org'], { app })).exit).toBe(0)
  const verify = await orch(['onboard', '--verify', '--json'], { app })
  expect([verify.exit, JSON.parse(verify.stdout)]).toEqual([6, { ...ONBOARD, mode: 'verify' }])
  expect(asked).toEqual([
    ['SHOP', { mode: 'plan', url: null }],
    ['SHOP', { mode: 'apply', url: 'https://x.org' }],
    ['SHOP', { mode: 'verify', url: null }],
  ])
  expect((await orch(['onboard', '--plan', '--apply'], { app })).exit).toBe(2)
  expect((await orch(['onboard', 'NONE'], { app })).exit).toBe(3)
})

test('sync tells by project what came of it, and ends as its first trouble does', async () => {
  const asked: unknown[] = []
  const trouble = { code: 'auth', text: 'there is no credential', exit: 6 } as const
  const answers: SyncView['projects'] = [
    { project: 'SHOP', said: ['SHOP-1: opened'], trouble: null },
    { project: 'WEB', said: [], trouble: null },
    { project: 'API', said: [], trouble },
  ]
  const app = fakeApp({
    sync: async (request) => {
      asked.push(request)
      return { dryRun: request.dryRun, projects: request.project === null ? answers : answers.slice(0, 1) }
    },
  })
  const all = await orch(['sync', '--dry-run'], { app })
  expect(all.exit).toBe(6)
  expect(all.stdout).toContain('SHOP (dry run: nothing is written)\n  SHOP-1: opened\n')
  expect(all.stdout).toContain('  nothing new\n')
  expect(all.stdout).toContain('  ✗ there is no credential\n')
  const one = await orch(['sync', 'SHOP', '--json'], { app })
  expect([one.exit, JSON.parse(one.stdout)]).toEqual([0, { dryRun: false, projects: answers.slice(0, 1) }])
  expect(asked).toEqual([
    { project: null, dryRun: true },
    { project: 'SHOP', dryRun: false },
  ])
})

test('a request shows what would be approved, whether it is done, and its token; approve takes the token', async () => {
  const asked: unknown[] = []
  const acted: TaskAction[] = []
  const app = fakeApp(
    {
      requestApproval: async (request, actor) => {
        asked.push([request, actor.name])
        if (request.bypass === 'no')
          return { ok: false, refusal: { code: 'not-waiting-for-approval', text: 'Nothing.' } }
        const criteria = [{ name: 'handoff', met: false, bypassable: true, text: 'no handoff is kept' } as const]
        return {
          ok: true,
          value: {
            task: 'SHOP-1',
            sha: 'a'.repeat(40),
            token: 'tok-1',
            expiresAt: '2026-01-02T12:30:00.000Z',
            title: 'SHOP-1: Fix',
            body: 'What.\nWhy.',
            files: 1,
            addedLines: 3,
            deletedLines: 0,
            done: { met: false, criteria },
            bypass: request.bypass,
          },
        }
      },
      act: async (action) => {
        acted.push(action)
        return { ok: true, value: fakeTask() }
      },
    },
    fakeReader(),
  )
  const shown = await orch(['change', 'request', '1', '--allow-dod-bypass', 'it burns'], { app })
  expect(shown.exit).toBe(0)
  expect(shown.stdout).toContain('1 file, +3 −0')
  expect(shown.stdout).toContain('What.\nWhy.\n')
  expect(shown.stdout).toContain('  ✗ no handoff is kept\nPassed over: it burns\n')
  expect(shown.stdout).toContain('orch approve SHOP-1 --token tok-1 --confirm\n')
  expect((await orch(['change', 'request', '1', '--allow-dod-bypass', ' '], { app })).exit).toBe(2)
  expect((await orch(['change', 'request', '1', '--allow-dod-bypass', 'no'], { app })).exit).toBe(4)
  expect(asked).toEqual([
    [{ task: 'SHOP-1', bypass: 'it burns' }, 'ann'],
    [{ task: 'SHOP-1', bypass: 'no' }, 'ann'],
  ])
  await orch(['approve', '1', '--token', 'tok-1', '--confirm'], { app })
  await orch(['approve', '1', '--token', 'tok-1'], { app })
  await orch(['task', 'reroute', '1', 'codex'], { app })
  await orch(['task', 'reroute', '1', 'none'], { app })
  expect(acted).toEqual([
    { type: 'approve', task: 'SHOP-1', token: 'tok-1', confirmed: true },
    { type: 'approve', task: 'SHOP-1', token: 'tok-1' },
    { type: 'reroute', task: 'SHOP-1', agent: 'codex' },
    { type: 'reroute', task: 'SHOP-1', agent: null },
  ])
})

test('task show tells of a definition of done that was passed over', async () => {
  const sha = 'a'.repeat(40)
  const task = fakeTask({
    approvals: [{ sha, by: 'ann', at: '2026-01-02T11:00:00.000Z', covers: ['landing'], bypass: 'it burns' }],
    preferredAgent: 'codex',
  })
  const { stdout } = await orch(['task', 'show', '1'], { reader: fakeReader({}, [task]) })
  expect(stdout).toMatch(/Passed over +definition of done at a{10}, by ann: it burns/)
  expect(stdout).toMatch(/Agent +codex, because a person says so/)
})

test('project list shows tracker and forge', async () => {
  const at = { driver: 'github', ref: 'acme/shop' }
  const project = { id: 'SHOP', name: 'shop', path: '/s', remote: '/r', createdAt: 1, tracker: at }
  const { stdout } = await orch(['project', 'list'], { reader: fakeReader({ projects: () => [project] }) })
  expect(stdout).toMatch(/TRACKER +FORGE\n.*github:acme\/shop +–\n/)
})
