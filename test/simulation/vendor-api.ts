// What Orch asks of the vendor, over a line that breaks: calls are refused, made and reported as failed, or limited.

import { ExternalError } from '../../src/lib/errors.ts'
import type {
  ChangeRequest,
  ChangeState,
  Check,
  Checks,
  Forge,
  MergeAnswer,
  OwnComment,
  RemoteForge,
  Tracker,
  WebhookSource,
} from '../../src/drivers/driver.ts'
import { testSource } from '../../src/flow/test-webhooks.ts'
import type { ChangeRow, Store } from '../../src/store/store.ts'
import { checkChange } from './check-effects.ts'
import { checkForgeMerge, checkReopened, checkShown } from './check-vendor.ts'
import { type Process, step, unreachable } from './chaos.ts'
import { move } from './git.ts'
import { type Sim, blame } from './sim.ts'
import { MEMBERS, SELF, endChange, issueShown, runChecks, tell, touch, vendorNow, viewText } from './vendor.ts'
import type { Vendor, VendorChange, VendorComment } from './vendor-state.ts'

type Call = <T>(name: string, apply: () => T, lost?: () => T) => Promise<T>

function makeCall(sim: Sim, process: Process, vendor: Vendor): Call {
  return (name, apply, lost) =>
    step(sim, process, {
      name,
      takes: [20, 800],
      apply: () => {
        reach(sim, vendor)
        return apply()
      },
      faults: { failed: () => unreachable('forge'), ...(lost ? { lost } : {}) },
    })
}

function reach(sim: Sim, vendor: Vendor): void {
  if (!sim.isForgeUp) unreachable('forge')
  const waitMs = Math.ceil(vendor.limitedUntil - sim.scheduler.elapsedMs())
  if (waitMs <= 0) return
  const message = 'the forge has had enough requests for now'
  throw new ExternalError({ system: 'forge', kind: 'rate-limited', retryAfterMs: waitMs, message })
}

function notFound(what: string): never {
  throw new ExternalError({ system: 'forge', kind: 'not-found', message: `the forge has no ${what}` })
}

export function makeSimTracker(sim: Sim, process: Process, vendor: Vendor): Tracker {
  const call = makeCall(sim, process, vendor)
  const get = (id: string) => vendor.issues.get(id) ?? notFound(`issue ${id}`)
  const answered = new Map<string, string>()
  return {
    findIssue: (id) =>
      call('find issue', () => {
        const found = vendor.issues.get(id)
        return found ? issueShown(found) : null
      }),
    listIssues: ({ since }) =>
      call('list issues', () => {
        const listed = [...vendor.issues.values()].filter((issue) =>
          since === null ? issue.state === 'open' : issue.updatedAt >= since,
        )
        const issues = listed.map(issueShown)
        // By its ETag: the same question has the same answer.
        const answer = JSON.stringify(issues)
        vendor.listedAt = sim.scheduler.elapsedMs()
        const unchanged = answered.get(String(since)) === answer
        answered.clear()
        answered.set(String(since), answer)
        return { unchanged, issues }
      }),
    listComments: ({ issue, since }) =>
      call('list comments', () => get(issue).comments.filter((comment) => comment.updatedAt >= (since ?? 0))),
    trustOf: (login) => call('ask for trust', () => MEMBERS[login] ?? 'none'),
    ensureView: (id, view) =>
      call('show', () => {
        const issue = get(id)
        const text = viewText(view)
        const labels = [...issue.labels.filter((name) => !view.labelsOff.includes(name)), ...view.labelsOn]
        const wanted = [...new Set(labels)]
        const closes = view.close !== null && issue.state === 'open'
        if (!closes && wanted.length === issue.labels.length && wanted.every((name) => issue.labels.includes(name)))
          return { missing: [] }
        issue.labels = wanted
        if (closes) issue.state = view.close ?? 'completed'
        issue.updatedAt = vendorNow(sim)
        if (closes) issue.closedAt = issue.updatedAt
        checkShown(sim, { vendor, issue, text })
        tell(sim, vendor, { kind: 'issue', id, issue: issueShown(issue) }, SELF.login)
        return { missing: [] }
      }),
    ensureComment: (id, comment) =>
      call('comment', () => {
        const issue = get(id)
        if (writeOwn(sim, vendor, { at: issue.comments, comment })) issue.updatedAt = vendorNow(sim)
        return { url: '' }
      }),
    ensureReaction: () => call('sign', () => true),
  }
}

/** Whether something was written: it is not where the key’s comment reads so. */
function writeOwn(
  sim: Sim,
  vendor: Vendor,
  { at, comment }: { at: VendorComment[]; comment: Pick<OwnComment, 'key' | 'body'> },
): boolean {
  const { key, body } = comment
  const ours = at.find((one) => one.key === key)
  const now = vendorNow(sim)
  if (ours?.body === body) return false
  if (ours) Object.assign(ours, { body, updatedAt: now })
  else {
    const id = `c${vendor.nextId++}`
    at.push({ id, author: SELF, isOwn: true, body, url: '', createdAt: now, updatedAt: now, key, toldTo: null })
  }
  return true
}

interface ForgeParts {
  sim: Sim
  vendor: Vendor
  store: Pick<Store, 'getChange' | 'listChanges' | 'saveChange'>
  call: Call
  /** Throws `not-found` where the task has none. */
  changeOf: (task: string) => VendorChange
}

export function makeSimRemoteForge(
  sim: Sim,
  of: { process: Process; vendor: Vendor; store: ForgeParts['store'] },
): RemoteForge {
  const { vendor, store } = of
  const changeOf = (task: string): VendorChange => {
    const number = store.getChange(task)?.number
    return vendor.changes.find((change) => change.number === number) ?? notFound(`change of ${task}`)
  }
  const parts = { sim, vendor, store, call: makeCall(sim, of.process, vendor), changeOf }
  return { ...changesKept(parts), ...changesFollowed(parts) }
}

/** What is remembered of a change is written as it is in production: after the vendor's answer, by a write of its own. */
function changesKept({ sim, vendor, store, call, changeOf }: ForgeParts): Forge {
  const save = async (before: ChangeRow | null, row: ChangeRow): Promise<ChangeRow> => {
    const { updatedAt: _now, ...facts } = row
    const isSame = before && Object.entries(facts).every(([name, value]) => before[name as keyof ChangeRow] === value)
    return isSame ? before : store.saveChange(row)
  }
  return {
    ensureChange: async (request) => {
      const row = store.getChange(request.task)
      if (row?.state === 'merged') return row
      const made = await call('ensure change', () => rowOf(request, ensureChange(sim, vendor, { request, row })))
      return save(row, made)
    },
    addReview: () => call('add review', () => undefined),
    markMerged: async (task, mergedSha) => {
      const row = store.getChange(task)
      if (!row || (row.state === 'merged' && row.mergedSha === mergedSha)) return row
      await call('mark merged', () => {
        const change = changeOf(task)
        if (change.state === 'open') endChange(sim, vendor, change, { state: 'merged', by: 'orch', mergedSha })
      })
      return save(row, { ...row, state: 'merged', mergedSha })
    },
    closeChange: async (task) => {
      const row = store.getChange(task)
      if (!row || row.state === 'merged') return row
      const { state, mergedSha } = await call('close change', () => {
        const change = changeOf(task)
        if (change.state === 'open') endChange(sim, vendor, change, { state: 'closed', by: 'orch' })
        return change
      })
      return save(row, { ...row, state, mergedSha })
    },
  }
}

function changesFollowed({ sim, vendor, store, call, changeOf }: ForgeParts): Omit<RemoteForge, keyof Forge> {
  return {
    findChange: async (task) => {
      const number = store.getChange(task)?.number
      if (number === undefined) return null
      return call('find change', () => {
        const change = vendor.changes.find((one) => one.number === number)
        return change ? changeShown(change) : null
      })
    },
    taskOf: (number) =>
      Promise.resolve(store.listChanges(vendor.project).find((row) => row.number === number)?.task ?? null),
    checksOf: (sha) => call('ask for checks', () => checksOf(sim, vendor, sha)),
    listReviews: (task) =>
      call('list reviews', () => {
        const { reviews } = changeOf(task)
        for (const { verdict, sha } of reviews)
          if (verdict === 'request_changes') blame(sim, task, `reviewed at ${sha}`)
        return reviews.map((review) => ({ ...review }))
      }),
    listThreads: (task) => call('list threads', () => structuredClone(changeOf(task).threads)),
    listComments: ({ task, since }) =>
      call('list comments', () => changeOf(task).comments.filter((comment) => comment.updatedAt >= (since ?? 0))),
    ensureComment: (task, comment) =>
      call('comment', () => {
        writeOwn(sim, vendor, { at: changeOf(task).comments, comment })
        return { url: '' }
      }),
    ensureReply: (task, { thread, key, body }) =>
      call('reply', () => {
        const found = changeOf(task).threads.find((one) => one.id === thread)
        if (found) writeOwn(sim, vendor, { at: found.comments as VendorComment[], comment: { key, body } })
      }),
    ensureReaction: () => call('sign', () => true),
    // Nobody there approves by a label.
    labelledBy: () => Promise.resolve(null),
    trustOf: (login) => call('ask for trust', () => MEMBERS[login] ?? 'none'),
    merge: ({ task, head, method }) =>
      call(
        'merge',
        () => merge(sim, vendor, { change: changeOf(task), head, method }),
        () => ({ ok: true, mergedSha: null }),
      ),
  }
}

function rowOf(request: ChangeRequest, change: VendorChange): ChangeRow {
  const { project, task, branch, base, head, title, body } = request
  const { number, state, mergedSha } = change
  const url = `https://github.com/ann/${project}/pull/${number}`
  return { project, task, branch, base, head, title, body, number, state, mergedSha, url, createdAt: 1, updatedAt: 1 }
}

function ensureChange(
  sim: Sim,
  vendor: Vendor,
  { request, row }: { request: ChangeRequest; row: ChangeRow | null },
): VendorChange {
  checkChange(sim, request)
  const { branch, base, title, body, draft } = request
  const fits = (change: VendorChange): boolean => change.branch === branch && change.base === base
  const known = vendor.changes.find((change) => change.number === row?.number && fits(change))
  const found = known ?? vendor.changes.find((change) => change.state === 'open' && fits(change))
  if (found?.state === 'merged') return found
  const tip = vendor.remote.refs.get(branch)
  const main = vendor.remote.refs.get(base) ?? ''
  if (tip === undefined) return notFound(`branch ${branch}`)
  if (found) {
    if (found.state === 'closed') {
      checkReopened(sim, found)
      Object.assign(found, { state: 'open', endedBy: null, head: tip })
      runChecks(sim, vendor, tip)
    }
    Object.assign(found, { title, body, draft: draft ?? found.draft })
    return found
  }
  if (sim.objects.isAncestor(tip, main)) {
    const message = `${base} holds all of ${branch} already`
    throw new ExternalError({ system: 'forge', kind: 'rejected', message })
  }
  vendor.nextNumber += 1
  const change: VendorChange = {
    number: vendor.nextNumber,
    task: request.task,
    branch,
    base,
    head: tip,
    title,
    body,
    draft: draft ?? false,
    labels: [],
    state: 'open',
    mergedSha: null,
    endedBy: null,
    reviews: [],
    threads: [],
    comments: [],
    updatedAt: vendorNow(sim),
  }
  vendor.changes.push(change)
  runChecks(sim, vendor, tip)
  return change
}

function changeShown(change: VendorChange): ChangeState {
  const { number, state, draft, branch, base, head, mergedSha, labels, updatedAt } = change
  const url = `https://github.com/x/pull/${number}`
  const shown = { number, url, state, draft, branch, base, head, mergedSha, updatedAt }
  return { ...shown, mergeable: null, queued: false, labels: [...labels] }
}

function checksOf(sim: Sim, vendor: Vendor, sha: string): Checks {
  const state = vendor.checks.get(sha)
  if (state === undefined) return { state: 'none', checks: [] }
  if (state === 'failed') blame(sim, sim.objects.get(sha).task, `CI of ${sha} is red`)
  const check: Check = { name: 'ci', state, url: null, text: state === 'failed' ? 'a test failed' : null }
  return { state, checks: [check] }
}

function merge(
  sim: Sim,
  vendor: Vendor,
  { change, head, method }: { change: VendorChange; head: string; method: string },
): MergeAnswer {
  const { objects } = sim
  const { remote } = vendor
  if (change.state === 'merged') return { ok: true, mergedSha: change.mergedSha }
  if (change.state === 'closed') return { ok: false, because: 'not-allowed', text: 'it was closed' }
  if (change.head !== head) return { ok: false, because: 'head-moved', text: `its head is ${change.head}` }
  if (change.draft) return { ok: false, because: 'blocked', text: 'it is a draft' }
  if (!remote.isReachable) return unreachable('forge')
  if (remote.isProtected) return { ok: false, because: 'blocked', text: 'protected branch' }
  const main = remote.refs.get(change.base) ?? ''
  const merged = objects.merge(main, head)
  if (!merged.ok) {
    blame(sim, change.task, `conflicts with ${main}`)
    return { ok: false, because: 'not-mergeable', text: 'it conflicts' }
  }
  checkForgeMerge(sim, change)
  const { sha } = objects.commit({
    files: objects.treeOf(merged.tree),
    parents: method === 'squash' ? [main] : [main, head],
    message: `Merge ${change.task}`,
    task: change.task,
  })
  change.state = 'merged'
  Object.assign(change, { mergedSha: sha, endedBy: 'orch' })
  move(remote, { branch: change.base, to: sha, by: 'orch' })
  touch(sim, vendor, change)
  return { ok: true, mergedSha: sha }
}

/** What Orch itself did is told to it as well, and is none of its business. */
export const simSource: WebhookSource = {
  verify: (delivery, options) => testSource.verify(delivery, options),
  parse: (delivery) => {
    const { sender } = JSON.parse(Buffer.from(delivery.body).toString()) as { sender: string }
    return delivery.self.includes(sender)
      ? { kind: 'ignored', reason: 'Orch did it itself' }
      : testSource.parse(delivery)
  },
}
