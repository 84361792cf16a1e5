// What bad answers come to, whichever vendor gives them and whatever was asked: an error of one kind that says what was tried
// and holds no credential, never "there is none"; and the next time all is as before.

import { describe, expect, onTestFinished, test } from 'vitest'
import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import type { Driver, RemoteForge, Tracker } from './driver.ts'
import type { CannedAnswer, FaultProxy } from './test-proxy.ts'

export interface BadAnswersWorld {
  driver: Driver
  ref: string
  tracker: Tracker
  /** With an open change of SHOP-1, on `branch` at `head`; null for a vendor that keeps no code. */
  forge: { forge: RemoteForge; branch: string; head: string; number: number } | null
  proxy: FaultProxy
  /** What no message may hold. */
  token: string
  issue: string
  close(): Promise<void>
}

const HTML = '<html><body>maintenance</body></html>'
const said = (status: number, headers?: Record<string, string>): CannedAnswer => ({
  status,
  body: { message: 'said so' },
  ...(headers ? { headers } : {}),
})

/** By the words of the issue. */
const BAD: [string, CannedAnswer | 'cut', ExternalKind, number?][] = [
  ['a forge that is down', said(503), 'unreachable'],
  ['a proxy that answers HTML', { status: 502, body: HTML }, 'unreachable'],
  ['HTML as a success', { status: 200, body: HTML }, 'unreachable'],
  ['HTML as "not found"', { status: 404, body: HTML }, 'unreachable'],
  ['a cut connection', 'cut', 'unreachable'],
  ['half of an answer', { status: 200, body: '{"id": "' }, 'unreachable'],
  ['401', said(401), 'auth'],
  ['429 with Retry-After', said(429, { 'retry-after': '9' }), 'rate-limited', 9_000],
  ['429 without Retry-After', said(429), 'rate-limited'],
]

/** What some questions have an answer for: a thing that is gone, one that is there already, one that can't be so. */
const TELLING: [string, CannedAnswer, ExternalKind][] = [
  ['403', said(403), 'auth'],
  ['404', said(404), 'not-found'],
  ['409', said(409), 'conflict'],
  ['422', said(422), 'rejected'],
]

export function badAnswersContract(name: string, open: () => Promise<BadAnswersWorld>): void {
  const opened = async (): Promise<BadAnswersWorld> => {
    const world = await open()
    onTestFinished(() => world.close())
    return world
  }

  describe(`bad answers: ${name}`, () => {
    test.each(BAD)('%s is an error, whatever was asked', async (_name, answer, kind, retryAfterMs) => {
      const world = await opened()
      for (const [what, ask] of Object.entries(asksOf(world))) {
        const end = await endOf(world, ask, answer)
        expect([what, kindOf(end)]).toEqual([what, kind])
        if (retryAfterMs !== undefined) expect([what, end]).toMatchObject([what, { retryAfterMs }])
        tellsWell(world, end)
        await ask()
      }
    })

    test.each(TELLING)('%s is an error of its kind, or an answer where it is one', async (_name, answer, kind) => {
      const world = await opened()
      for (const [what, ask] of Object.entries(asksOf(world))) {
        const end = await endOf(world, ask, answer)
        expect([what, [kind, 'answered']]).toEqual([what, expect.arrayContaining([kindOf(end)])])
        if (end instanceof Error) tellsWell(world, end)
        await ask()
      }
    })

    test('a project that we may not see: no issue is gone, and nobody has lost their rights', async () => {
      const world = await opened()
      world.proxy.answerAlways(() => true, said(404))
      expect(await world.driver.findProject(world.ref)).toBeNull()
      await expect(world.tracker.findIssue(world.issue)).rejects.toMatchObject({ kind: 'not-found' })
      for (const trustOf of [world.tracker, world.forge?.forge].flatMap((one) => one?.trustOf ?? []))
        await expect(trustOf('somebody')).rejects.toMatchObject({ kind: 'not-found' })
      await expect(world.tracker.listIssues({ since: null })).rejects.toMatchObject({ kind: 'not-found' })
    })

    test('a slow one is given up', async () => {
      const world = await opened()
      const { 'read an issue': read, 'comment on an issue': comment } = asksOf(world)
      for (const ask of [read, comment]) expect(kindOf(await endOf(world, ask, 'hang'))).toBe('timed-out')
      await comment()
    })
  })
}

/** Everything that is asked of a vendor, each again and again. */
function asksOf({ driver, ref, tracker, issue, forge: place }: BadAnswersWorld) {
  const view = { column: null, labelsOn: [], labelsOff: [], close: null }
  const words = { key: 'k', body: 'Words.', role: null }
  let n = 0
  const ofTracker = {
    'read an issue': () => tracker.findIssue(issue),
    'list issues': () => tracker.listIssues({ since: null }),
    'list comments': () => tracker.listComments({ issue, since: null }),
    'ask for rights': () => tracker.trustOf('somebody-new'),
    'show a view': () => tracker.ensureView(issue, view),
    'comment on an issue': () => tracker.ensureComment(issue, words),
    'find the project': () => driver.findProject(ref),
    'make a label': () =>
      driver.onboarding(ref).ensureLabel({ name: `l${(n += 1)}`, color: '1d76db', description: '' }),
  }
  if (!place) return ofTracker
  const { forge, branch, head, number } = place
  const request = { project: 'SHOP', task: 'SHOP-1', branch, base: 'main', head, title: 'a', body: 'b' }
  const review = { project: 'SHOP', change: number, sha: head, by: 'claude', verdict: 'approve' as const, at: 1 }
  return {
    ...ofTracker,
    'open a change': () => forge.ensureChange({ ...request, body: `b${(n += 1)}` }),
    'read a change': () => forge.findChange('SHOP-1'),
    'read checks': () => forge.checksOf(head),
    'list reviews': () => forge.listReviews('SHOP-1'),
    'list threads': () => forge.listThreads('SHOP-1'),
    'record a review': () => forge.addReview({ ...review, text: `${(n += 1)}` }),
    'comment on a change': () => forge.ensureComment('SHOP-1', words),
    merge: () => forge.merge({ task: 'SHOP-1', head, method: 'merge', title: 't', message: 'm' }),
  }
}

async function endOf(
  { proxy }: BadAnswersWorld,
  ask: () => Promise<unknown>,
  answer: CannedAnswer | 'cut' | 'hang',
): Promise<unknown> {
  proxy.answerNext(() => true, answer)
  return ask().catch((thrown: unknown) => thrown)
}

function kindOf(end: unknown): string {
  if (!(end instanceof Error)) return 'answered'
  return end instanceof ExternalError ? end.kind : String(end)
}

function tellsWell({ driver, token }: BadAnswersWorld, end: unknown): void {
  const { system, message } = end as ExternalError
  expect(system).toBe(driver.name)
  expect(message).toMatch(/^could not /)
  expect(message).not.toContain(token)
}
