// People at the vendor: they open, edit and close issues, review, merge and close changes, and write commands below them;
// some have no rights. And the sensible one, who reviews what waits for it.

import { isTerminal } from '../../src/core/lifecycle.ts'
import { move } from './git.ts'
import type { Sim } from './sim.ts'
import { MEMBERS, endChange, issueShown, news, taskOfIssue, touch, vendorNow } from './vendor.ts'
import type { Vendor, VendorChange, VendorComment, VendorIssue } from './vendor-state.ts'

const LABEL = 'orch'

/** Somebody writes an issue that is to become a task; now and then somebody without rights, or half of one. */
export function openIssue(sim: Sim, vendor: Vendor): void {
  const { random, chaos } = sim
  vendor.nextNumber += 1
  const number = vendor.nextNumber
  const now = vendorNow(sim)
  const login = random.chance(0.1) ? 'eve' : random.pick(['ann', 'bob'])
  const others = [...vendor.issues.keys()]
  const issue: VendorIssue = {
    id: String(number),
    number,
    title: 'Do it',
    body: !chaos.isCalm && random.chance(0.1) ? '' : 'Once.',
    state: 'open',
    column: null,
    labels: random.chance(0.9) ? [LABEL] : [],
    assignees: [],
    priority: null,
    author: { login, isBot: false },
    url: `https://github.com/${vendor.ref}/issues/${number}`,
    createdAt: now,
    updatedAt: now,
    closedAt: null,
    blockedBy: others.length > 0 && random.chance(0.15) ? [random.pick(others)] : [],
    comments: [],
    wishes: 0,
    isReopened: false,
    shown: null,
  }
  if (issue.labels.length > 0) issue.wishes = 1
  vendor.issues.set(issue.id, issue)
  tellIssue(sim, vendor, issue)
}

function tellIssue(sim: Sim, vendor: Vendor, issue: VendorIssue): void {
  issue.updatedAt = vendorNow(sim)
  // Some events hold all of the issue, some only its id.
  news(sim, vendor, { kind: 'issue', id: issue.id, issue: sim.random.chance(0.5) ? issueShown(issue) : null })
}

type Deed = (sim: Sim, vendor: Vendor) => void

const withIssue =
  (work: (sim: Sim, vendor: Vendor, issue: VendorIssue) => void): Deed =>
  (sim, vendor) => {
    const issues = [...vendor.issues.values()]
    if (issues.length > 0) work(sim, vendor, sim.random.pick(issues))
  }

const withChange =
  (work: (sim: Sim, vendor: Vendor, change: VendorChange) => void): Deed =>
  (sim, vendor) => {
    const open = vendor.changes.filter((change) => change.state === 'open')
    if (open.length > 0) work(sim, vendor, sim.random.pick(open))
  }

const DEEDS: Record<string, { weight: number; deed: Deed }> = {
  'an issue is edited': {
    weight: 2,
    deed: withIssue((sim, vendor, issue) => {
      issue.body = 'Twice, at the end.'
      tellIssue(sim, vendor, issue)
    }),
  },
  'an issue loses or gets its label': {
    weight: 1,
    deed: withIssue((sim, vendor, issue) => {
      const has = issue.labels.includes(LABEL)
      issue.labels = has ? issue.labels.filter((name) => name !== LABEL) : [...issue.labels, LABEL]
      if (!has && issue.state === 'open') issue.wishes += 1
      tellIssue(sim, vendor, issue)
    }),
  },
  'an issue is closed': {
    weight: 1,
    deed: withIssue((sim, vendor, issue) => {
      if (issue.state !== 'open' || sim.random.chance(0.4)) return
      issue.state = sim.random.pick(['completed', 'cancelled'])
      issue.closedAt = vendorNow(sim)
      tellIssue(sim, vendor, issue)
    }),
  },
  'an issue is opened again': {
    weight: 1,
    deed: withIssue((sim, vendor, issue) => {
      if (issue.state === 'open') return
      issue.state = 'open'
      issue.closedAt = null
      issue.isReopened = true
      if (issue.labels.includes(LABEL)) issue.wishes += 1
      tellIssue(sim, vendor, issue)
    }),
  },
  'a command is written at an issue': {
    weight: 4,
    deed: withIssue((sim, vendor, issue) => {
      const task = taskOfIssue(sim, vendor, issue.id)
      const comment = write(sim, vendor, { at: issue.comments, task })
      issue.updatedAt = comment.updatedAt
      news(sim, vendor, { kind: 'issue-comment', issue: issue.id, comment: { ...comment }, deleted: false })
    }),
  },
  'a command is written at a change': {
    weight: 2,
    deed: withChange((sim, vendor, change) => {
      const comment = write(sim, vendor, { at: change.comments, task: change.task })
      change.updatedAt = comment.updatedAt
      news(sim, vendor, { kind: 'change-comment', number: change.number, comment: { ...comment }, deleted: false })
    }),
  },
  'a change is reviewed': { weight: 6, deed: withChange(review) },
  'a person closes a change': {
    weight: 1,
    deed: withChange((sim, vendor, change) => {
      if (!sim.random.chance(0.25)) return
      vendor.newsAt = sim.scheduler.elapsedMs()
      endChange(sim, vendor, change, { state: 'closed', by: 'person' })
    }),
  },
  'a person merges a change': { weight: 1, deed: withChange(mergeByHand) },
}

export const DEED_NAMES = Object.keys(DEEDS)
const DRAWN = Object.entries(DEEDS).flatMap(([name, { weight }]) => Array<string>(weight).fill(name))

export function meddleAt(sim: Sim, vendor: Vendor): void {
  const name = sim.random.pick(DRAWN)
  sim.happened.add(name)
  DEEDS[name]?.deed(sim, vendor)
}

const WORDS = ['/orch retry', '/orch pause', '/orch resume', '/orch approve', '/orch why', '/orch answer this way']

function write(sim: Sim, vendor: Vendor, { at, task }: { at: VendorComment[]; task: string | null }): VendorComment {
  const { random } = sim
  const now = vendorNow(sim)
  const login = random.chance(0.2) ? 'eve' : random.pick(Object.keys(MEMBERS))
  const word = random.chance(0.04) ? '/orch stop' : random.pick(WORDS)
  const body = random.chance(0.1) ? `> ${word}\n\nWhat does that do?` : word
  const state = task === null ? undefined : sim.store.getTask(task)?.state
  const toldTo = state && !isTerminal(state.status) && body === word ? task : null
  const id = `c${vendor.nextId++}`
  const author = { login, isBot: false }
  const comment = { id, author, isOwn: false, body, url: '', createdAt: now, updatedAt: now, key: null, toldTo }
  at.push(comment)
  return comment
}

/** Of the head there is, or late, of one before. */
function review(sim: Sim, vendor: Vendor, change: VendorChange): void {
  const { random, objects } = sim
  const isLate = random.chance(0.2)
  const before = objects.get(change.head).parents[0] ?? change.head
  const how = random.pick(['approve', 'approve', 'request_changes', 'comment'] as const)
  const login = random.chance(0.15) ? 'eve' : random.pick(Object.keys(MEMBERS))
  giveReview(sim, vendor, change, { login, how, sha: isLate ? before : change.head })
}

function giveReview(
  sim: Sim,
  vendor: Vendor,
  change: VendorChange,
  { login, how, sha }: { login: string; how: 'approve' | 'request_changes' | 'comment'; sha: string },
): void {
  const now = vendorNow(sim)
  const id = `r${vendor.nextId++}`
  const author = { login, isBot: false }
  change.reviews.push({ id, author, sha, verdict: how, body: 'so', at: now, url: '' })
  if (how === 'request_changes') {
    const words = { id: `t${id}`, author, isOwn: false, body: 'not so', url: '', createdAt: now, updatedAt: now }
    const thread = { id, resolved: false, file: `tasks/${change.task}`, line: 1, diff: '+x', comments: [words] }
    change.threads.push(thread)
  }
  vendor.newsAt = sim.scheduler.elapsedMs()
  touch(sim, vendor, change)
}

function mergeByHand(sim: Sim, vendor: Vendor, change: VendorChange): void {
  const { objects, random } = sim
  const { remote } = vendor
  if (change.draft || remote.isProtected || !random.chance(0.4)) return
  const main = remote.refs.get(change.base) ?? ''
  const merged = objects.merge(main, change.head)
  if (!merged.ok) return
  const files = objects.treeOf(merged.tree)
  const { sha } = objects.commit({ files, parents: [main, change.head], message: 'merged by hand', task: null })
  // Nobody merges what is red.
  if (sim.isRed(sha)) return
  Object.assign(change, { state: 'merged', endedBy: 'person', mergedSha: sha })
  vendor.newsAt = sim.scheduler.elapsedMs()
  move(remote, { branch: change.base, to: sha, by: 'outside' })
  touch(sim, vendor, change)
}

/** What waits for a review gets one that says yes, where CI is green. */
export function tendChanges(sim: Sim, vendor: Vendor): void {
  for (const change of vendor.changes) {
    const task = sim.store.getTask(change.task)?.state
    if (change.state !== 'open' || task?.step?.kind !== 'await' || task.headSha !== change.head) continue
    if (vendor.checks.get(change.head) !== 'passed') continue
    const isApproved = change.reviews.some(
      ({ sha, verdict, author }) => sha === change.head && verdict === 'approve' && author.login === 'ann',
    )
    if (!isApproved) giveReview(sim, vendor, change, { login: 'ann', how: 'approve', sha: change.head })
  }
}
