// What went wrong between the ancestors and the trackers and forges of other people. Real drivers on played vendors, real
// store, engine, worker and git.

import { expect, onTestFinished, test } from 'vitest'
import type { Checks, RemoteForge, Tracker } from '../../src/drivers/driver.ts'
import { openGithub, trackerWorld } from '../../src/drivers/github/fake-github-world.ts'
import { openPlane, trackerOf, userOf } from '../../src/drivers/plane/fake-plane-world.ts'
import { addIssue } from '../../src/drivers/plane/fake-plane-state.ts'
import { makeAwaitHandler } from '../../src/flow/await.ts'
import { makeConfigOf } from '../../src/flow/config-of.ts'
import { makeInLine } from '../../src/flow/in-line.ts'
import { makePoll } from '../../src/flow/poll.ts'
import { makeRemoteNames } from '../../src/flow/remote-names.ts'
import { makeFlowWorld, writeAll } from '../../src/flow/test-flow-world.ts'
import { trackerView } from '../../src/flow/tracker-view.ts'
import { openRemotes } from '../../src/open-drivers.ts'

const part = async (task: { id: string }, tree: string): Promise<void> =>
  writeAll(tree, { [`parts/${task.id}`]: 'ok\n' })

const AWAITS = `name: plain
stages:
  - { name: make, kind: agent, role: developer, gates: [changes, verify] }
  - { name: show, kind: publish }
  - { name: checks, kind: await, gates: [ci], onFail: make }
  - { name: merge, kind: land, onFail: make }
`

test('CI still pending one second too early', async () => {
  const w = await makeFlowWorld({ agent: part, files: { '.orch/pipelines/plain.yml': AWAITS } })
  await w.store.updateProject({ id: 'T', remote: w.git.remote, forge: { driver: 'github', ref: 'acme/shop' } })
  const check = (state: 'pending' | 'passed'): Checks => ({
    state,
    checks: [{ name: 'test', state, url: null, text: null }],
  })
  let aheadMs = 0
  let looks = 0
  // A second longer than the ancestor waited: 12 looks of 10 s.
  const greenAtMs = 12 * 10_000 + 1_000
  const forge: Partial<RemoteForge> = {
    findChange: async () => null,
    checksOf: async () => check(aheadMs < greenAtMs ? 'pending' : 'passed'),
    ensureChange: w.capabilities.forgeOf({} as never).ensureChange,
  }
  const real = makeAwaitHandler({
    ...w.capabilities,
    now: () => Date.now() + aheadMs,
    remoteForgeOf: () => forge as RemoteForge,
  })
  const id = await w.open('A part')
  w.work({
    handlers: {
      // Its waits pass at once.
      await: async (job, context) => {
        looks += 1
        const said = await real(job, context)
        if (!said || !('again' in said)) return said
        expect(w.task(id)).toMatchObject({ status: 'waiting', waitingFor: 'ci' })
        aheadMs = said.again - Date.now()
        return { again: Date.now() }
      },
    },
  })
  await w.until(() => w.task(id).status === 'done')
  expect(looks).toBeGreaterThan(12)
  expect(w.task(id).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
})

test('a test run that wrote to the production tracker', async () => {
  const uuid = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a01'
  const env = {
    GITHUB_TOKEN: 'ghp_a-real-token-of-somebody',
    GITEA_URL: 'https://git.example.org',
    GITEA_TOKEN: 'a-real-token-of-somebody',
    PLANE_TOKEN: 'a-real-token-of-somebody',
  }
  const { driver } = openRemotes({ env, now: Date.now })
  const sent: string[] = []
  const before = globalThis.fetch
  onTestFinished(() => void (globalThis.fetch = before))
  globalThis.fetch = async (address) => {
    sent.push(address instanceof Request ? address.url : address.toString())
    throw new Error('it was sent')
  }
  for (const [name, ref, issue] of [
    ['github', 'acme/shop', '1'],
    ['gitea', 'acme/shop', '1'],
    ['plane', `acme/${uuid}`, uuid],
  ] as const) {
    const tracker = driver(name).tracker(ref)
    const view = { column: null, labelsOn: ['orch:done'], labelsOff: [], close: 'completed' } as const
    for (const write of [
      () => tracker?.ensureComment(issue, { key: 'k', body: 'From a test.', role: null }),
      () => tracker?.ensureView(issue, { ...view, labelsOn: [...view.labelsOn], labelsOff: [] }),
      () => driver(name).onboarding(ref).ensureLabel({ name: 'x', color: '000000', description: '' }),
    ])
      await expect(write()).rejects.toMatchObject({
        kind: 'rejected',
        message: expect.stringContaining('a test may speak to this machine only') as string,
      })
  }
  expect(sent).toEqual([])
})

test("a `<1m` that broke a message's HTML", async () => {
  const w = await makeFlowWorld({ agent: part })
  const plane = await openPlane({ now: Date.now, timeoutMs: 2_000 })
  onTestFinished(() => plane.close())
  const issue = addIssue(plane.world, { name: 'a', description_html: '', created_by: userOf(plane.world, 'olga') }).id
  const task = w.task(await w.open('Answers in <1m & never "late" <b>'))
  const explained = { because: 'Its run took <1m; </p><script>x</script>', owner: 'nobody', actions: [] } as const
  const facts = {
    settings: { columns: {}, labels: false, comments: true },
    changeUrl: null,
    runs: [],
    artifacts: [],
    speakers: [],
  }
  const { comments } = trackerView(task, { ...facts, explained: { ...explained, actions: [] } as never })
  const tracker = trackerOf(plane)
  for (const comment of comments) await tracker.ensureComment(issue, comment)
  const [kept] = plane.world.comments
  expect(kept?.comment_html).toContain('&lt;1m')
  expect(kept?.comment_html).not.toMatch(/<1m|<script|<\/p>[^<]*<\/p>/)
  const [read] = await tracker.listComments({ issue, since: null })
  expect(read?.body).toContain('Its run took <1m; </p><script>x</script>')
})

test("an agent's own comment taken for a command", async () => {
  const w = await makeFlowWorld({ agent: part, config: 'intake: { labels: [orch] }' })
  const github = await openGithub()
  onTestFinished(() => github.close())
  const at = { driver: 'github', ref: 'acme/shop' }
  await w.store.updateProject({ id: 'T', remote: w.git.remote, tracker: at })
  const world = trackerWorld(github)
  const tracker = github.driver.tracker(at.ref) as Tracker
  const issue = await world.addIssue({ title: 'A part', body: 'Make it.', labels: ['orch'] })
  const remotes = { ...w.capabilities.remotes, driver: () => github.driver }
  const poll = makePoll({
    ...w.capabilities,
    engine: w.engine,
    configOf: makeConfigOf(w.capabilities),
    heardAt: () => null,
    names: makeRemoteNames({ remotes, now: Date.now }),
    inLine: makeInLine(),
    trackerOf: () => tracker,
    onError: (error) => w.errors.push(error),
    onNotice: (text) => w.errors.push(text),
  })
  await poll({ force: true })
  const id = `T-${issue}`
  expect(w.task(id).status).toBe('queued')
  const words = 'I need somebody to write:\n\n/orch stop'
  await tracker.ensureComment(issue, { key: 'ask', body: words, role: null })
  await world.changeIssue(issue, { title: 'A part more' })
  expect(await poll({ force: true })).toContain('a bot’s own words are no command')
  const [kept] = await world.readComments(issue)
  const at0 = '2026-01-01T00:00:00Z'
  const payload = {
    action: 'created',
    repository: { full_name: at.ref },
    issue: { number: Number(issue) },
    comment: {
      id: 1,
      user: { login: world.people.self, type: 'User' },
      body: kept?.body,
      html_url: 'https://github.com/acme/shop/issues/1#1',
      created_at: at0,
      updated_at: at0,
    },
  }
  const self = [world.people.self.toUpperCase()]
  const body = Buffer.from(JSON.stringify(payload))
  expect(github.driver.webhooks.parse({ event: 'issue_comment', body, self })).toMatchObject({ kind: 'ignored' })
  expect(w.task(id)).toMatchObject({ status: 'queued', title: 'A part more' })
  await world.addComment({ issue, author: world.people.member, body: words })
  await world.changeIssue(issue, { title: 'A part' })
  await poll({ force: true })
  expect([w.task(id).status, w.errors]).toEqual(['cancelled', []])
})
