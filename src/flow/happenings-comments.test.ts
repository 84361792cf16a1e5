// Comments at issues and changes, led through the real store and engine; the tracker and the forge say what the case wants.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TrackerSettings } from '../config/config.ts'
import { POLICY } from '../core/test-spec.ts'
import type { Issue, IssueComment, RemoteForge, Tracker, Trust } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import type { Project, Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type HappeningDeps, applyHappenings } from './happenings.ts'
import { makeInLine } from './in-line.ts'

const AT = { driver: 'github', ref: 'ann/shop' } as const
const PROJECT: Project = { id: 'T', name: 't', path: '/t', remote: '/t.git', createdAt: 1, tracker: AT, forge: AT }

let dir: string
let store: Store
let engine: Engine
let settings: TrackerSettings
let trust: Record<string, Trust>
let issues: Issue[]
let hasSigns: boolean
/** What was written at the vendor, in words. */
let wrote: string[]
let clock: number
let lastComment: number

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-comment-'))
  store = await openStore(join(dir, 'orch.db'))
  clock = 1_000
  engine = makeEngine({ store, now: () => clock++, wake: () => undefined })
  await store.addProject(PROJECT)
  trust = { mia: 'member', olga: 'owner' }
  issues = []
  hasSigns = true
  wrote = []
  lastComment = 0
  const intake = { labels: ['orch'], columns: [], assignees: [], mention: '@orch', people: ['pat'] }
  settings = {
    intake: { ...intake, strangers: 'ignore' },
    show: { columns: {}, labels: true, comments: true },
    commands: null,
  }
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function issue(number: number, change: Partial<Issue> = {}): Issue {
  const made: Issue = {
    id: String(number),
    number,
    title: `Issue ${number}`,
    body: 'What is to be done.',
    state: 'open',
    column: null,
    labels: [],
    assignees: [],
    priority: null,
    author: { login: 'mia', isBot: false },
    url: `https://github.com/ann/shop/issues/${number}`,
    createdAt: 1,
    updatedAt: 1,
    closedAt: null,
    blockedBy: [],
    ...change,
  }
  issues = [...issues.filter(({ id }) => id !== made.id), made]
  return made
}

function comment(body: string, change: Partial<IssueComment> & { by?: string; isBot?: boolean } = {}): IssueComment {
  const { by = 'mia', isBot = false, isOwn = false, ...rest } = change
  const id = String((lastComment += 1))
  return { id, author: { login: by, isBot }, isOwn, body, url: '', createdAt: clock, updatedAt: clock, ...rest }
}

function deps(): HappeningDeps {
  const trustOf = async (login: string): Promise<Trust> => trust[login] ?? 'none'
  const sign = async (of: { comment: string; sign: string }): Promise<boolean> => {
    if (hasSigns) wrote.push(`sign ${of.comment} ${of.sign}`)
    return hasSigns
  }
  const say = async (_at: string, { key, body }: { key: string; body: string }): Promise<{ url: string }> => {
    wrote.push(`${key}: ${body}`)
    return { url: '' }
  }
  const tracker: Partial<Tracker> = {
    trustOf,
    findIssue: async (id) => issues.find((one) => one.id === id) ?? null,
    ensureComment: say,
    ensureReaction: sign,
  }
  const forge: Partial<RemoteForge> = {
    trustOf,
    taskOf: async (number) => `T-${number}`,
    ensureComment: say,
    ensureReaction: sign,
  }
  const config = { policy: POLICY, prefix: 'T', tracker: settings, prompts: {}, sources: [] }
  const unused = (): never => {
    throw new Error('no test expected this call')
  }
  return {
    store,
    engine,
    now: () => clock,
    newId: () => 'id',
    adapters: { codex: {} } as unknown as HappeningDeps['adapters'],
    workspaces: { mirror: unused } as unknown as HappeningDeps['workspaces'],
    configOf: async () => config,
    trackerOf: () => tracker as Tracker,
    names: { recall: async ({ ref }) => ref },
    inLine: makeInLine(),
    remoteForgeOf: () => forge as RemoteForge,
  }
}

const from = { ...AT, cause: 'test' }
const onIssue = (at: Issue) => applyHappenings(deps(), from, [{ kind: 'issue', id: at.id, issue: at }])
const onComment = (number: number, said: IssueComment) =>
  applyHappenings(deps(), from, [{ kind: 'issue-comment', issue: String(number), comment: said, deleted: false }])
const onChange = (number: number, said: IssueComment) =>
  applyHappenings(deps(), from, [{ kind: 'change-comment', number, comment: said, deleted: false }])
const task = (id = 'T-1') => store.getTask(id)?.state
const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

test('a mention in a comment makes a task, which looks at the issue itself don’t end', async () => {
  const at = issue(1)
  expect(await onIssue(at)).toEqual([expect.stringContaining('no rule of `intake` matches it')])
  expect(await onComment(1, comment('Could you, @orch?'))).toEqual([expect.stringContaining('T-1: opened')])
  expect(task()?.status).toBe('queued')
  expect(await onIssue(issue(1, { labels: ['orch:queued'], updatedAt: 2 }))).toEqual([
    expect.stringContaining('T-1: nothing'),
  ])
  expect(task()?.status).toBe('queued')
})

test('a mention that is delivered again begins nothing again; a new one does', async () => {
  issue(1)
  const said = comment('@orch please')
  await onComment(1, said)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await onIssue(issue(1, { updatedAt: 2 }))
  expect(await onComment(1, said)).toEqual(['it was obeyed before'])
  expect(task('T-2')).toBeUndefined()
  expect(await onComment(1, comment('@orch once more'))).toEqual([expect.stringContaining('T-2: opened')])
})

test('a mention that is quoted, code, a stranger’s or a bot’s own makes no task', async () => {
  issue(1)
  for (const body of ['> @orch please', '```\n@orch please\n```', '    @orch', '<!-- @orch -->'])
    expect(await onComment(1, comment(body))).not.toEqual([expect.stringContaining('opened')])
  await onComment(1, comment('@orch please', { by: 'stan' }))
  await onComment(1, comment('@orch please', { by: 'mia', isOwn: true }))
  await onComment(1, comment('@orch please', { by: 'ci', isBot: true }))
  expect(task()).toBeUndefined()
  expect(await onComment(1, comment('@orch please', { by: 'pat' }))).toEqual([expect.stringContaining('opened')])
})

test('a slash command may be the word: it begins a line', async () => {
  settings.intake.mention = '/orch take'
  issue(1)
  expect(await onComment(1, comment('Write /orch take to begin'))).not.toEqual([expect.stringContaining('opened')])
  expect(await onComment(1, comment('Yes.\n/orch take'))).toEqual([expect.stringContaining('opened')])
})

test('a command is obeyed once, with a sign; a stranger’s is refused by one', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  const said = comment('/orch pause')
  expect(await onComment(1, said)).toEqual(['mia: pause'])
  expect(task()?.paused).toBe(true)
  await engine.submit({ type: 'resume', task: 'T-1' }, by)
  expect(await onComment(1, said)).toEqual(['it was obeyed before'])
  expect(task()?.paused).toBe(false)
  expect(await onComment(1, comment('/orch stop', { by: 'stan' }))).toEqual(['stan may not give commands here'])
  expect(task()?.status).toBe('queued')
  expect(wrote).toEqual(['sign 1 done', 'sign 2 refused'])
})

test('Orch’s own words and a bot’s are no command, nor is anything where they are switched off', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  for (const author of [
    { by: 'mia', isOwn: true },
    { by: 'mia', isBot: true },
  ])
    expect(await onComment(1, comment('/orch stop', author))).toEqual(['a bot’s own words are no command'])
  settings.commands = false
  expect(await onComment(1, comment('/orch stop'))).toEqual([expect.stringContaining('switched off')])
  expect(task()?.status).toBe('queued')
  expect(wrote).toEqual([])
})

test('at Plane commands are off unless they are switched on', async () => {
  await store.updateProject({ id: 'T', remote: '', tracker: { driver: 'plane', ref: 'a/b' } })
  const tell = (said: IssueComment) =>
    applyHappenings(deps(), { driver: 'plane', ref: 'a/b', cause: 'test' }, [
      { kind: 'issue-comment', issue: '1', comment: said, deleted: false },
    ])
  await applyHappenings(deps(), { driver: 'plane', ref: 'a/b', cause: 'test' }, [
    { kind: 'issue', id: '1', issue: issue(1, { labels: ['orch'] }) },
  ])
  expect(await tell(comment('/orch pause'))).toEqual([expect.stringContaining('switched off')])
  settings.commands = true
  hasSigns = false
  expect(await tell(comment('/orch pause'))).toEqual(['mia: pause'])
  // Where there are no signs, a word says that it was done.
  expect(wrote).toEqual(['comment:2: Done.'])
})

test('what can’t be done is answered in a line, and why and help are', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  await onComment(1, comment('/orch approve'))
  await onComment(1, comment('/orch explode'))
  await onComment(1, comment('/orch reroute gpt'))
  await onComment(1, comment('/orch why'))
  await onComment(1, comment('/orch help'))
  expect(wrote.filter((line) => line.startsWith('comment:'))).toEqual([
    expect.stringMatching(/^comment:1: `\/orch approve`: /),
    expect.stringContaining('`explode` is no command'),
    expect.stringContaining('I know no agent `gpt`; there are codex'),
    expect.stringMatching(/^comment:4: T-1 is queued at make\. .*Whose move:/),
    expect.stringContaining('- `/orch retry`: try again'),
  ])
  await onComment(1, comment('/orch stop'))
  await onComment(1, comment('/orch why'))
  expect(wrote.at(-1)).toContain('T-1 is cancelled at make. It was cancelled by mia.')
})

test('a comment that a webhook and a look bring at once is answered once', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  const at = deps()
  const said = comment('/orch why')
  const tell = (cause: string) =>
    applyHappenings(at, { ...from, cause }, [{ kind: 'issue-comment', issue: '1', comment: said, deleted: false }])
  const all = await Promise.all([tell('webhook'), tell('poll')])
  expect(all).toEqual([['mia: why'], ['it was obeyed before']])
  expect(wrote.filter((line) => line.startsWith('comment:'))).toHaveLength(1)
})

test('at a change the same commands count, of who may write there', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  expect(await onChange(1, comment('/orch stop', { by: 'stan' }))).toEqual(['T-1: stan may not give commands here'])
  expect(await onChange(1, comment('/orch reroute codex', { by: 'olga' }))).toEqual(['T-1: olga: reroute'])
  expect(task()?.preferredAgent).toBe('codex')
  await onChange(1, comment('/orch stop', { by: 'olga' }))
  expect(task()?.status).toBe('cancelled')
})

test('S8: an approval that comes late says no yes to a head that was not there when it was written', async () => {
  await onIssue(issue(1, { labels: ['orch'] }))
  const head = 'b'.repeat(40)
  const send = (command: Parameters<Engine['submit']>[0]) => engine.submit(command, by)
  const policy = { ...POLICY, approval: 'human' as const }
  const early = comment('/orch approve')
  await send({ type: 'begin-step', task: 'T-1', epoch: 1 })
  await send({ type: 'start-task', task: 'T-1', epoch: 1, policy, baseSha: 'a'.repeat(40), branch: 'orch/T-1' })
  const run = { task: 'T-1', epoch: 1, runId: 'r1', role: 'maker', agent: 'codex', model: null }
  await send({ type: 'begin-run', ...run, why: 'test' })
  const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }
  const ended = { outcome: { kind: 'succeeded' as const }, sessionId: null, headSha: head, usage, costUsd: 0 }
  await send({ type: 'end-run', ...run, ...ended })
  expect(task()?.headSha).toBe(head)
  await onComment(1, early)
  expect(wrote).toContainEqual(expect.stringContaining('The head has changed since you wrote that'))
  expect(task()?.approvals).toEqual([])
})

test.each([
  ['/orch retry', { type: 'retry', task: 'T-1', parallel: 4 }],
  ['/orch stop', { type: 'cancel', task: 'T-1' }],
  ['/orch pause', { type: 'pause', task: 'T-1' }],
  ['/orch resume', { type: 'resume', task: 'T-1' }],
  ['/orch approve abcdef1', { type: 'approve', task: 'T-1', sha: 'abcdef1' }],
  ['/orch reject Keep the name', { type: 'reject', task: 'T-1', reason: 'Keep the name' }],
  ['/orch answer Blue', { type: 'answer', task: 'T-1', text: 'Blue' }],
  ['/orch reroute CODEX now', { type: 'reroute', task: 'T-1', agent: 'codex' }],
])('%j is the command %j of whoever wrote it', async (body, expected) => {
  await onIssue(issue(1, { labels: ['orch'] }))
  const sent: unknown[] = []
  const real = engine
  engine = {
    submit: (command, how) => {
      sent.push(command, how.actor)
      return real.submit(command, how)
    },
  }
  await onComment(1, comment(body))
  expect(sent).toEqual([expected, { kind: 'person', name: 'mia' }])
})

test('C-8: what the delivery lacks is asked for; an issue that is gone ends its task', async () => {
  issue(1, { labels: ['orch'], body: 'In full.' })
  const told = () => applyHappenings(deps(), from, [{ kind: 'issue', id: '1', issue: null }])
  await told()
  expect(task()).toMatchObject({ status: 'queued', body: 'In full.' })
  issues = []
  expect(await told()).toEqual(['T-1: cancelled, its issue is gone'])
  expect(await told()).toEqual(['issue 1 is gone, and no task was open for it'])
  expect(task()?.status).toBe('cancelled')
})
