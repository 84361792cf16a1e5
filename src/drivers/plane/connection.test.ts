// Who speaks to Plane, who is spoken of, and what its refusals mean.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { badAnswersContract } from '../bad-answers.contract.ts'
import type { Tracker } from '../driver.ts'
import type { CannedAnswer } from '../test-proxy.ts'
import { makePlaneDriver } from './driver.ts'
import { addComment, addIssue, BOT_TOKEN, TOKEN, typed } from './fake-plane-state.ts'
import { openPlane, type Opened, trackerOf, userOf } from './fake-plane-world.ts'

const NOW = 1_700_000_000_000

let opened: Opened
let tracker: Tracker
let issue: string

beforeEach(async () => {
  opened = await openPlane({ now: () => NOW, timeoutMs: 2_000 })
  tracker = trackerOf(opened)
  const { world } = opened
  issue = addIssue(world, { name: 'a', description_html: typed('b'), created_by: userOf(world, 'olga') }).id
})
afterEach(() => opened.close())

async function failure(answer: CannedAnswer | 'cut' | 'hang'): Promise<unknown> {
  opened.proxy.answerNext(({ path }) => path.endsWith(`/work-items/${issue}/`), answer)
  return tracker.findIssue(issue).catch((caught: unknown) => caught)
}

describe('a refusal', () => {
  const reset = { 'x-ratelimit-reset': String(NOW / 1_000 + 25) }
  test.each<[string, CannedAnswer | 'cut' | 'hang', object]>([
    ['401', { status: 401, body: { detail: 'Given API token is not valid' } }, { kind: 'auth' }],
    ['403', { status: 403, body: { detail: 'You do not have permission' } }, { kind: 'auth' }],
    ['409', { status: 409, body: { error: 'exists', id: 'x' } }, { kind: 'conflict' }],
    ['400', { status: 400, body: { state: ['Invalid pk'] } }, { kind: 'rejected' }],
    [
      '429 with a wait',
      { status: 429, body: {}, headers: { 'retry-after': '9' } },
      { kind: 'rate-limited', retryAfterMs: 9_000 },
    ],
    ['429 with a reset', { status: 429, body: {}, headers: reset }, { kind: 'rate-limited', retryAfterMs: 25_000 }],
    ['429 without words', { status: 429, body: '<html>' }, { kind: 'rate-limited', retryAfterMs: 60_000 }],
    ['502', { status: 502, body: '<html>Bad gateway</html>' }, { kind: 'unreachable' }],
    ['a page with 200', { status: 200, body: '<html>login</html>' }, { kind: 'unreachable' }],
    ['half of the JSON', { status: 200, body: '{"id": "' }, { kind: 'unreachable' }],
    ['a cut connection', 'cut', { kind: 'unreachable' }],
    ['no answer', 'hang', { kind: 'timed-out' }],
    ['another shape', { status: 200, body: { id: 'x' } }, { kind: 'rejected' }],
  ])('%s is told by kind, and tells no token', async (_name, answer, expected) => {
    const error = await failure(answer)
    expect(error).toMatchObject({ system: 'plane', ...expected })
    expect(String(error)).toContain(`could not read issue ${issue} of ${opened.ref}`)
    expect(String(error)).not.toContain(TOKEN)
    expect(await tracker.findIssue(issue)).toMatchObject({ id: issue })
  })

  test('404 is no issue', async () => {
    expect(await failure({ status: 404, body: { error: 'The requested resource does not exist.' } })).toBeNull()
  })

  test('what is missing in an answer is named', async () => {
    expect(String(await failure({ status: 200, body: { id: issue, name: 'a' } }))).toMatch(/sequence_id/)
  })

  test('a next page that is no cursor reaches no address', async () => {
    const page = { results: [], next_cursor: '100:1:0; x', next_page_results: true, total_count: 500 }
    opened.proxy.answerNext(({ path }) => path.includes('/work-items/?'), { status: 200, body: page })
    await expect(tracker.listIssues({ since: null })).rejects.toMatchObject({ kind: 'rejected' })
  })

  test('what is no id or no project reaches no address', async () => {
    expect(await tracker.findIssue('../../users/me')).toBeNull()
    await expect(tracker.listComments({ issue: '12', since: null })).rejects.toMatchObject({ kind: 'not-found' })
    for (const ref of [
      'acme',
      'acme/shop',
      '?x/5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a01',
      '../x/5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a01',
      `${opened.ref}/x`,
    ])
      expect(() => opened.driver.tracker(ref)).toThrow(/workspace\/project-uuid/)
    expect(opened.proxy.asked()).toEqual([])
  })
})

describe('the driver', () => {
  test('knows who it is, what is left, and where its project is', async () => {
    expect(opened.driver.quota()).toBeNull()
    expect(await opened.driver.identity()).toEqual({
      login: 'orch-bot',
      source: 'PLANE_TOKEN',
      missing: null,
      optional: [],
    })
    await opened.driver.identity()
    expect(opened.driver.counts()).toEqual({ requests: 1, unchanged: 0 })
    expect(opened.driver.quota()?.resetAt).toBeGreaterThan(Date.now())
    const url = `${opened.proxy.url}/acme/projects/${opened.world.project}/issues`
    expect(await opened.driver.findProject(opened.ref)).toMatchObject({ ref: opened.ref, name: 'Shop', url })
    expect(await opened.driver.findProject(`acme/${opened.world.other}`)).toBeNull()
    expect(opened.driver.forge(opened.ref, {} as never)).toBeNull()
  })

  test('links lead to where people open Plane', async () => {
    const options = { token: TOKEN, now: Date.now }
    const own = makePlaneDriver({ ...options, url: opened.proxy.url, webUrl: 'https://plane.example/' })
    expect((await own.tracker(opened.ref)?.findIssue(issue))?.url).toMatch(
      /^https:\/\/plane\.example\/acme\/projects\//,
    )
    const cloud = makePlaneDriver({ ...options, url: 'https://api.plane.so' }).onboarding(opened.ref)
    await expect(cloud.ensureWebhook({ url: 'https://orch.example', secret: 's' })).rejects.toThrow(
      'https://app.plane.so/acme/settings/webhooks',
    )
  })
})

const say = (role: string | null, body = 'Done.', key = 'k'): Promise<{ url: string }> =>
  tracker.ensureComment(issue, { key, body, role })
const actors = (): string[] =>
  opened.world.comments.map(({ actor }) => opened.world.users.find(({ id }) => id === actor)?.display_name ?? '')

describe('a comment of ours', () => {
  test("is said by the role's own bot, or by the shared account where the role has none", async () => {
    await say('developer')
    await say('reviewer', 'Fine.', 'k2')
    await say(null, 'Hello.', 'k3')
    expect(actors()).toEqual(['dev-bot', 'orch-bot', 'orch-bot'])
    const comments = await tracker.listComments({ issue, since: null })
    expect(comments.map(({ author }) => author)).toEqual([
      { login: 'dev-bot', isBot: true },
      { login: 'orch-bot', isBot: false },
      { login: 'orch-bot', isBot: false },
    ])
  })

  test('is edited by who wrote it, though another role says it now', async () => {
    await say('developer')
    await say('reviewer', 'Better.')
    expect(actors()).toEqual(['dev-bot'])
    const updated_by = userOf(opened.world, 'dev-bot')
    expect(opened.world.comments).toMatchObject([{ comment_html: '<p>Better.</p>', updated_by }])
  })

  test('by a bot is not of the shared budget', async () => {
    opened.world.limit = 50
    await tracker.findIssue(issue)
    await say('developer')
    // The bot asked who it is and wrote.
    const shared = opened.proxy.asked().length - 2
    expect(opened.driver.quota()).toMatchObject({ remaining: 50 - shared })
  })

  test('is known again after its page was saved with markup of its own', async () => {
    await say(null, '**T-1** is `done`.')
    Object.assign(opened.world.comments[0] ?? {}, {
      comment_html: '<p class="editor"><strong data-x="1">T-1</strong> is <code class="y">done</code>.</p>',
    })
    const writes = opened.proxy.writes()
    await say(null, '**T-1** is `done`.')
    expect(opened.proxy.writes()).toBe(writes)
  })
})

describe('the ids of a comment', () => {
  test('of the same key is another at another issue', async () => {
    await say(null)
    const other = addIssue(opened.world, { name: 'b', description_html: '', created_by: userOf(opened.world, 'mia') })
    await tracker.ensureComment(other.id, { key: 'k', body: 'Done.', role: null })
    expect(opened.world.comments.map((comment) => comment.issue)).toEqual([issue, other.id])
  })

  test('that was written since it was looked for is edited', async () => {
    opened.proxy.afterNext(
      ({ method, path }) => method === 'GET' && path.includes('/comments/'),
      async () =>
        void addComment(opened.world, {
          issue,
          comment_html: '<p>Old.</p>',
          actor: userOf(opened.world, 'orch-bot'),
          external_source: 'orch',
          external_id: `${issue}:k`,
        }),
    )
    await say(null, 'New.')
    expect(opened.world.comments.map(({ comment_html: html }) => html)).toEqual(['<p>New.</p>'])
  })

  test('whose ids somebody else took is a conflict that names theirs, and theirs stays', async () => {
    const actor = userOf(opened.world, 'stan')
    const ids = { external_source: 'orch', external_id: `${issue}:k` }
    const theirs = addComment(opened.world, { issue, comment_html: '<p>Mine.</p>', actor, ...ids })
    await expect(say(null)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining(theirs.id) as string,
    })
    expect(opened.world.comments).toMatchObject([{ comment_html: '<p>Mine.</p>' }])
  })

  test('by a bot without rights names the bot and no token', async () => {
    const bot = opened.world.users.find(({ token }) => token === BOT_TOKEN)
    if (bot) bot.role = null
    const error: unknown = await say('developer').catch((caught: unknown) => caught)
    expect(error).toMatchObject({ kind: 'auth', message: expect.stringContaining('the bot of developer') as string })
    expect(String(error)).not.toContain(BOT_TOKEN)
  })
})

describe('people', () => {
  test.each(['without-roles', 'old-path'] as const)(
    '%s: the role in the workspace counts, if it may be asked',
    async (how) => {
      opened.world.members = how
      expect(await tracker.trustOf('olga')).toBe('none')
      const admin = opened.world.users.find(({ token }) => token === TOKEN)
      if (admin) admin.role = 20
      const asked = await openAgain()
      expect([await asked.trustOf('olga'), await asked.trustOf('mia'), await asked.trustOf('stan')]).toEqual([
        'owner',
        'member',
        'none',
      ])
    },
  )

  test('a name that two have is nobody’s; ids are theirs alone', async () => {
    const [olga, stan] = [userOf(opened.world, 'olga'), userOf(opened.world, 'stan')]
    const guest = opened.world.users.find(({ id }) => id === stan)
    if (guest) guest.display_name = 'OLGA'
    const asked = await openAgain()
    expect(await asked.trustOf('olga')).toBe('none')
    expect([await asked.trustOf(olga), await asked.trustOf(stan)]).toEqual(['owner', 'none'])
    expect((await asked.findIssue(issue))?.author.login).toBe(olga)
  })

  test('our own name stays ours, whoever takes it', async () => {
    const guest = opened.world.users.find(({ display_name: name }) => name === 'stan')
    if (guest) guest.display_name = 'orch-bot'
    const asked = await openAgain()
    await asked.ensureComment(issue, { key: 'k', body: 'Ours.', role: null })
    addComment(opened.world, { issue, comment_html: '<p>/orch approve</p>', actor: guest?.id ?? '' })
    const logins = (await asked.listComments({ issue, since: null })).map(({ author }) => author.login)
    expect(logins).toEqual(['orch-bot', guest?.id])
  })

  test('rights are asked for, not remembered for long, and unknown ones are an error', async () => {
    let clock = NOW
    const asked = await openAgain(() => clock)
    expect(await asked.trustOf('mia')).toBe('member')
    const mia = opened.world.users.find(({ display_name: name }) => name === 'mia')
    if (mia) mia.role = 5
    clock += 60_001
    expect(await asked.trustOf('mia')).toBe('none')
    clock += 60_001
    opened.proxy.answerNext(({ path }) => path.endsWith('/project-members/?per_page=100'), { status: 502, body: {} })
    await expect(asked.trustOf('olga')).rejects.toMatchObject({ kind: 'unreachable' })
  })

  async function openAgain(now: () => number = () => NOW): Promise<Tracker> {
    const driver = makePlaneDriver({ url: opened.proxy.url, token: TOKEN, bots: { developer: BOT_TOKEN }, now })
    return trackerOf({ ...opened, driver })
  }
})

badAnswersContract('plane', async () => {
  // What is remembered of people and names is old whenever it is asked for.
  let clock = NOW
  const { world, ...plane } = await openPlane({ timeoutMs: 1_000, now: () => (clock += 301_000) })
  const { id } = addIssue(world, { name: 'a', description_html: '', created_by: userOf(world, 'olga') })
  return { ...plane, tracker: trackerOf({ world, ...plane }), forge: null, token: TOKEN, issue: id }
})
