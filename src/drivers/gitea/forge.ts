// Pull requests at Gitea. Ours is the one of the task's branch in this very repository to the task's base; a fork's branch
// of the same name is somebody else's.

import { ExternalError } from '../../lib/errors.ts'
import type { ChangeRow } from '../../store/store.ts'
import type { ChangeMemory, ChangeRequest, RemoteForge } from '../driver.ts'
import { makeOwnChanges, type OwnChanges, saveChange } from '../own-changes.ts'
import { checksOf } from './checks.ts'
import { ensureComment, ensureReaction, labelledBy, listComments, trustOf } from './comments.ts'
import type { Api } from './connection.ts'
import type { Labels } from './labels.ts'
import { type Merge, readPull } from './merge.ts'
import { fitted, sameText } from '../marked.ts'
import { draftTitle, plainTitle } from './titles.ts'
import { addReview, ensureReply, listReviews, listThreads, reviewersOf } from './threads.ts'
import { comparison, isDraft, pull, read, stateOf, toChange, type WirePull } from './wire.ts'

interface Parts {
  api: Api
  labels: Labels
  merge: Merge
  memory: ChangeMemory
}

interface Place extends Parts {
  own: OwnChanges
}

export function makeForge(parts: Parts): RemoteForge {
  const { api, memory, merge } = parts
  const own = makeOwnChanges({ memory, isHere: (row) => isHere(api, row), confirm: (row) => isKnown(api, row) })
  const place: Place = { ...parts, own }
  const numberOf = (task: string): Promise<number> => getNumber(place, task)
  return {
    ensureChange: (request) => ensureChange(place, request),
    addReview: (review) => addReview(api, review),
    markMerged: (task, mergedSha) => markMerged(place, task, mergedSha),
    closeChange: (task) => closeChange(place, task),
    async findChange(task) {
      const row = await own.find(task)
      const wire = row && (await findPresent(api, row))
      return wire ? toChange(wire) : null
    },
    taskOf: (number) => own.taskOf(number),
    checksOf: (sha) => checksOf(api, sha),
    listReviews: async (task) => listReviews(api, await numberOf(task)),
    listThreads: async (task) => listThreads(api, await numberOf(task)),
    listComments: async ({ task, since }) => listComments(api, String(await numberOf(task)), since),
    ensureComment: async (task, comment) => ensureComment(api, String(await numberOf(task)), comment),
    ensureReply: async (task, reply) => ensureReply(api, await numberOf(task), reply),
    ensureReaction: ({ comment, sign }) => ensureReaction(api, comment, sign),
    labelledBy: async ({ task, label }) => labelledBy(api, await numberOf(task), label),
    trustOf: (login) => trustOf(api, login),
    merge: async ({ task, ...order }) => merge({ ...order, number: await numberOf(task) }),
  }
}

function isHere(api: Api, { number, url }: ChangeRow): boolean {
  return (url ?? '').toLowerCase().endsWith(`/${api.ref.toLowerCase()}/pulls/${number}`)
}

/** By the branch's own name: where it was deleted, nothing shows whose change it is. */
async function isKnown(api: Api, row: ChangeRow): Promise<boolean> {
  const wire = await findPull(api, row.number)
  return wire !== null && wire.head.ref === row.branch && isOurs(wire, row)
}

async function getNumber({ api, own }: Place, task: string): Promise<number> {
  const row = await own.find(task)
  if (row) return row.number
  const message = `${task} has no change at ${api.ref}: open it first`
  throw new ExternalError({ system: 'gitea', kind: 'not-found', message })
}

async function findPull(api: Api, number: number): Promise<WirePull | null> {
  const doing = `read change ${api.ref}#${number}`
  const answer = await api.call({ path: `/pulls/${number}`, doing, accept: [404] })
  return answer.status === 404 ? null : read(pull, answer.json, doing)
}

/** A person may have closed it and opened another of the same branch: that is the task's then. */
async function findPresent(api: Api, row: ChangeRow): Promise<WirePull | null> {
  const wire = await findPull(api, row.number)
  if (!wire || stateOf(wire) !== 'closed') return wire
  const other = await findOurs(api, row, null)
  return other && stateOf(other) === 'open' ? other : wire
}

async function ensureChange(place: Place, wanted: ChangeRequest): Promise<ChangeRow> {
  const { api, memory, own } = place
  const row = memory.getChange(wanted.task)
  // What was merged stays merged, whatever is pushed to its branch afterwards.
  if (row?.state === 'merged') return row
  const title = plainTitle(wanted.title)
  const request = { ...wanted, title: title === '' ? wanted.task : title, body: fitted(wanted.body) }
  const existing = await findOurs(api, request, await own.find(wanted.task))
  const current = existing ? await bringUpToDate(api, request, existing) : await openPull(api, request)
  const saved = await saveChange(memory, row, rowOf(wanted, current))
  if (stateOf(current) !== 'merged') await dress(place, request, current)
  return saved
}

/** By the number that is remembered, else by the branch; of several the open one, else the remembered, else the newest. */
async function findOurs(
  api: Api,
  request: Pick<ChangeRow, 'branch' | 'base'>,
  row: ChangeRow | null,
): Promise<WirePull | null> {
  const remembered = row && (await findPull(api, row.number))
  const known = remembered && isOurs(remembered, request) ? remembered : null
  if (known && stateOf(known) !== 'closed') return known
  const doing = `look for the change of ${request.branch} at ${api.ref}`
  const path = `/pulls/${encodeURIComponent(request.base)}/${inPath(request.branch)}`
  const oldest = await api.call({ path, doing, accept: [404] })
  if (oldest.status === 404) return known
  const first = read(pull, oldest.json, doing)
  if (first.state === 'open' && isOurs(first, request)) return first
  // There may be newer ones, and Gitea lists none by its branch.
  const { items } = await api.list({
    path: '/pulls?state=all',
    doing,
    schema: pull,
    key: ({ number }) => number,
  })
  const ours = items.filter((wire) => isOurs(wire, request)).toSorted((a, b) => b.number - a.number)
  return ours.find(({ state }) => state === 'open') ?? known ?? ours[0] ?? null
}

/** A branch where all that follows is its name. */
function inPath(branch: string): string {
  return branch.split('/').map(encodeURIComponent).join('/')
}

/** The repository of both sides is the same one, whatever it is called now. A deleted branch shows as refs/pull/N/head. */
function isOurs({ number, head, base }: WirePull, ours: Pick<ChangeRow, 'branch' | 'base'>): boolean {
  const isBranch = head.ref === ours.branch || head.ref === `refs/pull/${number}/head`
  return head.repo_id === base.repo_id && isBranch && base.ref === ours.base
}

/** Throws `rejected` when there is nothing to show: Gitea itself would open an empty change. */
async function openPull(api: Api, request: ChangeRequest): Promise<WirePull> {
  const { title, branch: head, base, body, draft } = request
  const doing = `open the change of ${request.task} at ${api.ref}`
  const compared = await api.call({ path: `/compare/${inPath(base)}...${inPath(head)}`, doing, accept: [404] })
  // 404: one of them is not there. That is told by the next answer.
  if (compared.status === 200 && read(comparison, compared.json, doing).total_commits === 0) {
    const message = `could not ${doing}: ${base} holds all of ${head} already, there is nothing to show`
    throw new ExternalError({ system: 'gitea', kind: 'rejected', message })
  }
  const titled = draft === true ? draftTitle(title) : title
  const answer = await api.call({
    method: 'POST',
    path: '/pulls',
    body: { title: titled, head, base, body },
    doing,
    accept: [409],
  })
  if (answer.status !== 409) return read(pull, answer.json, doing)
  // Another of us was faster, or an answer was lost.
  const existing = await findOurs(api, request, null)
  if (existing) return bringUpToDate(api, request, existing)
  const message = `could not ${doing}: Gitea says that there is one of ${head} already, and shows none; try again`
  throw new ExternalError({ system: 'gitea', kind: 'conflict', message })
}

async function bringUpToDate(api: Api, request: ChangeRequest, wire: WirePull): Promise<WirePull> {
  if (stateOf(wire) === 'merged') return wire
  const { body, draft } = request
  const isSameTitle = plainTitle(wire.title) === request.title && (draft === undefined || draft === isDraft(wire))
  const title = (draft ?? isDraft(wire)) ? draftTitle(request.title) : request.title
  const changes = {
    ...(isSameTitle ? {} : { title }),
    ...(sameText(wire.body, body) ? {} : { body }),
    ...(wire.state === 'closed' ? { state: 'open' } : {}),
  }
  if (Object.keys(changes).length === 0) return wire
  const doing = `bring the change of ${request.task}, ${api.ref}#${wire.number}, up to date`
  const { json } = await api.call({ method: 'PATCH', path: `/pulls/${wire.number}`, body: changes, doing })
  return read(pull, json, doing)
}

/** Labels and reviewers: what a change has beside its text. A label that the repository does not have is left out. */
async function dress({ api, labels }: Place, request: ChangeRequest, wire: WirePull): Promise<void> {
  await labels.ensureOn(wire.number, { names: request.labels ?? [], at: wire.labels })
  const asked = [...wire.requested_reviewers, wire.user].map(({ login }) => login.toLowerCase())
  const wanted = (request.reviewers ?? []).filter((name) => !asked.includes(name.toLowerCase()))
  if (wanted.length === 0) return
  // Whoever has reviewed it is asked no more.
  const done = (await reviewersOf(api, wire.number)).map((login) => login.toLowerCase())
  const reviewers = wanted.filter((name) => !done.includes(name.toLowerCase()))
  if (reviewers.length === 0) return
  const doing = `ask ${reviewers.join(', ')} to review ${api.ref}#${wire.number}`
  await api.call({ method: 'POST', path: `/pulls/${wire.number}/requested_reviewers`, body: { reviewers }, doing })
}

function rowOf(request: ChangeRequest, wire: WirePull): ChangeRow {
  const { project, task, branch, base, head, title, body } = request
  const { state, mergedSha, url } = toChange(wire)
  const times = { createdAt: wire.created_at, updatedAt: wire.updated_at }
  return { project, task, branch, base, head, title, body, state, mergedSha, url, number: wire.number, ...times }
}

async function markMerged({ api, memory, own }: Place, task: string, mergedSha: string): Promise<ChangeRow | null> {
  const row = memory.getChange(task)
  if (!row || (row.state === 'merged' && row.mergedSha === mergedSha)) return row
  const wire = (await own.find(task)) && (await findPull(api, row.number))
  if (wire && stateOf(wire) === 'open') await showMerged(api, { wire, task, mergedSha })
  return saveChange(memory, row, { ...row, state: 'merged', mergedSha, updatedAt: wire?.updated_at ?? row.updatedAt })
}

/** Where the repository lets changes be marked as merged by hand, so; else it is said and closed. */
async function showMerged(
  api: Api,
  { wire, task, mergedSha }: { wire: WirePull; task: string; mergedSha: string },
): Promise<void> {
  const body = { Do: 'manually-merged', MergeCommitID: mergedSha }
  const doing = `mark ${api.ref}#${wire.number} as merged`
  const path = `/pulls/${wire.number}/merge`
  const answer = await api.call({ method: 'POST', path, body, doing, accept: [404, 405, 409] })
  if (answer.status < 300) return
  const said = `Landed on ${wire.base.ref} as ${mergedSha}.`
  await ensureComment(api, String(wire.number), { key: `landed:${task}`, body: said })
  await closePull(api, wire.number)
}

async function closePull(api: Api, number: number): Promise<WirePull> {
  const doing = `close change ${api.ref}#${number}`
  // 412: it was merged meanwhile.
  const request = {
    method: 'PATCH',
    path: `/pulls/${number}`,
    body: { state: 'closed' },
    doing,
    accept: [412],
  } as const
  const answer = await api.call(request)
  return answer.status === 412 ? readPull(api, number) : read(pull, answer.json, doing)
}

async function closeChange({ api, memory, own }: Place, task: string): Promise<ChangeRow | null> {
  const row = await own.find(task)
  if (!row || row.state === 'merged') return row
  const found = await readPull(api, row.number)
  const wire = stateOf(found) === 'open' ? await closePull(api, row.number) : found
  const { state, mergedSha } = toChange(wire)
  return saveChange(memory, row, { ...row, state, mergedSha, updatedAt: wire.updated_at })
}
