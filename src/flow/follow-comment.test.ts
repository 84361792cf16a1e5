// Commands in comments, over the real store and engine: whose are obeyed, and how often.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN } from '../core/test-spec.ts'
import type { IssueComment, Sign } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { followComment } from './follow-comment.ts'
import { CONFIG, PROJECT } from './test-webhooks.ts'

let dir: string
let store: Store
let engine: Engine
let signs: Sign[]
let replies: string[]
let commands: boolean | null

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-comment-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: () => 1_000, wake: () => undefined })
  await store.addProject(PROJECT)
  signs = []
  replies = []
  commands = null
  const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c' } as const
  const opened = await engine.submit({ ...OPEN, origin: 'github:12' }, by)
  if (!opened.ok) throw new Error('the task was not opened')
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

async function says(body: string, more: Partial<IssueComment> = {}): Promise<string> {
  const author = { login: 'ann', isBot: false }
  const comment = { id: '900', author, isOwn: false, body, url: '', createdAt: 5_000, updatedAt: 5_000, ...more }
  return followComment(
    { store, engine, now: () => 6_000, adapters: {} },
    {
      project: PROJECT,
      task: 'T-1',
      comment,
      settings: { ...CONFIG.tracker, commands },
      cause: 'test',
      place: {
        trustOf: async (login) => login !== 'eve',
        reply: async ({ body }) => void replies.push(body),
        sign: async (_, sign) => {
          signs.push(sign)
          return true
        },
      },
    },
  )
}

const paused = (): boolean | undefined => store.getTask('T-1')?.state.paused

test('a command of somebody with rights is obeyed once, however often it is told', async () => {
  await says('/orch pause')
  expect([paused(), signs]).toEqual([true, ['done']])
  const by = { actor: { kind: 'person', name: 'bob' }, cause: 'test', correlation: 'c' } as const
  await engine.submit({ type: 'resume', task: 'T-1' }, by)
  expect(await says('/orch pause')).toBe('it was obeyed before')
  expect(paused()).toBe(false)
})

test('S7: told again after a crash before its mark, it has no second effect', async () => {
  await says('/orch pause')
  const by = { actor: { kind: 'person', name: 'bob' }, cause: 'test', correlation: 'c' } as const
  await engine.submit({ type: 'resume', task: 'T-1' }, by)
  // As if the service had died before the mark was written.
  const forgetful = { ...store, mark: () => null }
  const real = store
  store = forgetful
  await says('/orch pause')
  store = real
  expect(paused()).toBe(false)
})

test('S15: nobody without rights, no bot and nothing of Orch’s own gives a command', async () => {
  expect(await says('/orch pause', { author: { login: 'eve', isBot: false } })).toContain('may not give commands')
  expect(signs).toEqual(['refused'])
  for (const whose of [{ author: { login: 'helper[bot]', isBot: true } }, { isOwn: true }])
    expect(await says('/orch pause', whose)).toContain('no command')
  expect(paused()).toBe(false)
})

test('a question is answered in words, and its sign is no refusal; a command beside it that can’t be done is one', async () => {
  await says('/orch why')
  await says('/orch help', { id: '901' })
  expect(signs).toEqual(['done', 'done'])
  expect(replies).toEqual([expect.stringContaining('T-1 is'), expect.stringContaining('/orch retry')])
  await says('/orch why\n/orch answer yes', { id: '902' })
  expect(signs.at(-1)).toBe('refused')
  expect(replies.at(-1)).toMatch(/T-1 is.*\n\n`\/orch answer`: /s)
})

test('where commands are switched off none is obeyed', async () => {
  commands = false
  expect(await says('/orch pause')).toContain('switched off')
  expect(paused()).toBe(false)
})
