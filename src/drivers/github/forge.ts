// Pull requests at GitHub. Ours is the one of the task's branch in this very repository to the task's base; a fork's branch
// of the same name is somebody else's.

import { z } from 'zod'
import { ExternalError } from '../../lib/errors.ts'
import type { ChangeRow } from '../../store/store.ts'
import type { ChangeMemory, ChangeRequest, RemoteForge } from '../driver.ts'
import { makeOwnChanges, type OwnChanges, saveChange } from '../own-changes.ts'
import { checksOf } from './checks.ts'
import { ensureComment, ensureReaction, labelledBy, listComments, trustOf } from './comments.ts'
import type { Api } from './connection.ts'
import { isQueued, merge, readPull } from './merge.ts'
import { fitted, sameText } from '../marked.ts'
import { addReview, ensureReply, listReviews, listThreads, reviewersOf } from './threads.ts'
import { hasName } from './tracker.ts'
import { comparison, pull, read, stateOf, toChange, type WirePull } from './wire.ts'

/** GitHub's limit of a title. */
const MAX_TITLE = 256

interface Place {
  api: Api
  memory: ChangeMemory
  own: OwnChanges
}

export function makeForge(api: Api, memory: ChangeMemory): RemoteForge {
  const own = makeOwnChanges({ memory, isHere: (row) => isHere(api, row), confirm: (row) => isKnown(api, row) })
  const place: Place = { api, memory, own }
  const numberOf = (task: string): Promise<number> => getNumber(place, task)
  return {
    ensureChange: (request) => ensureChange(place, request),
    addReview: (review) => addReview(api, review),
    markMerged: (task, mergedSha) => markMerged(place, { task, mergedSha }),
    closeChange: (task) => closeChange(place, task),
    async findChange(task) {
      const row = await own.find(task)
      const wire = row && (await findPresent(api, row))
      return wire ? toChange(wire, await isQueued(api, wire)) : null
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
    merge: async ({ task, ...order }) => merge(api, { ...order, number: await numberOf(task) }),
  }
}

function isHere(api: Api, { number, url }: ChangeRow): boolean {
  return (url ?? '').toLowerCase().endsWith(`/${api.ref.toLowerCase()}/pull/${number}`)
}

async function isKnown(api: Api, row: ChangeRow): Promise<boolean> {
  const wire = await findPull(api, row.number)
  return wire !== null && isOurs(wire, row)
}

async function getNumber({ api, own }: Place, task: string): Promise<number> {
  const row = await own.find(task)
  if (row) return row.number
  const message = `${task} has no change at ${api.ref}: open it first`
  throw new ExternalError({ system: 'github', kind: 'not-found', message })
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

async function ensureChange({ api, memory, own }: Place, wanted: ChangeRequest): Promise<ChangeRow> {
  const row = memory.getChange(wanted.task)
  // What was merged stays merged, whatever is pushed to its branch afterwards.
  if (row?.state === 'merged') return row
  const request = { ...wanted, title: wanted.title.slice(0, MAX_TITLE), body: fitted(wanted.body) }
  const existing = await findOurs(api, request, await own.find(wanted.task))
  const current = existing ? await bringUpToDate(api, request, existing) : await openPull(api, request)
  const saved = await saveChange(memory, row, rowOf(wanted, current))
  if (stateOf(current) !== 'merged') await dress(api, request, current)
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
  // A person may have closed it and opened another of the same branch.
  if (known && stateOf(known) !== 'closed') return known
  const [owner = ''] = api.ref.split('/')
  const head = encodeURIComponent(`${owner}:${request.branch}`)
  const { items } = await api.list({
    path: `/pulls?state=all&head=${head}&base=${encodeURIComponent(request.base)}&sort=created&direction=desc`,
    doing: `look for the change of ${request.branch} at ${api.ref}`,
    schema: pull,
    key: ({ number }) => number,
  })
  const ours = items.filter((wire) => isOurs(wire, request))
  return ours.find(({ state }) => state === 'open') ?? known ?? ours[0] ?? null
}

/** The repository of both sides is the same one, whatever it is called now. */
function isOurs({ head, base }: WirePull, ours: Pick<ChangeRow, 'branch' | 'base'>): boolean {
  const here = base.repo?.full_name
  return head.repo?.full_name === here && here !== undefined && head.ref === ours.branch && base.ref === ours.base
}

/** Throws `rejected` when there is nothing to show. */
async function openPull(api: Api, request: ChangeRequest): Promise<WirePull> {
  const { title, branch: head, base, body, draft = false } = request
  const doing = `open the change of ${request.task} at ${api.ref}`
  try {
    const { json } = await api.call({ method: 'POST', path: '/pulls', body: { title, head, base, body, draft }, doing })
    return read(pull, json, doing)
  } catch (error) {
    if (!(error instanceof ExternalError) || error.kind !== 'rejected') throw error
    // Another of us was faster, or an answer was lost.
    const existing = await findOurs(api, request, null)
    if (existing && existing.state === 'open') return existing
    // Not every plan has drafts. Where that is not the reason, it is refused again.
    if (!draft) throw error
    return openPull(api, { ...request, draft: false })
  }
}

async function bringUpToDate(api: Api, request: ChangeRequest, wire: WirePull): Promise<WirePull> {
  if (stateOf(wire) === 'merged') return wire
  const { title, body } = request
  const changes = {
    ...(sameText(wire.title, title) ? {} : { title }),
    ...(sameText(wire.body, body) ? {} : { body }),
    ...(wire.state === 'closed' ? { state: 'open' } : {}),
  }
  if (Object.keys(changes).length === 0) return wire
  const doing = `bring the change of ${request.task}, ${api.ref}#${wire.number}, up to date`
  try {
    const { json } = await api.call({ method: 'PATCH', path: `/pulls/${wire.number}`, body: changes, doing })
    return read(pull, json, doing)
  } catch (error) {
    // One whose branch was deleted or rewritten while it was closed can't be opened again.
    const stuck = error instanceof ExternalError && error.kind === 'rejected' && wire.state === 'closed'
    if (!stuck) throw error
    return openPull(api, request)
  }
}

/** Draft or not, labels and reviewers: what a change has beside its text. */
async function dress(api: Api, request: ChangeRequest, wire: WirePull): Promise<void> {
  const doing = `bring the change of ${request.task}, ${api.ref}#${wire.number}, up to date`
  const labels = (request.labels ?? []).filter((name) => !hasName(wire.labels, name))
  if (labels.length > 0)
    await api.call({ method: 'POST', path: `/issues/${wire.number}/labels`, body: { labels }, doing })
  await askReviewers(api, request, wire)
  const isDraft = wire.draft ?? false
  if (request.draft === undefined || request.draft === isDraft) return
  const mutation = isDraft ? 'markPullRequestReadyForReview' : 'convertPullRequestToDraft'
  const query = `mutation($id: ID!) { ${mutation}(input: { pullRequestId: $id }) { pullRequest { isDraft } } }`
  try {
    await api.graphql({ query, variables: { id: wire.node_id }, doing, schema: z.object({}) })
  } catch (error) {
    // As at its opening: where there are no drafts, it stays one for all to see.
    if (isDraft || !(error instanceof ExternalError) || error.kind !== 'rejected') throw error
  }
}

async function askReviewers(api: Api, request: ChangeRequest, wire: WirePull): Promise<void> {
  const asked = [...(wire.requested_reviewers ?? []), wire.user].map(({ login }) => login)
  const teams = (wire.requested_teams ?? []).map(({ slug }) => slug)
  const people = (request.reviewers ?? []).filter((name) => !name.includes('/') && !hasName(asked, name))
  // `org/team`.
  const groups = (request.reviewers ?? [])
    .flatMap((name) => name.split('/').slice(1))
    .filter((slug) => !hasName(teams, slug))
  if (people.length === 0 && groups.length === 0) return
  const done = people.length === 0 ? [] : await reviewersOf(api, wire.number)
  const reviewers = people.filter((name) => !hasName(done, name))
  if (reviewers.length === 0 && groups.length === 0) return
  const doing = `ask ${[...reviewers, ...groups].join(', ')} to review ${api.ref}#${wire.number}`
  const body = { reviewers, ...(groups.length > 0 ? { team_reviewers: groups } : {}) }
  await api.call({ method: 'POST', path: `/pulls/${wire.number}/requested_reviewers`, body, doing })
}

function rowOf(request: ChangeRequest, wire: WirePull): ChangeRow {
  const { project, task, branch, base, head, title, body } = request
  const { state, mergedSha, url } = toChange(wire)
  const times = { createdAt: wire.created_at, updatedAt: wire.updated_at }
  return { project, task, branch, base, head, title, body, state, mergedSha, url, number: wire.number, ...times }
}

async function markMerged(
  { api, memory, own }: Place,
  { task, mergedSha }: { task: string; mergedSha: string },
): Promise<ChangeRow | null> {
  const row = memory.getChange(task)
  if (!row || (row.state === 'merged' && row.mergedSha === mergedSha)) return row
  const wire = (await own.find(task)) && (await findPull(api, row.number))
  // GitHub itself marks a change merged whose head is in its base. After a squash the head never is.
  if (wire && stateOf(wire) === 'open' && !(await holds(api, mergedSha, wire.head.sha))) {
    const body = `Landed on ${wire.base.ref} as ${mergedSha}.`
    await ensureComment(api, String(row.number), { key: `landed:${task}`, body })
    await closePull(api, row.number)
  }
  return saveChange(memory, row, { ...row, state: 'merged', mergedSha, updatedAt: wire?.updated_at ?? row.updatedAt })
}

async function holds(api: Api, mergedSha: string, head: string): Promise<boolean> {
  const doing = `ask whether ${mergedSha.slice(0, 12)} of ${api.ref} holds ${head.slice(0, 12)}`
  const { json } = await api.call({ path: `/compare/${encodeURIComponent(mergedSha)}...${head}`, doing })
  return ['behind', 'identical'].includes(read(comparison, json, doing).status)
}

async function closePull(api: Api, number: number): Promise<WirePull> {
  const doing = `close change ${api.ref}#${number}`
  const { json } = await api.call({ method: 'PATCH', path: `/pulls/${number}`, body: { state: 'closed' }, doing })
  return read(pull, json, doing)
}

async function closeChange({ api, memory, own }: Place, task: string): Promise<ChangeRow | null> {
  const row = await own.find(task)
  if (!row || row.state === 'merged') return row
  const found = await readPull(api, row.number)
  const wire = stateOf(found) === 'open' ? await closePull(api, row.number) : found
  const { state, mergedSha } = toChange(wire)
  return saveChange(memory, row, { ...row, state, mergedSha, updatedAt: wire.updated_at })
}
