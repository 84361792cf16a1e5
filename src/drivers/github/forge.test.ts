// Changes and CI in a world that moves.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ExternalError } from '../../lib/errors.ts'
import type { RemoteForge } from '../driver.ts'
import { failureIn } from './checks.ts'
import { addComment, commit, type FakeState, newCommit, push } from './fake-github-state.ts'
import { TOKEN } from './fake-github.ts'
import { openForge, openGithub, type Opened } from './fake-github-world.ts'

const REQUEST = { project: 'SHOP', task: 'SHOP-1', branch: 'orch/shop-1', base: 'main', title: 'a', body: 'b' }
const MERGE = { task: 'SHOP-1', method: 'squash', title: 't', message: 'm' } as const
let opened: Opened
let state: FakeState
let forge: RemoteForge
let head: string
let number: number
beforeEach(async () => {
  opened = await openGithub()
  ;({ state } = opened.fake)
  ;({ forge } = openForge(opened))
  head = commit(state, REQUEST.branch)
  ;({ number } = await forge.ensureChange({ ...REQUEST, head }))
})
afterEach(() => opened.close())

async function failure(work: Promise<unknown>): Promise<ExternalError> {
  const error = await work.catch((thrown: unknown) => thrown)
  if (!(error instanceof ExternalError)) throw new Error(`not an ExternalError: ${String(error)}`)
  return error
}

const words = (text: string): string => expect.stringContaining(text) as string

describe('opening and ending', () => {
  test('after a squash the change says where it landed, and is closed once', async () => {
    const squashed = newCommit(state, [state.branches.get('main') ?? ''])
    push(state, 'main', squashed)
    opened.proxy.loseNextWrite()
    await failure(forge.markMerged('SHOP-1', squashed))
    expect(await forge.markMerged('SHOP-1', squashed)).toMatchObject({ state: 'merged', mergedSha: squashed })
    expect(state.issues.get(number)?.state).toBe('closed')
    expect(state.issues.get(number)?.comments.map(({ body }) => body)).toEqual([words(squashed)])
  })

  test('one whose branch was deleted while it was closed is opened as another', async () => {
    await forge.closeChange('SHOP-1')
    opened.proxy.answerNext(({ method }) => method === 'PATCH', {
      status: 422,
      body: { message: 'state cannot be changed' },
    })
    const again = await forge.ensureChange({ ...REQUEST, head })
    expect(again.number).not.toBe(number)
    expect(await forge.findChange('SHOP-1')).toMatchObject({ number: again.number, state: 'open' })
  })

  test('one that a person pointed at another base is left to them, and another is opened', async () => {
    commit(state, 'release')
    const pull = state.issues.get(number)?.pull
    if (pull) pull.base = 'release'
    const again = await forge.ensureChange({ ...REQUEST, head })
    expect(again).toMatchObject({ base: 'main', state: 'open' })
    expect(again.number).not.toBe(number)
    expect(state.issues.get(number)).toMatchObject({ state: 'open' })
  })

  test('where there are no drafts it is opened all the same', async () => {
    state.hasDrafts = false
    commit(state, 'orch/shop-2')
    const request = { ...REQUEST, task: 'SHOP-2', branch: 'orch/shop-2', head, draft: true }
    await forge.ensureChange(request)
    expect(await forge.findChange('SHOP-2')).toMatchObject({ draft: false, state: 'open' })
  })

  test('a reviewer that is none is a refusal, and the change is not forgotten', async () => {
    const error = await failure(forge.ensureChange({ ...REQUEST, head, reviewers: ['nobody'] }))
    expect(error).toMatchObject({ kind: 'rejected', message: words('collaborators') })
    expect(await forge.taskOf(number)).toBe('SHOP-1')
  })

  test('who has reviewed is asked no more', async () => {
    state.issues
      .get(number)
      ?.pull?.reviews.push({ ...addComment(state, 'mia', 'ok'), state: 'COMMENTED', commit_id: head })
    await forge.ensureChange({ ...REQUEST, head, reviewers: ['mia'] })
    expect(state.issues.get(number)?.pull?.reviewers).toEqual([])
  })
})

describe('merging', () => {
  test('a queue that only the older protection asks for, after a refused merge', async () => {
    state.queue = 'protection'
    expect(await forge.merge({ ...MERGE, head })).toEqual({ ok: true, queued: true })
  })

  test('a queue that refuses is told with its words', async () => {
    state.queue = 'rules'
    const answer = {
      status: 200,
      body: { data: null, errors: [{ type: 'UNPROCESSABLE', message: 'Required checks are red' }] },
    }
    opened.proxy.answerNext(({ body }) => body.includes('enqueuePullRequest'), answer)
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({
      ok: false,
      because: 'blocked',
      text: words('checks are red'),
    })
  })

  test('a refusal for which nothing lasting can be seen is tried again later', async () => {
    opened.proxy.answerNext(({ method }) => method === 'PUT', {
      status: 405,
      body: { message: 'Base branch was modified' },
    })
    expect(await failure(forge.merge({ ...MERGE, head }))).toMatchObject({
      kind: 'unreachable',
      message: words('Base branch'),
    })
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ ok: true })
  })

  test('a refusal that quotes our credential tells none', async () => {
    state.methods = new Set(['rebase'])
    const quoting = { status: 405, body: { message: `Refused for ${TOKEN}` } }
    opened.proxy.answerNext(({ method }) => method === 'PUT', quoting)
    const answer = await forge.merge({ ...MERGE, head })
    expect(answer).toMatchObject({ ok: false, because: 'not-allowed', text: words('Refused for ***') })
    state.queue = 'rules'
    const errors = [{ type: 'UNPROCESSABLE', message: `Not for ${TOKEN}` }]
    opened.proxy.answerNext(({ body }) => body.includes('enqueue'), { status: 200, body: { data: null, errors } })
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ because: 'blocked', text: words('Not for ***') })
  })

  test('a change that was never opened is no crash', async () => {
    expect(await failure(forge.merge({ ...MERGE, task: 'SHOP-9', head }))).toMatchObject({ kind: 'not-found' })
  })
})

describe('what is said', () => {
  test('a review of a head that is gone is kept as a comment, once', async () => {
    const review = {
      project: 'SHOP',
      change: number,
      sha: 'e'.repeat(40),
      by: 'codex',
      verdict: 'approve' as const,
      text: 'ok',
      at: 1,
    }
    await forge.addReview(review)
    await forge.addReview(review)
    expect(state.issues.get(number)?.pull?.reviews).toEqual([])
    expect(state.issues.get(number)?.comments.map(({ body }) => body)).toEqual([words('e'.repeat(40))])
  })

  test('the conversation is a thread that can be answered', async () => {
    state.issues.get(number)?.comments.push(addComment(state, 'mia', 'Please rename it.'))
    const [thread] = await forge.listThreads('SHOP-1')
    expect(thread).toMatchObject({ file: null, line: null, comments: [{ body: 'Please rename it.' }] })
    await forge.ensureReply('SHOP-1', { thread: thread?.id ?? '', key: 'a', body: 'Renamed.' })
    await forge.ensureReply('SHOP-1', { thread: thread?.id ?? '', key: 'a', body: 'Renamed.' })
    expect(state.issues.get(number)?.comments).toHaveLength(2)
  })

  test('a sign at a comment at a line', async () => {
    const line = { ...addComment(state, 'mia', 'x'), path: 'a.ts', line: 1, diff_hunk: '' }
    state.issues.get(number)?.pull?.lines.push(line)
    const [thread] = await forge.listThreads('SHOP-1')
    const comment = thread?.comments[0]?.id ?? ''
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment, sign: 'done' })).toBe(true)
    expect(state.reactions.get(String(line.id))).toEqual(new Set(['orch-bot +1']))
    expect(await forge.ensureReaction({ task: 'SHOP-1', comment: '../x', sign: 'done' })).toBe(false)
  })
})

describe('what CI says', () => {
  const sha = 'd'.repeat(40)
  const checks = () => forge.checksOf(sha)
  const run = (name: string, conclusion: string | null, rest: object = {}) =>
    state.checkRuns.push({
      id: state.id(),
      sha,
      name,
      status: conclusion ? 'completed' : 'queued',
      conclusion,
      app: 'other-ci',
      suite: 1,
      text: '',
      ...rest,
    })

  test.each([
    ['success', 'passed', 'passed'],
    ['neutral', 'skipped', 'passed'],
    ['skipped', 'skipped', 'passed'],
    ['failure', 'failed', 'failed'],
    ['timed_out', 'failed', 'failed'],
    ['cancelled', 'failed', 'failed'],
    ['action_required', 'pending', 'pending'],
    [null, 'pending', 'pending'],
  ])('a check run that ended as %s', async (conclusion, one, all) => {
    run('ci', conclusion)
    expect(await checks()).toMatchObject({ state: all, checks: [{ state: one }] })
  })

  test('statuses beside check runs', async () => {
    run('ci', 'success')
    state.statuses.push({ sha, context: 'deploy/preview', state: 'error', description: 'no space' })
    expect(await checks()).toMatchObject({
      state: 'failed',
      checks: [{ name: 'ci' }, { name: 'deploy/preview', text: 'no space' }],
    })
  })

  test('a workflow that has no jobs yet is pending, one that could not start has failed', async () => {
    const flow = { sha, name: 'CI', suite: 9 }
    state.workflowRuns.push({ ...flow, id: state.id(), status: 'queued', conclusion: null })
    expect(await checks()).toMatchObject({ state: 'pending', checks: [{ name: 'CI' }] })
    state.workflowRuns = [{ ...flow, id: state.id(), status: 'completed', conclusion: 'startup_failure' }]
    expect((await checks()).state).toBe('failed')
    // One whose jobs are listed is not listed again.
    run('build', 'success', { suite: 9 })
    expect(await checks()).toMatchObject({ state: 'passed', checks: [{ name: 'build' }] })
  })

  test('of another system, what it says of itself; a log that is gone is no trouble', async () => {
    run('lint', 'failure', { text: 'line 3 is too long' })
    run('test', 'failure', { app: 'github-actions', text: 'exit 1' })
    expect((await checks()).checks.map(({ text }) => text)).toEqual(['line 3 is too long', 'exit 1'])
  })

  test('more check runs than a page', async () => {
    for (let n = 0; n < 130; n += 1) run(`shard ${n}`, 'success')
    expect((await checks()).checks).toHaveLength(130)
  })

  test('of a log, up to the last error that was marked, without times and colours', () => {
    const at = '2026-01-01T00:00:00.1234567Z '
    const log = `\uFEFF${at}start\n${at}\u001B[31mboom\u001B[0m\r\n${at}##[error]Process completed with exit code 1.\n${at}Cleaning up`
    expect(failureIn(log)).toBe('start\nboom\n##[error]Process completed with exit code 1.')
  })
})
