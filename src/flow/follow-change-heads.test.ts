// A change at a forge and its task: what the forge shows now, and which command that leads to.

import { expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { HEAD, POLICY, atLanding, taskIn } from '../core/test-spec.ts'
import type { Task } from '../core/task.ts'
import type { ChangeState, Person, RemoteForge } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import { type FollowChangeDeps, followChange } from './follow-change.ts'
import { CONFIG, shownChange } from './test-webhooks.ts'

const PROJECT: Project = {
  id: 'T',
  name: 't',
  path: '/t',
  remote: '/t.git',
  createdAt: 1,
  forge: { driver: 'github', ref: 'ann/shop' },
}
const LABEL = { ...POLICY, approval: 'label' as const, approveBy: { label: 'go', column: 'Ready' } }

interface Place {
  task: Task
  change: ChangeState | null
  /** What main holds. */
  inMain: string[]
  sent: Command[]
  /** Who set the label, as the forge says. */
  setBy: Person | null
  follow(): Promise<string>
}

function place(task: Task): Place {
  const marks = new Map<string, string>()
  const at: Place = {
    task,
    change: shownChange(),
    inMain: [],
    sent: [],
    setBy: { login: 'mia', isBot: false },
    follow: () => followChange(deps, { project: PROJECT, forge, task: 'T-1', cause: 'test' }),
  }
  const forge = {
    findChange: async () => at.change,
    labelledBy: async () => at.setBy,
    trustOf: async (login: string) => (login === 'mia' ? 'member' : 'none'),
  } as unknown as RemoteForge
  const mirror = {
    fetchBase: async () => ({ branch: 'main', sha: 'm'.repeat(40) }),
    isAncestor: async (sha: string) => at.inMain.includes(sha),
  }
  const deps = {
    store: {
      getTask: () => ({ version: 1, state: at.task }),
      getChange: () => null,
      mark: ({ what }: { what: string }) => marks.get(what) ?? null,
      putMark: async ({ what, value }: { what: string; value: string }) => void marks.set(what, value),
    },
    workspaces: { mirror: async () => mirror },
    now: () => 1,
    configOf: async () => ({
      ...CONFIG,
      tracker: { ...CONFIG.tracker, intake: { ...CONFIG.tracker.intake, people: ['Pam'] } },
    }),
    engine: {
      submit: async (command: Command) => {
        at.sent.push(command)
        return { ok: true, task: at.task }
      },
    },
  } as unknown as FollowChangeDeps
  return at
}

const waiting = (policy = LABEL): Task => taskIn(atLanding(policy))

test('the label says yes to the head it is at', async () => {
  const at = place(waiting())
  expect(await at.follow()).toBe('CI and reviews are looked at')
  at.sent.length = 0
  at.change = { ...at.change, labels: ['GO'] } as ChangeState
  expect(await at.follow()).toBe('approved by the label go, which mia set')
  expect(at.sent).toEqual([{ type: 'approve', task: 'T-1', sha: HEAD }])
})

test('S8: a label that was there before the head came says nothing of that one, until it is set again', async () => {
  // Set while its agent was still at work, on an earlier head.
  const head = 'd'.repeat(40)
  const early = { headSha: head, publishedSha: head, step: { kind: 'run' as const, stage: 'make' } }
  const at = place({ ...waiting(), ...early, status: 'running', waitingFor: null })
  const old = { ...at.change, head, labels: ['go'] } as ChangeState
  at.change = old
  await at.follow()
  at.task = waiting()
  at.change = { ...old, head: HEAD }
  expect(await at.follow()).toMatch(/from an earlier head/)
  expect(at.sent.filter(({ type }) => type === 'approve')).toEqual([])
  at.change = { ...old, head: HEAD, labels: [] }
  await at.follow()
  at.change = { ...old, head: HEAD }
  expect(await at.follow()).toBe('approved by the label go, which mia set')
})

test('a label that came before the task waits for it counts when it does, for the same head', async () => {
  const at = place({ ...waiting(), status: 'running', waitingFor: null })
  at.change = { ...at.change, labels: ['go'] } as ChangeState
  await at.follow()
  at.task = waiting()
  expect(await at.follow()).toBe('approved by the label go, which mia set')
})

test('a label counts by whoever set it: who may only triage lands nothing', async () => {
  const at = place(waiting())
  at.change = { ...at.change, labels: ['go'] } as ChangeState
  at.setBy = { login: 'tom', isBot: false }
  expect(await at.follow()).toBe(
    'the label go was set by tom, who may not write here and is not named in `intake.people`',
  )
  at.setBy = null
  expect(await at.follow()).toBe('the forge does not say who set the label go; take it off and set it again')
  expect(at.sent.filter(({ type }) => type === 'approve')).toEqual([])
  at.setBy = { login: 'pam', isBot: false }
  expect(await at.follow()).toBe('approved by the label go, which pam set')
})

test('under another policy a label says nothing', async () => {
  const at = place(waiting({ ...LABEL, approval: 'human' as never }))
  at.change = { ...at.change, labels: ['go'] } as ChangeState
  await at.follow()
  expect(at.sent.map(({ type }) => type)).toEqual(['look-again'])
})

test('S4: merged by a person is recorded when main holds it, and not before', async () => {
  const at = place(waiting())
  const mergedSha = 'f'.repeat(40)
  at.change = { ...at.change, state: 'merged', mergedSha } as ChangeState
  expect(await at.follow()).toMatch(/main does not hold ffffffffff \(yet\)/)
  expect(at.sent).toEqual([])
  at.inMain = [mergedSha]
  expect(await at.follow()).toBe('somebody merged it as ffffffffff')
  expect(at.sent).toEqual([{ type: 'adopt-merge', task: 'T-1', mergedSha }])
})

test('a branch that somebody moved holds the task; a change that is gone or closed ends nothing by itself but closed', async () => {
  const at = place({ ...waiting(), step: { kind: 'land', stage: 'merge', sha: HEAD } })
  at.change = { ...at.change, head: 'e'.repeat(40) } as ChangeState
  expect(await at.follow()).toBe('somebody moved its branch')
  expect(at.sent).toMatchObject([{ type: 'report-trouble', trouble: { class: 'hold', code: 'branch-moved' } }])
  at.sent.length = 0
  at.change = null
  expect(await at.follow()).toBe('the forge shows no change for it')
  expect(at.sent).toEqual([])
  at.change = { ...place(waiting()).change, state: 'closed' } as ChangeState
  expect(await at.follow()).toBe('it was closed without being merged')
  expect(at.sent).toMatchObject([{ type: 'close-outside', why: 'change 7 was closed at the forge' }])
})
