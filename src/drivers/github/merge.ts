// Merging at GitHub: exactly one head, each refusal told apart by looking, since one status stands for many reasons.

import { z } from 'zod'
import { ExternalError } from '../../lib/errors.ts'
import type { MergeAnswer, MergeMethod } from '../driver.ts'
import type { Api } from './connection.ts'
import { branchRule, mergeResult, pull, read, repository, stateOf, type WirePull } from './wire.ts'

/** What is quoted of GitHub's own words. */
const MAX_WORDS = 300

interface MergeOrder {
  number: number
  head: string
  method: MergeMethod
  title: string
  message: string
}

/** Safe to repeat: what is merged answers ok, what is queued is not queued again. */
export async function merge(api: Api, order: MergeOrder): Promise<MergeAnswer> {
  const doing = `merge ${api.ref}#${order.number}`
  const before = await readPull(api, order.number)
  const early = readEnd(before, order)
  if (early) return early
  if (await wantsQueue(api, before)) return enqueue(api, before, order)
  const answer = await api.call({
    method: 'PUT',
    path: `/pulls/${order.number}/merge`,
    body: {
      sha: order.head,
      merge_method: order.method,
      // A rebase keeps the commits' own words.
      ...(order.method === 'rebase' ? {} : { commit_title: order.title, commit_message: order.message }),
    },
    doing,
    accept: [405, 409, 422],
  })
  if (answer.status === 200) return { ok: true, mergedSha: read(mergeResult, answer.json, doing).sha }
  return explain(
    api,
    order,
    `GitHub answered ${answer.status}${answer.clean(wordsOf(answer.json)).slice(0, MAX_WORDS)}`,
  )
}

export async function readPull(api: Api, number: number): Promise<WirePull> {
  const doing = `read change ${api.ref}#${number}`
  const { json } = await api.call({ path: `/pulls/${number}`, doing })
  return read(pull, json, doing)
}

function wordsOf(json: unknown): string {
  const parsed = z.object({ message: z.string() }).safeParse(json)
  return parsed.success ? `: ${parsed.data.message}` : ''
}

/** What is settled by the change's own state, whoever settled it. */
function readEnd(wire: WirePull, { number, head }: MergeOrder): MergeAnswer | null {
  const state = stateOf(wire)
  if (state === 'merged') return { ok: true, mergedSha: wire.merge_commit_sha ?? null }
  if (state === 'closed')
    return { ok: false, because: 'not-allowed', text: `change ${number} was closed without merging` }
  if (wire.head.sha === head) return null
  const text = `the head of change ${number} is ${wire.head.sha}, not ${head}`
  return { ok: false, because: 'head-moved', text }
}

/** Why it was refused, by what GitHub shows now. Throws `unreachable` where asking again may do. */
async function explain(api: Api, order: MergeOrder, said: string): Promise<MergeAnswer> {
  const now = await readPull(api, order.number)
  const end = readEnd(now, order)
  if (end) return end
  if (now.mergeable === false || now.mergeable_state === 'dirty')
    return { ok: false, because: 'not-mergeable', text: `${said}; it conflicts with ${now.base.ref}` }
  const doing = `ask how ${api.ref} may be merged`
  const allowed = read(repository, (await api.call({ path: '', doing })).json, doing)
  const may = {
    merge: allowed.allow_merge_commit,
    squash: allowed.allow_squash_merge,
    rebase: allowed.allow_rebase_merge,
  }
  if (may[order.method] === false)
    return { ok: false, because: 'not-allowed', text: `${said}; ${api.ref} does not allow the method ${order.method}` }
  // Rules of the older kind (branch protection) don't name a queue where rules are listed.
  if ((await readQueue(api, order.number)).isMergeQueueEnabled) return enqueue(api, now, order)
  const blocked = ['blocked', 'behind', 'draft'].includes(now.mergeable_state ?? '') || now.draft === true
  if (blocked)
    return { ok: false, because: 'blocked', text: `${said}; GitHub shows it as ${now.mergeable_state ?? 'draft'}` }
  const message = `could not merge ${api.ref}#${order.number}: ${said}; GitHub names no lasting reason, try again`
  throw new ExternalError({ system: 'github', kind: 'unreachable', message })
}

/** Whether an open change is in the merge queue. GraphQL alone says so, and is asked where there may be one. */
export async function isQueued(api: Api, wire: WirePull): Promise<boolean> {
  if (stateOf(wire) !== 'open' || wire.draft === true) return false
  if (wire.mergeable_state !== 'blocked' && !(await wantsQueue(api, wire))) return false
  return (await readQueue(api, wire.number)).isInMergeQueue
}

async function wantsQueue(api: Api, { base }: WirePull): Promise<boolean> {
  const doing = `read the rules of ${api.ref}@${base.ref}`
  const path = `/rules/branches/${base.ref.split('/').map(encodeURIComponent).join('/')}`
  // 404: a server from before rulesets.
  const answer = await api.call({ path, doing, accept: [404] })
  if (answer.status === 404) return false
  return read(z.array(branchRule), answer.json, doing).some(({ type }) => type === 'merge_queue')
}

const QUEUE = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { id isInMergeQueue isMergeQueueEnabled } } }`
const queueAnswer = z.object({
  repository: z.object({
    pullRequest: z.object({ id: z.string(), isInMergeQueue: z.boolean(), isMergeQueueEnabled: z.boolean() }),
  }),
})
const ENQUEUE = `mutation($id: ID!, $head: GitObjectID!) {
  enqueuePullRequest(input: { pullRequestId: $id, expectedHeadOid: $head }) { mergeQueueEntry { id } } }`

async function readQueue(api: Api, number: number) {
  const [owner, name] = api.ref.split('/')
  const doing = `ask for the merge queue of ${api.ref}`
  const answer = await api.graphql({ query: QUEUE, variables: { owner, name, number }, doing, schema: queueAnswer })
  return answer.repository.pullRequest
}

async function enqueue(api: Api, wire: WirePull, { number, head }: MergeOrder): Promise<MergeAnswer> {
  const { id, isInMergeQueue } = await readQueue(api, number)
  if (isInMergeQueue) return { ok: true, queued: true }
  const doing = `put ${api.ref}#${number} into the merge queue of ${wire.base.ref}`
  try {
    await api.graphql({ query: ENQUEUE, variables: { id, head }, doing, schema: z.object({}) })
  } catch (error) {
    if (!(error instanceof ExternalError) || error.kind !== 'rejected') throw error
    return { ok: false, because: 'blocked', text: error.message }
  }
  return { ok: true, queued: true }
}
