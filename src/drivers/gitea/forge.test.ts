// What Gitea's pull requests, merges, reviews and CI do otherwise than other vendors'.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangeMemory, ChangeRequest, RemoteForge } from '../driver.ts'
import type { ForgeWorld } from '../test-remote-forge.ts'
import type { Asked } from '../test-proxy.ts'
import { forgeWorld, type GiteaWorld, makeMemory, openWorld, PEOPLE, REF, TOKEN } from './fake-gitea-world.ts'

let gitea: GiteaWorld
let world: ForgeWorld
let memory: ChangeMemory
let forge: RemoteForge
beforeEach(async () => {
  gitea = await openWorld()
  world = forgeWorld(gitea)
  memory = makeMemory()
  forge = gitea.driver.forge(REF, memory) as RemoteForge
})
afterEach(() => gitea.close())

const BRANCH = 'orch/shop-1-totals'
const open = async (changes: Partial<ChangeRequest> = {}) => {
  const head = (await world.readBranch(BRANCH)) ?? (await world.push(BRANCH))
  const words = { title: 'Round totals', body: 'Why.' }
  return forge.ensureChange({
    project: 'SHOP',
    task: 'SHOP-1',
    branch: BRANCH,
    base: 'main',
    head,
    ...words,
    ...changes,
  })
}
const isMerge = ({ method, path }: Asked): boolean => method === 'POST' && path.endsWith('/merge')
const ORDER = { task: 'SHOP-1', method: 'merge', title: 'SHOP-1: Round totals', message: 'Why.' } as const
const pullOf = (number: number) => {
  const pull = gitea.fake.state.issues.get(number)?.pull
  if (!pull) throw new Error(`no change ${number}`)
  return pull
}
const failure = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => null,
    (reason: unknown) => reason,
  )

describe('a draft is a prefix of the title', () => {
  test('put before it, kept, and taken away', async () => {
    const { number } = await open({ draft: true })
    expect(await world.readChange(number)).toMatchObject({ title: 'WIP: Round totals', draft: true })
    expect(await forge.findChange('SHOP-1')).toMatchObject({ draft: true, mergeable: null })
    await open({ title: 'Round totals once' })
    expect(await world.readChange(number)).toMatchObject({ title: 'WIP: Round totals once', draft: true })
    const row = await open({ title: 'Round totals once', draft: false })
    expect(row.title).toBe('Round totals once')
    expect(await world.readChange(number)).toMatchObject({ title: 'Round totals once', draft: false })
    expect(await forge.findChange('SHOP-1')).toMatchObject({ draft: false, mergeable: true })
  })

  test('nothing is written where it is so already, whichever prefix a person chose', async () => {
    const { number } = await open({ draft: true })
    const edit = { title: '[wip] Round totals' }
    await gitea.as(PEOPLE.owner).repos.repoEditPullRequest('shop', 'web', number, edit)
    const writes = gitea.proxy.writes()
    await open({ draft: true })
    await open()
    expect(gitea.proxy.writes()).toBe(writes)
    expect(await world.readChange(number)).toMatchObject({ title: '[wip] Round totals', draft: true })
  })

  test('a title from an issue makes none, nor does a long one lose it', async () => {
    const { number } = await open({ title: 'WIP: [WIP]\nRound totals', draft: false })
    expect(await world.readChange(number)).toMatchObject({ title: 'Round totals', draft: false })
    await open({ title: 'x'.repeat(400), draft: true })
    const { title, draft } = await world.readChange(number)
    expect(draft).toBe(true)
    expect(title.length).toBeLessThanOrEqual(255)
    await open({ title: 'WIP:', draft: false })
    expect(await world.readChange(number)).toMatchObject({ title: 'SHOP-1' })
  })

  test('it is not merged', async () => {
    const { head } = await open({ draft: true })
    expect(await forge.merge({ ...ORDER, head })).toMatchObject({ ok: false, because: 'blocked' })
    expect(gitea.proxy.asked().filter(isMerge)).toEqual([])
  })
})

describe('a change that is there already', () => {
  test('opened between our look and our write: it is ours, by its branch', async () => {
    await world.push(BRANCH)
    let theirs = 0
    gitea.proxy.afterNext(
      ({ path }) => path.includes('/compare/'),
      async () => void (theirs = await world.openByPerson({ branch: BRANCH, base: 'main', fork: false })),
    )
    const change = await open()
    expect(change.number).toBe(theirs)
    expect(await world.readChange(theirs)).toMatchObject({ title: 'Round totals', body: 'Why.' })
  })

  test('of several of one branch it is the open one, though Gitea shows the oldest', async () => {
    const first = await open()
    await world.closeByPerson(first.number)
    const second = await world.openByPerson({ branch: BRANCH, base: 'main', fork: false })
    const forgetful = gitea.driver.forge(REF, makeMemory()) as RemoteForge
    for (const asked of [forge, forgetful]) {
      forge = asked
      expect(await open()).toMatchObject({ number: second, state: 'open' })
    }
    expect(await world.readChange(first.number)).toMatchObject({ state: 'closed' })
  })

  test("an open one of a fork's branch of the same name is not, though ours is closed", async () => {
    const ours = await open()
    await world.closeByPerson(ours.number)
    const theirs = await world.openByPerson({ branch: BRANCH, base: 'main', fork: true })
    const before = await world.readChange(theirs)
    memory = makeMemory()
    forge = gitea.driver.forge(REF, memory) as RemoteForge
    expect(await open()).toMatchObject({ number: ours.number, state: 'open' })
    expect(await world.readChange(theirs)).toEqual(before)
  })

  test('its branch was deleted: it is still known as ours', async () => {
    const { number } = await open()
    gitea.fake.state.branches.delete(BRANCH)
    expect(await forge.findChange('SHOP-1')).toMatchObject({ number, branch: `refs/pull/${number}/head` })
    expect(await forge.closeChange('SHOP-1')).toMatchObject({ number, state: 'closed' })
  })

  test('closed by us when a person merged it at that moment: it is merged', async () => {
    const { number } = await open()
    gitea.proxy.afterNext(
      ({ method, path }) => method === 'GET' && path.endsWith(`/pulls/${number}`),
      () => world.mergeByPerson(number),
    )
    expect(await forge.closeChange('SHOP-1')).toMatchObject({ state: 'merged', mergedSha: pullOf(number).mergedSha })
  })

  test('who was asked for a review and gave one is asked no more; the author never is', async () => {
    const reviewers = [PEOPLE.member, PEOPLE.self, 'MEL']
    const { number, head } = await open({ reviewers })
    expect(await world.readChange(number)).toMatchObject({ reviewers: [PEOPLE.member] })
    await world.review({ number, author: PEOPLE.member, sha: head, verdict: 'comment', body: 'Later.' })
    const writes = gitea.proxy.writes()
    await open({ reviewers })
    expect(gitea.proxy.writes()).toBe(writes)
  })
})

describe('where Orch itself moved the base', () => {
  test('it is marked as merged where the repository allows that by hand', async () => {
    gitea.fake.state.allow.manual = true
    const { number, head } = await open({ draft: true })
    await world.point('main', head)
    expect(await forge.markMerged('SHOP-1', head)).toMatchObject({ state: 'merged', mergedSha: head })
    expect(await world.readChange(number)).toMatchObject({ state: 'merged' })
    expect(await world.readComments(number)).toEqual([])
  })

  test('else it is said, and closed', async () => {
    const { number, head } = await open()
    await world.point('main', head)
    expect(await forge.markMerged('SHOP-1', head)).toMatchObject({ state: 'merged', mergedSha: head })
    expect(await world.readChange(number)).toMatchObject({ state: 'closed' })
    const [said] = await world.readComments(number)
    expect(said?.body).toContain(`Landed on main as ${head}.`)
  })
})

describe('merging', () => {
  test('pins the head, leaves the branch and waits for nothing', async () => {
    const { head } = await open()
    await forge.merge({ ...ORDER, method: 'squash', head })
    const [asked] = gitea.proxy.asked().filter(isMerge)
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      Do: 'squash',
      head_commit_id: head,
      delete_branch_after_merge: false,
      MergeTitleField: ORDER.title,
      MergeMessageField: ORDER.message,
    })
    expect(await world.readBranch(BRANCH)).toBe(head)
  })

  test('a rebase keeps the words of its commits', async () => {
    const { head } = await open()
    expect(await forge.merge({ ...ORDER, method: 'rebase', head })).toMatchObject({ ok: true })
    const [asked] = gitea.proxy.asked().filter(isMerge)
    expect(asked?.body).not.toContain('Field')
  })

  test('"try again later" is tried again, and is a conflict when it stays so for a minute', async () => {
    const { number, head } = await open()
    pullOf(number).checking = true
    expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
    gitea.clock.aheadMs = 59_000
    expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
    gitea.clock.aheadMs = 61_000
    expect(await forge.merge({ ...ORDER, head })).toMatchObject({ ok: false, because: 'not-mergeable' })
    pullOf(number).checking = false
    expect(await forge.merge({ ...ORDER, head })).toMatchObject({ ok: true })
  })

  test('a new base or head is compared anew, with a minute of its own', async () => {
    const { number, head } = await open()
    pullOf(number).checking = true
    await failure(forge.merge({ ...ORDER, head }))
    gitea.clock.aheadMs = 61_000
    await world.push('main')
    expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
  })

  test('somebody else merged it at that moment: Gitea says 404, and it is merged', async () => {
    const { number, head } = await open()
    gitea.proxy.afterNext(
      ({ method, path }) => method === 'GET' && path.endsWith(`/pulls/${number}`),
      () => world.mergeByPerson(number),
    )
    expect(await forge.merge({ ...ORDER, head })).toEqual({ ok: true, mergedSha: pullOf(number).mergedSha })
  })

  test('409 without a sentence is a conflict that git found; with one, asking again may do', async () => {
    const { head } = await open()
    const git = { Style: 'merge', StdOut: 'CONFLICT (content)', StdErr: '', Err: {} }
    gitea.proxy.answerNext(isMerge, { status: 409, body: git })
    expect(await forge.merge({ ...ORDER, head })).toMatchObject({ ok: false, because: 'not-mergeable' })
    gitea.proxy.answerNext(isMerge, { status: 409, body: { message: 'merge push out of date', url: '' } })
    expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
  })

  test('an account that may not merge is told so', async () => {
    const { head } = await open()
    const self = gitea.fake.state.users.find(({ login }) => login === PEOPLE.self)
    if (self) self.may = 'read'
    expect(await forge.merge({ ...ORDER, head })).toMatchObject({
      ok: false,
      because: 'blocked',
      text: expect.stringContaining('User not allowed to merge PR') as string,
    })
  })

  test('a yes to a change that stays open is no merge', async () => {
    const { head } = await open()
    gitea.proxy.answerNext(isMerge, { status: 200 })
    expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
  })
})

describe('reviews', () => {
  test('an agent never approves: that would be its own change, which is a 422', async () => {
    const { number, head: sha } = await open()
    const review = {
      project: 'SHOP',
      change: number,
      sha,
      by: 'claude',
      verdict: 'approve',
      text: 'Fine.',
      at: 1,
    } as const
    await forge.addReview(review)
    expect(gitea.fake.state.reviews).toMatchObject([{ state: 'COMMENT', user: PEOPLE.self, sha }])
    await world.closeByPerson(number)
    await forge.addReview({ ...review, by: 'codex' })
    await forge.addReview({ ...review, by: 'codex' })
    expect(await world.readComments(number)).toHaveLength(1)
  })

  test('what was asked for, not sent or dismissed says nothing', async () => {
    const { number, head: sha } = await open({ reviewers: [PEOPLE.member] })
    await world.review({ number, author: PEOPLE.owner, sha, verdict: 'request_changes', body: 'No.' })
    await gitea.as(PEOPLE.owner).repos.repoCreatePullReview('shop', 'web', number, { body: 'Not yet.' })
    expect(await forge.listReviews('SHOP-1')).toHaveLength(1)
    for (const review of gitea.fake.state.reviews) review.dismissed = true
    expect(await forge.listReviews('SHOP-1')).toEqual([])
  })
})

describe('threads', () => {
  const at = { file: 'src/sum.ts', line: 3, body: 'Why here?', diff: '@@ -1 +1 @@\n+a' }

  test('comments at one line are one, at another or of the old file another', async () => {
    const { number } = await open()
    const first = await world.addThread({ ...at, number, author: PEOPLE.member })
    await world.addThread({ ...at, number, author: PEOPLE.owner, body: 'Indeed.' })
    const comments = [{ path: at.file, old_position: 3, body: 'Why gone?' }]
    const review = { event: 'COMMENT', comments }
    await gitea.as(PEOPLE.member).repos.repoCreatePullReview('shop', 'web', number, review)
    const threads = await forge.listThreads('SHOP-1')
    expect(threads.map(({ id, line, comments: said }) => ({ id, line, said: said.map(({ body }) => body) }))).toEqual([
      { id: first, line: 3, said: ['Why here?', 'Indeed.'] },
      { id: expect.any(String) as string, line: 3, said: ['Why gone?'] },
    ])
    await forge.ensureReply('SHOP-1', { thread: threads[1]?.id ?? '', key: 'k', body: 'Moved.' })
    expect(gitea.fake.state.comments.at(-1)?.line).toMatchObject({ path: at.file, line: -3 })
    expect((await forge.listThreads('SHOP-1')).map(({ comments: said }) => said.length)).toEqual([2, 2])
  })

  test('the conversation is one too, once others have spoken', async () => {
    const { number } = await open()
    await forge.ensureComment('SHOP-1', { key: 'k', body: 'Here it is.', role: null })
    expect(await forge.listThreads('SHOP-1')).toEqual([])
    await world.addComment({ number, author: PEOPLE.member, body: 'Thanks.' })
    const [thread] = await forge.listThreads('SHOP-1')
    expect(thread).toMatchObject({ file: null, line: null, comments: [{ body: 'Here it is.' }, { body: 'Thanks.' }] })
    await forge.ensureReply('SHOP-1', { thread: thread?.id ?? '', key: 'r', body: 'Welcome.' })
    await forge.ensureReply('SHOP-1', { thread: thread?.id ?? '', key: 'r', body: 'Welcome.' })
    expect(await world.readComments(number)).toHaveLength(3)
  })

  test('one that is gone takes no answer', async () => {
    await open()
    const reply = { thread: '999', key: 'k', body: 'x' }
    expect(await failure(forge.ensureReply('SHOP-1', reply))).toMatchObject({ kind: 'not-found' })
  })

  test('a comment at a line takes a sign like any other', async () => {
    const { number } = await open()
    const comment = await world.addThread({ ...at, number, author: PEOPLE.member })
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment, sign: 'done' })).toBe(true)
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment: '999', sign: 'done' })).toBe(false)
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment: 'r1', sign: 'done' })).toBe(false)
  })

  test('a server that does not know a sign has none', async () => {
    const { number } = await open()
    const comment = await world.addComment({ number, author: PEOPLE.member, body: '/orch help' })
    const refused = { status: 403, body: { message: "'eyes' is not an allowed reaction", url: '' } }
    gitea.proxy.answerNext(({ path }) => path.endsWith('/reactions'), refused)
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment, sign: 'seen' })).toBe(false)
  })
})

describe('CI is commit statuses', () => {
  const say = (sha: string, context: string, state: string, target = '') =>
    gitea.as(PEOPLE.owner).repos.repoCreateStatus('shop', 'web', sha, {
      context,
      state,
      description: `${context} says ${state}`,
      target_url: target,
    })

  test('each word that Gitea has for how it went', async () => {
    const { head } = await open()
    const words = ['success', 'pending', 'failure', 'error', 'warning', 'skipped', 'of-tomorrow']
    for (const word of words) await say(head, word, word)
    const { state, checks } = await forge.checksOf(head)
    expect(state).toBe('failed')
    expect(Object.fromEntries(checks.map((check) => [check.name, check.state]))).toEqual({
      success: 'passed',
      pending: 'pending',
      failure: 'failed',
      error: 'failed',
      warning: 'failed',
      skipped: 'skipped',
      'of-tomorrow': 'pending',
    })
    expect(checks.find(({ name }) => name === 'error')).toMatchObject({ text: 'error says error', url: null })
    expect(gitea.proxy.asked().some(({ path }) => path.includes('/actions/'))).toBe(false)
  })

  test('more than a page of them', async () => {
    const { head } = await open()
    for (let n = 0; n < 61; n += 1) await say(head, `job ${n}`, n === 60 ? 'failure' : 'success')
    const { state, checks } = await forge.checksOf(head)
    expect(state).toBe('failed')
    expect(checks).toHaveLength(61)
  })

  test('what is no commit has none, and asks nobody', async () => {
    expect(await forge.checksOf('../../user')).toEqual({ state: 'none', checks: [] })
    expect(gitea.proxy.asked()).toEqual([])
  })

  test('a job of Actions: its page with the server before it, the end of its log up to the failure', async () => {
    const { head: sha } = await open()
    const log = [
      '2026-11-02T09:30:00.1234567Z \u001B[36mnpm test\u001B[0m',
      '2026-11-02T09:30:01.1234567Z AssertionError: 3 != 4',
      '2026-11-02T09:30:01.2234567Z ::error::exitcode 1',
      '2026-11-02T09:30:02.1234567Z Cleaning up container',
    ]
    await world.report({ sha, name: 'test', state: 'failed', log: log.join('\n') })
    await world.report({ sha, name: 'lint', state: 'passed', log: 'fine' })
    const { checks } = await forge.checksOf(sha)
    expect(checks.find(({ name }) => name === 'test')).toMatchObject({
      url: `${gitea.proxy.url}/${REF}/actions/runs/7/jobs/0`,
      text: 'npm test\nAssertionError: 3 != 4\n::error::exitcode 1',
    })
    expect(gitea.proxy.asked().filter(({ path }) => path.endsWith('/logs'))).toHaveLength(1)
  })

  test('an older server has no API for logs: what the status says', async () => {
    gitea.fake.state.hasActionsApi = false
    const { head: sha } = await open()
    await world.report({ sha, name: 'test', state: 'failed', log: 'AssertionError' })
    expect((await forge.checksOf(sha)).checks).toMatchObject([{ state: 'failed', text: 'After 3s' }])
  })

  test.each([
    ['cut', 'cut'],
    ['gone', { status: 404, body: { message: 'expired' } }],
    ['not for us', { status: 403, body: { message: 'no scope' } }],
  ] as const)('a log that is %s changes no verdict', async (_name, answer) => {
    const { head: sha } = await open()
    await world.report({ sha, name: 'test', state: 'failed', log: 'AssertionError' })
    gitea.proxy.answerNext(({ path }) => path.endsWith('/logs'), answer)
    expect(await forge.checksOf(sha)).toMatchObject({ state: 'failed', checks: [{ text: 'After 3s' }] })
  })
})

test('a merge that closes its issue by its text leaves nothing for us to close', async () => {
  const { repos } = gitea.as(PEOPLE.owner)
  const { data } = await repos.issueCreateIssue('shop', 'web', { title: 'Totals' })
  const { head } = await open({ body: `Closes #${data.number}` })
  await forge.merge({ ...ORDER, head })
  const tracker = gitea.driver.tracker(REF)
  const writes = gitea.proxy.writes()
  await tracker?.ensureView(String(data.number), { column: null, labelsOn: [], labelsOff: [], close: 'completed' })
  expect(gitea.proxy.writes()).toBe(writes)
  expect(await tracker?.findIssue(String(data.number))).toMatchObject({ state: 'completed' })
})

test('a webhook keeps the header that a person gave it, and loses a filter of branches', async () => {
  const url = 'https://orch.example/webhooks/gitea'
  const onboarding = gitea.driver.onboarding(REF)
  await onboarding.ensureWebhook({ url, secret: 's' })
  const [hook] = gitea.fake.state.hooks
  if (hook) Object.assign(hook, { authorization: 'Bearer of-a-proxy', branchFilter: 'main' })
  expect(await onboarding.ensureWebhook({ url, secret: 's2' })).toBe('changed')
  expect(hook).toMatchObject({ authorization: 'Bearer of-a-proxy', branchFilter: '*', secret: 's2', active: true })
  // A secret that was changed elsewhere can't be seen, so it is always set.
  if (hook) hook.secret = 'other'
  expect(await onboarding.ensureWebhook({ url, secret: 's2' })).toBe('existed')
  expect(hook).toMatchObject({ secret: 's2' })
})

test('a conflict is one after a minute whoever asks: each landing opens the forge anew', async () => {
  const { number, head } = await open()
  await world.makeConflict(number)
  expect(await failure(forge.merge({ ...ORDER, head }))).toMatchObject({ kind: 'conflict' })
  gitea.clock.aheadMs = 61_000
  const again = gitea.driver.forge(REF, memory) as RemoteForge
  expect(await again.merge({ ...ORDER, head })).toMatchObject({ ok: false, because: 'not-mergeable' })
})

test('a refused merge that quotes our token tells none', async () => {
  const { head } = await open()
  gitea.proxy.answerNext(isMerge, { status: 405, body: { message: `${'x'.repeat(280)} ${TOKEN}` } })
  const answer = await forge.merge({ ...ORDER, head })
  expect(answer).toMatchObject({ ok: false, because: 'blocked' })
  expect(JSON.stringify(answer)).not.toContain(TOKEN.slice(0, 12))
})
