// The played GitHub as the shared suites see it: behind a proxy, with people and git at its other side.

import type { ChangeRow } from '../../store/store.ts'
import type { ChangeMemory, Driver } from '../driver.ts'
import type { People, TrackerWorld } from '../remote.contract.ts'
import type { LabelWorld, OpenLabelForge } from '../label-events.contract.ts'
import type { ForgeWorld } from '../test-remote-forge.ts'
import { type FaultProxy, startFaultProxy } from '../test-proxy.ts'
import { makeGithubDriver } from './driver.ts'
import { type FakeGithub, startFakeGithub, TOKEN } from './fake-github.ts'
import { addPull } from './fake-github-routes.ts'
import {
  addComment,
  addIssue,
  closeIssue,
  commit,
  endPull,
  type FakeIssue,
  type FakePull,
  type FakeState,
  newCommit,
  push,
  putLabel,
} from './fake-github-state.ts'

const PEOPLE: People = { self: 'orch-bot', owner: 'olga', member: 'mia', stranger: 'stan' }

export interface Opened {
  fake: FakeGithub
  proxy: FaultProxy
  driver: Driver
  close(): Promise<void>
}

export async function openGithub(options: { timeoutMs?: number } = {}): Promise<Opened> {
  const fake = await startFakeGithub()
  const proxy = await startFaultProxy(fake.url, ({ method, path, body }) =>
    path === '/graphql' ? body.includes('mutation(') : method !== 'GET',
  )
  const driver = makeGithubDriver({ apiUrl: proxy.url, auth: { token: TOKEN, env: {} }, now: Date.now, ...options })
  const close = async (): Promise<void> => {
    await proxy.close()
    await fake.close()
  }
  return { fake, proxy, driver, close }
}

export function trackerWorld({ fake: { state }, proxy }: Opened): TrackerWorld {
  const at = (id: string): FakeIssue => {
    const found = state.issues.get(Number(id))
    if (!found) throw new Error(`no issue ${id}`)
    return found
  }
  return {
    people: PEOPLE,
    proxy,
    columns: null,
    moreThanAPage: 105,
    isIssuePage: (path) => path.startsWith('/repos/acme/shop/issues?'),
    addIssue: ({ title, body, labels = [] }) =>
      Promise.resolve(String(addIssue(state, { title, body, labels, user: 'olga' }).number)),
    async changeIssue(id, { title, body, state: to, label }) {
      const issue = at(id)
      if (title !== undefined) issue.title = title
      if (body !== undefined) issue.body = body
      if (label !== undefined) issue.labels.push(label)
      issue.updated_at = state.now()
      if (to === 'open') Object.assign(issue, { state: 'open', state_reason: null, closed_at: null })
      else if (to) closeIssue(state, issue, to === 'completed' ? 'completed' : 'not_planned')
    },
    async removeIssue(id) {
      state.issues.delete(Number(id))
      state.deleted.add(Number(id))
    },
    async addComment({ issue, author, body }) {
      const made = addComment(state, author, body)
      at(issue).comments.push(made)
      return String(made.id)
    },
    async readIssue(id) {
      const { state: now, state_reason: why, labels } = at(id)
      return { state: now === 'open' ? 'open' : why === 'completed' ? 'completed' : 'cancelled', labels, column: null }
    },
    readComments: async (id) => at(id).comments.map(({ user: author, body }) => ({ author, body })),
    addLabel: async (name) => void state.labels.push(name),
    countReactions: async ({ comment }) => state.reactions.get(comment)?.size ?? 0,
  }
}

export function makeMemory(): ChangeMemory & { rows: Map<string, ChangeRow> } {
  const rows = new Map<string, ChangeRow>()
  return {
    rows,
    getChange: (task) => rows.get(task) ?? null,
    listChanges: (project) => [...rows.values()].filter((row) => project === undefined || row.project === project),
    async saveChange(change) {
      const row = {
        ...change,
        number: change.number ?? 0,
        createdAt: rows.get(change.task)?.createdAt ?? change.createdAt,
      }
      rows.set(change.task, row)
      return row
    },
  }
}

export function openForge(opened: Opened): OpenLabelForge {
  const memory = makeMemory()
  const forge = (of: ChangeMemory) => {
    const made = opened.driver.forge('acme/shop', of)
    if (!made) throw new Error('GitHub is a forge')
    return made
  }
  return {
    forge: forge(memory),
    memory,
    forgetful: () => forge(makeMemory()),
    world: forgeWorld(opened),
    close: opened.close,
  }
}

function forgeWorld({ fake: { state }, proxy }: Opened): LabelWorld {
  const at = (number: number): FakeIssue & { pull: FakePull } => {
    const found = state.issues.get(number)
    if (!found?.pull) throw new Error(`no change ${number}`)
    return { ...found, pull: found.pull }
  }
  const whole = (number: number): FakeIssue => state.issues.get(number) as FakeIssue
  return {
    people: PEOPLE,
    proxy,
    push: async (branch) => commit(state, branch),
    point: async (branch, sha) => push(state, branch, sha),
    readBranch: async (branch) => state.branches.get(branch) ?? null,
    changesOf: async (branch) =>
      [...state.issues.values()].filter(({ pull }) => pull?.head.ref === branch).map(({ number }) => number),
    async readChange(number) {
      const { title, body, labels, state: now, pull } = at(number)
      return {
        title,
        body,
        labels,
        draft: pull.draft,
        reviewers: pull.reviewers,
        state: pull.mergedSha === null ? now : 'merged',
      }
    },
    async openByPerson({ branch, base, fork }) {
      // Of the same owner, as an organisation may have: asked by `owner:branch` it looks like ours.
      const repo = fork ? 'acme/shop-copy' : state.ref
      const head = { ref: branch, repo, sha: state.branches.get(branch) ?? '' }
      return addPull(state, { user: 'stan', title: 'Mine', body: 'My own.', base, head }).number
    },
    async mergeByPerson(number) {
      const { pull } = at(number)
      const order = { base: pull.base, head: pull.head.sha, method: 'merge', title: 'By hand', message: '' } as const
      const sha = state.git?.merge(order) ?? newCommit(state, [state.branches.get(pull.base) ?? '', pull.head.sha])
      endPull(state, whole(number), sha)
      push(state, pull.base, sha)
    },
    closeByPerson: async (number) => void (whole(number).state = 'closed'),
    addLabel: async (name) => void state.labels.push(name),
    putLabel: async ({ number, author, label, on }) => putLabel(state, whole(number), { label, actor: author, on }),
    report: async (check) => report(state, check),
    async review({ number, author, sha, verdict, body }) {
      const kind = { approve: 'APPROVED', request_changes: 'CHANGES_REQUESTED', comment: 'COMMENTED' }[verdict]
      at(number).pull.reviews.push({ ...addComment(state, author, body), state: kind, commit_id: sha })
    },
    async addThread({ number, author, file: path, line, body, diff: diff_hunk }) {
      const made = { ...addComment(state, author, body), path, line, diff_hunk }
      at(number).pull.lines.push(made)
      return String(made.id)
    },
    readThread: async (number, thread) =>
      at(number)
        .pull.lines.filter(({ id, in_reply_to_id: root }) => (root ?? id) === Number(thread))
        .map(({ user: author, body }) => ({ author, body })),
    resolveThread: async (number, thread) => void at(number).pull.resolved.add(Number(thread)),
    async addComment({ number, author, body }) {
      const made = addComment(state, author, body)
      at(number).comments.push(made)
      return String(made.id)
    },
    readComments: async (number) => at(number).comments.map(({ user: author, body }) => ({ author, body })),
    makeConflict: async (number) => void (at(number).pull.conflicts = true),
    protectMain: async () => void (state.needsReview = true),
    allowOnlySquash: async () => void (state.methods = new Set(['squash'])),
    demandQueue: async () => void (state.queue = 'rules'),
  }
}

type Report = Parameters<ForgeWorld['report']>[0]

function report(state: FakeState, { sha, name, state: to, log }: Report): void {
  state.checkRuns = state.checkRuns.filter((run) => run.sha !== sha || run.name !== name)
  const id = state.id()
  const conclusion = { pending: null, passed: 'success', failed: 'failure' }[to]
  state.checkRuns.push({
    id,
    sha,
    name,
    status: to === 'pending' ? 'in_progress' : 'completed',
    conclusion,
    app: 'github-actions',
    suite: id,
    text: '',
  })
  if (log !== undefined) state.logs.set(id, log)
}
