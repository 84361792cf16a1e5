// The same suites on a GitHub that nobody here wrote (emulate). What it has not is answered in its place or left out by name.

import { createEmulator } from 'emulate'
import type { Issue, RemoteForge, Tracker } from '../driver.ts'
import { lateCommentsContract } from '../late-comments.contract.ts'
import { type OpenTracker, trackerContract, onboardingContract } from '../remote.contract.ts'
import { remoteForgeContract } from '../remote-forge.contract.ts'
import type { ForgeWorld, Lacks } from '../test-remote-forge.ts'
import { type FaultProxy, startFaultProxy } from '../test-proxy.ts'
import { makeGithubDriver } from './driver.ts'
import { makeMemory } from './fake-github-world.ts'

const REPO = '/repos/olga/shop'
const PEOPLE = { self: 'orch-bot', owner: 'olga', member: 'mia', stranger: 'stan' }
const tokenOf = (login: string): string => `token-of-${login}`

interface World {
  proxy: FaultProxy
  as(login: string, method: string, path: string, body?: unknown): Promise<unknown>
  close(): Promise<void>
}

async function openEmulator(): Promise<World> {
  const logins = Object.values(PEOPLE)
  const emulator = await createEmulator({
    service: 'github',
    port: 0,
    seed: {
      tokens: Object.fromEntries(logins.map((login) => [tokenOf(login), { login, scopes: ['repo'] }])),
      github: { users: logins.map((login) => ({ login })), repos: [{ owner: 'olga', name: 'shop', auto_init: true }] },
    },
  })
  const proxy = await startFaultProxy(emulator.url, ({ method, path }) => method !== 'GET' && path !== '/graphql')
  const as: World['as'] = async (login, method, path, body) => {
    const headers = { authorization: `Bearer ${tokenOf(login)}`, 'content-type': 'application/json' }
    const answer = await fetch(`${emulator.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path} as ${login}: ${answer.status} ${await answer.text()}`)
    return answer.status === 204 ? null : answer.json()
  }
  // It says `push` of who may write, GitHub says `write`; of `maintain` both say the same.
  for (const login of ['orch-bot', 'mia'])
    await as('olga', 'PUT', `${REPO}/collaborators/${login}`, { permission: 'maintain' })
  await as('olga', 'POST', `${REPO}/labels`, { name: 'bug', color: 'ff0000' }).catch(() => null)
  const close = async (): Promise<void> => {
    await proxy.close()
    await emulator.close()
  }
  return { proxy, as, close }
}

const driverOf = ({ proxy }: World) =>
  makeGithubDriver({ apiUrl: proxy.url, auth: { token: tokenOf('orch-bot'), env: {} }, now: Date.now })

interface Shown {
  number: number
  id: number
  state: 'open' | 'closed'
  state_reason: string | null
  labels: { name: string }[]
  user: { login: string }
  body: string
  title: string
  draft: boolean
  merged: boolean
  requested_reviewers: { login: string }[]
}

const show = async ({ as }: World, path: string): Promise<Shown> => (await as('olga', 'GET', `${REPO}${path}`)) as Shown

async function comments({ as }: World, number: string): Promise<{ author: string; body: string }[]> {
  const list = (await as('olga', 'GET', `${REPO}/issues/${number}/comments?per_page=100`)) as Shown[]
  return list.map(({ user, body }) => ({ author: user.login, body }))
}

const openTracker = async (): Promise<OpenTracker> => {
  const world = await openEmulator()
  const { as, proxy } = world
  // It knows no reactions.
  const signs = new Set<string>()
  proxy.answerAlways(({ path, body }) => path.endsWith('/reactions') && Boolean(signs.add(body)), {
    status: 201,
    body: { content: 'eyes' },
  })
  return {
    tracker: driverOf(world).tracker('olga/shop') as Tracker,
    close: world.close,
    world: {
      people: PEOPLE,
      proxy,
      columns: null,
      moreThanAPage: 105,
      removeIssue: null,
      isIssuePage: (path) => path.startsWith(`${REPO}/issues?`),
      addIssue: async ({ title, body, labels = [] }) => {
        for (const name of labels)
          await as('olga', 'POST', `${REPO}/labels`, { name, color: 'ff0000' }).catch(() => null)
        return String(((await as('olga', 'POST', `${REPO}/issues`, { title, body, labels })) as Shown).number)
      },
      async changeIssue(id, { title, body, state }) {
        const reason = state === 'cancelled' ? 'not_planned' : 'completed'
        const to = state === undefined ? {} : state === 'open' ? { state } : { state: 'closed', state_reason: reason }
        await as('olga', 'PATCH', `${REPO}/issues/${id}`, {
          ...(title ? { title } : {}),
          ...(body ? { body } : {}),
          ...to,
        })
      },
      addComment: async ({ issue, author, body }) =>
        String(((await as(author, 'POST', `${REPO}/issues/${issue}/comments`, { body })) as Shown).id),
      async readIssue(id) {
        const { state, state_reason: why, labels } = await show(world, `/issues/${id}`)
        const at: Issue['state'] = state === 'open' ? 'open' : why === 'not_planned' ? 'cancelled' : 'completed'
        return { state: at, labels: labels.map(({ name }) => name), column: null }
      },
      readComments: (id) => comments(world, id),
      addLabel: async (name) => void (await as('olga', 'POST', `${REPO}/labels`, { name, color: '00ff00' })),
      countReactions: async () => signs.size,
    },
  }
}

trackerContract('github, emulate', openTracker)
lateCommentsContract('github, emulate', openTracker)

onboardingContract('github, emulate', async () => {
  const world = await openEmulator()
  const { as, proxy } = world
  interface Hook {
    active: boolean
    events: string[]
    config: { url: string; secret?: string }
  }
  // It keeps a secret to itself, as GitHub does: what was sent is what is set.
  const secretOf = (url: string): string | null => {
    const bodies = proxy.asked().filter(({ method, path }) => method !== 'GET' && path.includes('/hooks'))
    const sent = bodies.map(({ body }) => (JSON.parse(body) as { config: { url: string; secret: string } }).config)
    return sent.findLast((config) => config.url === url)?.secret ?? null
  }
  const owner = makeGithubDriver({ apiUrl: proxy.url, auth: { token: tokenOf('olga'), env: {} }, now: Date.now })
  return {
    onboarding: owner.onboarding('olga/shop'),
    close: world.close,
    world: {
      proxy,
      readLabels: async () =>
        ((await as('olga', 'GET', `${REPO}/labels?per_page=100`)) as { name: string }[]).map(({ name }) => name),
      readColumns: async () => null,
      readWebhooks: async () =>
        ((await as('olga', 'GET', `${REPO}/hooks`)) as Hook[]).map(({ active, events, config: { url } }) => ({
          url,
          active,
          events,
          secret: secretOf(url),
        })),
      addWebhook: async ({ url, active }) =>
        void (await as('olga', 'POST', `${REPO}/hooks`, { name: 'web', active, events: ['push'], config: { url } })),
    },
  }
})

const LACKS: Lacks = {
  emptyRefused: 'emulate makes a branch that is not there and shows nothing as a change',
  threads: 'emulate takes no replies',
  resolving: 'emulate has no GraphQL',
  queue: 'emulate has no merge queue',
  forks: 'emulate gives a fork no branches',
  conflicts: 'emulate finds no conflicts',
  heads: 'the head of a change of emulate does not follow its branch',
  protection: 'emulate shows a blocked change as clean',
}

remoteForgeContract(
  'github, emulate',
  async () => {
    const world = await openEmulator()
    // It knows no statuses and no workflows of a commit.
    world.proxy.answerAlways(({ path }) => /\/commits\/[0-9a-f]+\/status/.test(path), {
      status: 200,
      body: { statuses: [] },
    })
    const memory = makeMemory()
    const driver = driverOf(world)
    const forge = driver.forge('olga/shop', memory) as RemoteForge
    const forgetful = () => driver.forge('olga/shop', makeMemory()) as RemoteForge
    return { forge, memory, forgetful, world: forgeWorld(world), close: world.close }
  },
  LACKS,
)

function forgeWorld(world: World): ForgeWorld {
  const { as, proxy } = world
  const missing = (): never => {
    throw new Error('left out')
  }
  const readBranch = async (branch: string): Promise<string | null> => {
    const found = (await as('olga', 'GET', `${REPO}/git/ref/heads/${branch}`).catch(() => null)) as {
      object: { sha: string }
    } | null
    return found?.object.sha ?? null
  }
  const point = async (branch: string, sha: string): Promise<void> => {
    if ((await readBranch(branch)) === null)
      await as('olga', 'POST', `${REPO}/git/refs`, { ref: `refs/heads/${branch}`, sha })
    else await as('olga', 'PATCH', `${REPO}/git/refs/heads/${branch}`, { sha, force: true })
  }
  let commits = 0
  return {
    people: PEOPLE,
    proxy,
    async push(branch) {
      const parent = (await readBranch(branch)) ?? (await readBranch('main')) ?? ''
      const { tree } = (await as('olga', 'GET', `${REPO}/git/commits/${parent}`)) as { tree: { sha: string } }
      const commit = { message: `Commit ${(commits += 1)}`, tree: tree.sha, parents: [parent] }
      const { sha } = (await as('olga', 'POST', `${REPO}/git/commits`, commit)) as { sha: string }
      await point(branch, sha)
      return sha
    },
    point,
    readBranch,
    async changesOf(branch) {
      const pulls = (await as('olga', 'GET', `${REPO}/pulls?state=all&per_page=100`)) as (Shown & {
        head: { ref: string }
      })[]
      return pulls.filter(({ head }) => head.ref === branch).map(({ number }) => number)
    },
    async readChange(number) {
      const pull = await show(world, `/pulls/${number}`)
      const { title, body, draft, state, merged, labels } = pull
      const reviewers = pull.requested_reviewers.map(({ login }) => login)
      return { title, body, draft, reviewers, labels: labels.map(({ name }) => name), state: merged ? 'merged' : state }
    },
    openByPerson: missing,
    mergeByPerson: async (number) =>
      void (await as('olga', 'PUT', `${REPO}/pulls/${number}/merge`, { merge_method: 'merge' })),
    closeByPerson: async (number) => void (await as('olga', 'PATCH', `${REPO}/pulls/${number}`, { state: 'closed' })),
    addLabel: async (name) => void (await as('olga', 'POST', `${REPO}/labels`, { name, color: '00ff00' })),
    report: (check) => report(world, check),
    async review({ number, author, sha, verdict, body }) {
      const event = { approve: 'APPROVE', request_changes: 'REQUEST_CHANGES', comment: 'COMMENT' }[verdict]
      await as(author, 'POST', `${REPO}/pulls/${number}/reviews`, { event, body, commit_id: sha })
    },
    addThread: missing,
    readThread: missing,
    resolveThread: missing,
    addComment: async ({ number, author, body }) =>
      String(((await as(author, 'POST', `${REPO}/issues/${number}/comments`, { body })) as Shown).id),
    readComments: (number) => comments(world, String(number)),
    makeConflict: missing,
    protectMain: async () => {
      const protection = { required_pull_request_reviews: { required_approving_review_count: 1 } }
      const rest = { required_status_checks: null, enforce_admins: true, restrictions: null }
      await as('olga', 'PUT', `${REPO}/branches/main/protection`, { ...protection, ...rest })
    },
    allowOnlySquash: async () =>
      void (await as('olga', 'PATCH', REPO, { allow_merge_commit: false, allow_rebase_merge: false })),
    demandQueue: missing,
  }
}

type Report = Parameters<ForgeWorld['report']>[0]

async function report({ as }: World, { sha, name, state, log }: Report): Promise<void> {
  const list = (await as('olga', 'GET', `${REPO}/commits/${sha}/check-runs`)) as {
    check_runs: (Shown & { name: string })[]
  }
  const before = list.check_runs.find((run) => run.name === name)
  const end = { passed: 'success', failed: 'failure', pending: null }[state]
  const body = {
    name,
    head_sha: sha,
    status: end ? 'completed' : 'in_progress',
    ...(end ? { conclusion: end } : {}),
    ...(log === undefined
      ? {}
      : {
          output: {
            title: 'Failed',
            summary: 'See below',
            text: log,
          },
        }),
  }
  if (before) await as('olga', 'PATCH', `${REPO}/check-runs/${before.id}`, body)
  else await as('olga', 'POST', `${REPO}/check-runs`, body)
}
