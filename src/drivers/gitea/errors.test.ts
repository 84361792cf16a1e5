// What becomes of answers that are none, and of tokens that may not.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ExternalError } from '../../lib/errors.ts'
import { badAnswersContract } from '../bad-answers.contract.ts'
import type { RemoteForge, Tracker } from '../driver.ts'
import { makeGiteaDriver } from './driver.ts'
import {
  forgeWorld,
  trackerWorld,
  type GiteaWorld,
  makeMemory,
  openWorld,
  PEOPLE,
  REF,
  TOKEN,
} from './fake-gitea-world.ts'
import type { CannedAnswer } from '../test-proxy.ts'

let gitea: GiteaWorld
let tracker: Tracker
beforeEach(async () => {
  gitea = await openWorld({ timeoutMs: 500 })
  tracker = gitea.driver.tracker(REF) as Tracker
})
afterEach(() => gitea.close())

const anything = (): boolean => true
const failure = async (asked: Promise<unknown>): Promise<ExternalError> => {
  const error: unknown = await asked.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ExternalError)) throw new Error(`no ExternalError: ${String(error)}`)
  return error
}
const HTML = '<html><body>maintenance</body></html>'

describe('answers', () => {
  const message = { message: 'said so', url: 'https://gitea.example/api/swagger' }
  test.each<[string, CannedAnswer | 'cut' | 'hang', string, number?]>([
    ['401', { status: 401, body: message }, 'auth'],
    ['403', { status: 403, body: message }, 'auth'],
    ['409', { status: 409, body: message }, 'conflict'],
    ['422', { status: 422, body: message }, 'rejected'],
    ['423, archived', { status: 423, body: message }, 'rejected'],
    ['429', { status: 429, body: message }, 'rate-limited'],
    ['429 with a time', { status: 429, body: message, headers: { 'retry-after': '7' } }, 'rate-limited', 7_000],
    ['429 of a proxy', { status: 429, body: HTML, headers: { 'retry-after': '7' } }, 'rate-limited', 7_000],
    ['500', { status: 500, body: message }, 'unreachable'],
    ['502 with a page', { status: 502, body: HTML }, 'unreachable'],
    ['200 with a page', { status: 200, body: HTML }, 'unreachable'],
    ['404 with a page', { status: 404, body: HTML }, 'unreachable'],
    ['no answer', 'cut', 'unreachable'],
    ['a slow one', 'hang', 'timed-out'],
    ['half of one', { status: 200, body: '{"number": 1, "tit' }, 'unreachable'],
    ['another thing', { status: 200, body: { number: 1 } }, 'rejected'],
    ['nothing', { status: 200 }, 'rejected'],
  ])('%s', async (_name, answer, kind, retryAfterMs) => {
    gitea.proxy.answerNext(anything, answer)
    const error = await failure(tracker.findIssue('1'))
    expect(error).toMatchObject({ system: 'gitea', kind, retryAfterMs })
    expect(error.message).toContain(`could not read issue ${REF}#1`)
    expect(error.message).not.toContain(TOKEN)
  })

  test('404 is gone where it is asked for, and an error where it is written to', async () => {
    expect(await tracker.findIssue('1')).toBeNull()
    expect(await gitea.driver.findProject('shop/other')).toBeNull()
    const comment = { key: 'k', body: 'x', role: null }
    expect(await failure(tracker.ensureComment('1', comment))).toMatchObject({ kind: 'not-found' })
    const view = { column: null, labelsOn: ['a'], labelsOff: [], close: null }
    expect(await failure(tracker.ensureView('1', view))).toMatchObject({ kind: 'not-found' })
  })

  test('what is missing is named, and no value is', async () => {
    const wire = { number: 'secret-value', title: 'a', state: 'open', html_url: 'x', created_at: 'soon' }
    gitea.proxy.answerNext(anything, { status: 200, body: wire })
    const { message: text } = await failure(tracker.findIssue('1'))
    expect(text).toMatch(/number: /)
    expect(text).not.toContain('secret-value')
  })

  test('a list of which a page is missing is no list', async () => {
    const world = trackerWorld(gitea)
    for (let n = 0; n < world.moreThanAPage; n += 1) await world.addIssue({ title: 'a', body: '' })
    for (const answer of ['cut', { status: 502, body: HTML }, { status: 200, body: { data: [] } }] as const) {
      gitea.proxy.answerNext(({ path }) => path.includes('page=2'), answer)
      await failure(tracker.listIssues({ since: null }))
    }
    expect((await tracker.listIssues({ since: null })).issues).toHaveLength(world.moreThanAPage)
  })
})

describe('tokens', () => {
  test('one that is not valid is named by where it came from', async () => {
    gitea.fake.state.users = gitea.fake.state.users.filter(({ login }) => login !== PEOPLE.self)
    const error = await failure(gitea.driver.identity())
    expect(error.kind).toBe('auth')
    expect(error.message).toMatch(/answered 401: the token of GITEA_TOKEN is not valid/)
  })

  test('a scope that it lacks is named in the words of Gitea, also where they quote the token', async () => {
    const words = `token ${TOKEN} does not have at least one of required scope(s): [write:issue]`
    gitea.proxy.answerNext(anything, { status: 403, body: { message: words } })
    const error = await failure(tracker.findIssue('1'))
    expect(error.message).toContain('[write:issue]')
    expect(error.message).not.toContain(TOKEN)
  })

  test('who may do what is told to administrators alone: no guess where it is not', async () => {
    gitea.fake.state.hasPermissionToAsk = false
    expect(await failure(tracker.trustOf(PEOPLE.stranger))).toMatchObject({ kind: 'auth' })
  })

  test('who it belongs to is asked once; a failure is asked again', async () => {
    gitea.proxy.answerNext(anything, 'cut')
    await failure(gitea.driver.identity())
    const who = { login: PEOPLE.self, source: 'GITEA_TOKEN', missing: null, optional: [] }
    expect(await gitea.driver.identity()).toEqual(who)
    expect(await gitea.driver.identity()).toEqual(who)
    expect(gitea.proxy.asked()).toHaveLength(2)
    expect(gitea.driver.counts()).toEqual({ requests: 2, unchanged: 0 })
    expect(gitea.driver.quota()).toBeNull()
  })
})

describe('a repository that moved', () => {
  test('is followed for reads and writes, and shows what it is called now', async () => {
    const world = trackerWorld(gitea)
    const id = await world.addIssue({ title: 'a', body: '' })
    gitea.fake.state.oldRef = REF
    gitea.fake.state.ref = 'shop/store'
    expect(await tracker.findIssue(id)).toMatchObject({ id, title: 'a' })
    expect(await tracker.ensureComment(id, { key: 'k', body: 'x', role: null })).toMatchObject({
      url: expect.stringContaining('/shop/store/issues/') as string,
    })
    expect(await gitea.driver.findProject(REF)).toMatchObject({ ref: 'shop/store', defaultBranch: 'main' })
  })

  test('its changes are still their tasks’, by the old name and by the new', async () => {
    const world = forgeWorld(gitea)
    const memory = makeMemory()
    const head = await world.push('orch/p-1')
    const words = { title: 'a', body: 'b' }
    const request = { project: 'P', task: 'P-1', branch: 'orch/p-1', base: 'main', head, ...words }
    const forge = gitea.driver.forge(REF, memory)
    const { number = 0 } = (await forge?.ensureChange(request)) ?? {}
    gitea.fake.state.oldRef = REF
    gitea.fake.state.ref = 'shop/store'
    for (const ref of [REF, 'shop/store']) {
      const asked = gitea.driver.forge(ref, memory)
      expect(await asked?.taskOf(number)).toBe('P-1')
      expect(await asked?.findChange('P-1')).toMatchObject({ number, state: 'open' })
    }
    const order = { task: 'P-1', head, method: 'merge', title: 't', message: 'm' } as const
    expect(await forge?.merge(order)).toMatchObject({ ok: true })
  })

  test('a write that a proxy sends elsewhere as a read is an error', async () => {
    const world = trackerWorld(gitea)
    const id = await world.addIssue({ title: 'a', body: '' })
    const location = `${gitea.proxy.url}/api/v1/repos/shop/store/issues/${id}/comments`
    gitea.proxy.answerNext(({ method }) => method === 'POST', { status: 301, headers: { location } })
    await failure(tracker.ensureComment(id, { key: 'k', body: 'x', role: null }))
    expect(await world.readComments(id)).toEqual([])
  })
})

test('a server below a path, and one with a slash at the end of its address', async () => {
  const now = (): number => 0
  const driver = makeGiteaDriver({ url: `${gitea.proxy.url}/git/`, token: TOKEN, source: 'file', now })
  gitea.proxy.answerNext(({ path }) => path === '/git/api/v1/user', { status: 200, body: { id: 1, login: 'bot' } })
  expect(await driver.identity()).toMatchObject({ login: 'bot', source: 'file' })
  const forge = driver.forge(REF, makeMemory())
  expect(await forge?.findChange('SHOP-1')).toBeNull()
})

badAnswersContract('gitea', async () => {
  const world = await openWorld({ timeoutMs: 1_000, mergeCheckMs: 0 })
  const head = await forgeWorld(world).push('orch/shop-1')
  const forge = world.driver.forge(REF, makeMemory()) as RemoteForge
  const request = { project: 'SHOP', task: 'SHOP-1', branch: 'orch/shop-1', base: 'main', head, title: 'a', body: 'b' }
  const { number } = await forge.ensureChange(request)
  const issue = await trackerWorld(world).addIssue({ title: 'a', body: '' })
  const change = { forge, branch: request.branch, head, number }
  return { ...world, ref: REF, tracker: world.driver.tracker(REF) as Tracker, forge: change, token: TOKEN, issue }
})
