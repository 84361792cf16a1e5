// The played Gitea as the shared suites see it. Whatever a person does there is done by gitea-js, a client that nobody here
// wrote, with that person's own token; what has no API (git, what a page shows) is done to the state itself.

import { giteaApi } from 'gitea-js'
import type { ChangeRow } from '../../store/store.ts'
import type { ChangeMemory, Driver } from '../driver.ts'
import type { LabelWorld } from '../label-events.contract.ts'
import type { ForgeWorld } from '../test-remote-forge.ts'
import type { OnboardingWorld, TrackerWorld } from '../remote.contract.ts'
import { type FaultProxy, startFaultProxy } from '../test-proxy.ts'
import { makeGiteaDriver } from './driver.ts'
import { type FakeGitea, startFakeGitea } from './fake-gitea.ts'
import { type FakeComment, type FakeIssue, isDraft, makeSha } from './fake-gitea-state.ts'

export const REF = 'shop/web'
const [OWNER, NAME] = REF.split('/') as [string, string]
export const PEOPLE = { self: 'orch-bot', owner: 'ada', member: 'mel', stranger: 'sam' }
export const TOKEN = 'token-of-orch-bot-0123456789abcdef'
const USERS = [
  { login: PEOPLE.self, token: TOKEN, may: 'admin' },
  { login: PEOPLE.owner, token: 'token-of-ada', may: 'owner' },
  { login: PEOPLE.member, token: 'token-of-mel', may: 'write' },
  { login: PEOPLE.stranger, token: 'token-of-sam', may: 'read' },
] as const

export type Client = ReturnType<typeof giteaApi>

export interface GiteaWorld {
  fake: FakeGitea
  proxy: FaultProxy
  driver: Driver
  /** The driver's clock: it stands `ahead` of the machine's. */
  clock: { aheadMs: number }
  /** The API as somebody else uses it. */
  as(login: string): Client
  close(): Promise<void>
}

export async function openWorld(options: { mergeCheckMs?: number; timeoutMs?: number } = {}): Promise<GiteaWorld> {
  const fake = await startFakeGitea([...USERS])
  const proxy = await startFaultProxy(fake.url)
  const clock = { aheadMs: 0 }
  const driver = makeGiteaDriver({ url: proxy.url, token: TOKEN, now: () => Date.now() + clock.aheadMs, ...options })
  const as = (login: string): Client => {
    const token = USERS.find((user) => user.login === login)?.token ?? ''
    return giteaApi(fake.url, { token, customFetch: fetch })
  }
  return {
    fake,
    proxy,
    driver,
    clock,
    as,
    async close() {
      await proxy.close()
      await fake.close()
    },
  }
}

export function makeMemory(): ChangeMemory {
  const rows = new Map<string, ChangeRow>()
  return {
    getChange: (task) => rows.get(task) ?? null,
    listChanges: () => [...rows.values()],
    saveChange: (change) => {
      const row: ChangeRow = { ...change, number: change.number ?? 0 }
      rows.set(row.task, row)
      return Promise.resolve(row)
    },
  }
}

function issueOf({ fake }: GiteaWorld, id: string | number): FakeIssue {
  const issue = fake.state.issues.get(Number(id))
  if (!issue) throw new Error(`no issue ${id}`)
  return issue
}

function labelNames({ fake }: GiteaWorld, issue: FakeIssue): string[] {
  return fake.state.labels.filter(({ id }) => issue.labels.includes(id)).map(({ name }) => name)
}

async function labelId(world: GiteaWorld, name: string): Promise<number> {
  const known = world.fake.state.labels.find((label) => label.name === name)
  if (known) return known.id
  const { data } = await world.as(PEOPLE.owner).repos.issueCreateLabel(OWNER, NAME, { name, color: '#aabbcc' })
  return data.id ?? 0
}

async function addComment(world: GiteaWorld, comment: { issue: number; author: string; body: string }) {
  const { data } = await world
    .as(comment.author)
    .repos.issueCreateComment(OWNER, NAME, comment.issue, { body: comment.body })
  return String(data.id)
}

function talkOf({ fake }: GiteaWorld, issue: number): { author: string; body: string }[] {
  const talk = fake.state.comments.filter((comment) => comment.issue === issue && comment.line === null)
  return talk.map(({ user, body }) => ({ author: user, body }))
}

export function trackerWorld(world: GiteaWorld): TrackerWorld {
  const { fake, proxy, as } = world
  const { repos } = as(PEOPLE.owner)
  return {
    people: PEOPLE,
    proxy,
    async addIssue({ title, body, labels = [] }) {
      const ids: number[] = []
      for (const label of labels) ids.push(await labelId(world, label))
      const { data } = await repos.issueCreateIssue(OWNER, NAME, { title, body, labels: ids })
      return String(data.number)
    },
    async changeIssue(id, { state, label, ...words }) {
      const closing = state === undefined ? {} : { state: state === 'open' ? 'open' : 'closed' }
      await repos.issueEditIssue(OWNER, NAME, Number(id), { ...words, ...closing })
      if (label !== undefined)
        await repos.issueAddLabel(OWNER, NAME, Number(id), { labels: [await labelId(world, label)] })
    },
    removeIssue: async (id) => void (await repos.issueDelete(OWNER, NAME, Number(id))),
    addComment: ({ issue, ...comment }) => addComment(world, { ...comment, issue: Number(issue) }),
    readIssue: (id) => {
      const issue = issueOf(world, id)
      const state = issue.state === 'open' ? 'open' : 'completed'
      return Promise.resolve({ state, labels: labelNames(world, issue), column: null })
    },
    readComments: (issue) => Promise.resolve(talkOf(world, Number(issue))),
    addLabel: async (name) => void (await labelId(world, name)),
    closesWithoutReason: true,
    columns: null,
    countReactions: ({ comment }) => {
      const signs = fake.state.comments.find(({ id }) => id === Number(comment))?.signs ?? []
      return Promise.resolve(signs.filter(({ user }) => user === PEOPLE.self).length)
    },
    isIssuePage: (path) => path.startsWith(`/api/v1/repos/${REF}/issues?`),
    moreThanAPage: 53,
  }
}

export function onboardingWorld(world: GiteaWorld): OnboardingWorld {
  const { fake, proxy, as } = world
  return {
    proxy,
    readLabels: () => Promise.resolve(fake.state.labels.map(({ name }) => name)),
    readColumns: () => Promise.resolve(null),
    readWebhooks: () =>
      Promise.resolve(
        fake.state.hooks.map(({ url, active, events, secret }) => ({
          url,
          active,
          events,
          secret: secret === '' ? null : secret,
        })),
      ),
    async addWebhook({ url, active }) {
      const config = { url, content_type: 'json' }
      const hook = { type: 'gitea', config, active, events: ['push'] } as const
      await as(PEOPLE.owner).repos.repoCreateHook(OWNER, NAME, { ...hook, events: [...hook.events] })
    },
  }
}

export function forgeWorld(world: GiteaWorld): LabelWorld {
  return {
    people: PEOPLE,
    proxy: world.proxy,
    ...gitParts(world),
    ...changeParts(world),
    ...reviewParts(world),
    ...ruleParts(world),
    demandQueue: () => Promise.reject(new Error('Gitea has no queue')),
  }
}

function gitParts({ fake }: GiteaWorld): Pick<ForgeWorld, 'push' | 'point' | 'readBranch' | 'changesOf'> {
  const { state } = fake
  return {
    push: (branch) => Promise.resolve(fake.push(branch)),
    point: (branch, sha) => {
      if (!state.commits.has(sha)) state.commits.set(sha, [state.branches.get('main') ?? ''])
      state.branches.set(branch, sha)
      return Promise.resolve()
    },
    readBranch: (branch) => Promise.resolve(state.branches.get(branch) ?? null),
    changesOf: (branch) => {
      const pulls = [...state.issues.values()].filter(({ pull }) => pull?.head === branch)
      return Promise.resolve(pulls.map(({ number }) => number))
    },
  }
}

function pullOf(world: GiteaWorld, number: number) {
  const issue = issueOf(world, number)
  if (!issue.pull) throw new Error(`${number} is no change`)
  return { issue, pull: issue.pull }
}

type ChangeParts =
  | 'readChange'
  | 'openByPerson'
  | 'mergeByPerson'
  | 'closeByPerson'
  | 'addLabel'
  | 'putLabel'
  | 'report'

function changeParts(world: GiteaWorld): Pick<LabelWorld, ChangeParts> {
  const { state } = world.fake
  const { as } = world
  const { repos } = as(PEOPLE.owner)
  return {
    readChange: (number) => {
      const { issue, pull } = pullOf(world, number)
      const { title, body } = issue
      const end: 'open' | 'closed' | 'merged' = pull.mergedSha === null ? issue.state : 'merged'
      const shown = { state: end, draft: isDraft(issue), title, body }
      return Promise.resolve({ ...shown, labels: labelNames(world, issue), reviewers: [...pull.requested] })
    },
    async openByPerson({ branch, base, fork }) {
      if (fork) state.forkBranches.set(branch, makeSha())
      const head = fork ? `${PEOPLE.stranger}:${branch}` : branch
      const by = as(fork ? PEOPLE.stranger : PEOPLE.member)
      return (await by.repos.repoCreatePullRequest(OWNER, NAME, { head, base, title: 'Mine' })).data.number ?? 0
    },
    mergeByPerson: async (number) => void (await repos.repoMergePullRequest(OWNER, NAME, number, { Do: 'merge' })),
    closeByPerson: async (number) => void (await repos.repoEditPullRequest(OWNER, NAME, number, { state: 'closed' })),
    addLabel: async (name) => void (await labelId(world, name)),
    async putLabel({ number, author, label, on }) {
      const { repos: theirs } = as(author)
      const id = await labelId(world, label)
      if (on) await theirs.issueAddLabel(OWNER, NAME, number, { labels: [id] })
      else await theirs.issueRemoveLabel(OWNER, NAME, number, id)
    },
    async report({ sha, name, state: said, log }) {
      const words = { pending: 'pending', passed: 'success', failed: 'failure' } as const
      let page = ''
      if (log !== undefined) {
        const run = state.jobs.length + 7
        page = `/${REF}/actions/runs/${run}/jobs/0`
        state.jobs.push({ id: 500 + run, run: 40 + run, sha, page, log })
      }
      const status = { context: name, state: words[said], target_url: page, description: 'After 3s' }
      await repos.repoCreateStatus(OWNER, NAME, sha, status)
    },
  }
}

type ReviewParts = 'review' | 'addThread' | 'readThread' | 'resolveThread' | 'addComment' | 'readComments'

function reviewParts(world: GiteaWorld): Pick<ForgeWorld, ReviewParts> {
  const { state } = world.fake
  const { as } = world
  const lineOf = (id: string): FakeComment => {
    const found = state.comments.find((comment) => comment.id === Number(id) && comment.line)
    if (!found) throw new Error(`no thread ${id}`)
    return found
  }
  return {
    async review({ number, author, sha, verdict, body }) {
      const event = { approve: 'APPROVED', request_changes: 'REQUEST_CHANGES', comment: 'COMMENT' }[verdict]
      await as(author).repos.repoCreatePullReview(OWNER, NAME, number, { commit_id: sha, event, body })
    },
    async addThread({ number, author, file, line, body, diff }) {
      const comments = [{ path: file, new_position: line, body }]
      const review = { event: 'COMMENT', body: '', comments }
      const { data } = await as(author).repos.repoCreatePullReview(OWNER, NAME, number, review)
      const made = state.comments.find((comment) => comment.line?.review === data.id)
      if (made?.line) made.line.hunk = diff
      return String(made?.id)
    },
    readThread: (_number, thread) => {
      const { line: at } = lineOf(thread)
      const same = state.comments.filter(({ line }) => line?.path === at?.path && line?.line === at?.line)
      return Promise.resolve(same.map(({ user, body }) => ({ author: user, body })))
    },
    resolveThread: (_number, thread) => {
      const { line } = lineOf(thread)
      if (line) line.resolver = PEOPLE.member
      return Promise.resolve()
    },
    addComment: ({ number, ...comment }) => addComment(world, { ...comment, issue: number }),
    readComments: (number) => Promise.resolve(talkOf(world, number)),
  }
}

function ruleParts(world: GiteaWorld): Pick<ForgeWorld, 'makeConflict' | 'protectMain' | 'allowOnlySquash'> {
  const { repos } = world.as(PEOPLE.owner)
  return {
    makeConflict: (number) => {
      pullOf(world, number).pull.conflict = true
      return Promise.resolve()
    },
    protectMain: async () =>
      void (await repos.repoCreateBranchProtection(OWNER, NAME, { rule_name: 'main', required_approvals: 1 })),
    allowOnlySquash: async () =>
      void (await repos.repoEdit(OWNER, NAME, {
        allow_merge_commits: false,
        allow_rebase: false,
        allow_squash_merge: true,
      })),
  }
}
