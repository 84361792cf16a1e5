// Merging at Gitea: exactly one head, each refusal told apart by looking, since one status stands for many reasons.

import { ExternalError } from '../../lib/errors.ts'
import type { HttpAnswer } from '../../lib/http.ts'
import type { MergeAnswer, MergeMethod } from '../driver.ts'
import type { Api } from './connection.ts'
import { isDraft, pull, read, repository, stateOf, toChange, type WirePull, wordsOf } from './wire.ts'

/** Git's own words on a refused push may be many. */
const MAX_WORDS = 300

interface MergeOrder {
  number: number
  head: string
  method: MergeMethod
  title: string
  message: string
}

export type Merge = (order: MergeOrder) => Promise<MergeAnswer>

/** Safe to repeat: what is merged answers ok. One for all who ask of a repository, since it remembers what it saw. */
export function makeMerge(api: Api): Merge {
  /** Since when a change, with its head and base, was seen to be not mergeable. */
  const unready = new Map<number, { what: string; since: number }>()
  return async (order) => {
    const doing = `merge ${api.ref}#${order.number}`
    const early = readEnd(await readPull(api, order.number), order)
    if (early) return early
    // A rebase keeps the commits' own words.
    const words = order.method === 'rebase' ? {} : { MergeTitleField: order.title, MergeMessageField: order.message }
    const body = { Do: order.method, head_commit_id: order.head, delete_branch_after_merge: false, ...words }
    const path = `/pulls/${order.number}/merge`
    const answer = await api.call({ method: 'POST', path, body, doing, accept: [404, 405, 409] })
    // Its answer is empty.
    const now = await readPull(api, order.number)
    const end = readEnd(now, order)
    if (end) return end
    if (answer.status < 300) throw again(api, order, 'Gitea said yes, and shows it open')
    return explain({ api, order, answer, now, since: sinceWhen(api, unready, now) })
  }
}

export async function readPull(api: Api, number: number): Promise<WirePull> {
  const doing = `read change ${api.ref}#${number}`
  const { json } = await api.call({ path: `/pulls/${number}`, doing })
  return read(pull, json, doing)
}

/** What is settled by the change's own state, whoever settled it. */
function readEnd(wire: WirePull, { number, head }: MergeOrder): MergeAnswer | null {
  const state = stateOf(wire)
  if (state === 'merged') return { ok: true, mergedSha: toChange(wire).mergedSha }
  if (state === 'closed')
    return { ok: false, because: 'not-allowed', text: `change ${number} was closed without merging` }
  if (wire.head.sha !== head) {
    const text = `the head of change ${number} is ${wire.head.sha}, not ${head}`
    return { ok: false, because: 'head-moved', text }
  }
  const text = `change ${number} is a draft: its title says that work on it goes on`
  return isDraft(wire) ? { ok: false, because: 'blocked', text } : null
}

function sinceWhen(api: Api, unready: Map<number, { what: string; since: number }>, wire: WirePull): number {
  const what = `${wire.head.sha} ${wire.base.sha}`
  const before = unready.get(wire.number)
  const since = before?.what === what ? before.since : api.now()
  if (wire.mergeable) unready.delete(wire.number)
  else unready.set(wire.number, { what, since })
  return since
}

/** Why it was refused, by what Gitea shows now. Throws `conflict` where asking again may do. */
async function explain({
  api,
  order,
  answer,
  now,
  since,
}: {
  api: Api
  order: MergeOrder
  answer: HttpAnswer
  now: WirePull
  since: number
}): Promise<MergeAnswer> {
  const said = `Gitea answered ${answer.status}${answer.clean(wordsOf(answer.json)).slice(0, MAX_WORDS)}`
  if (!now.mergeable) {
    // Said of one that was not compared with its base yet, too.
    if (api.now() - since < api.mergeCheckMs) throw again(api, order, `${said}; it may not have looked at it yet`)
    return { ok: false, because: 'not-mergeable', text: `${said}; it conflicts with ${now.base.ref}` }
  }
  const doing = `ask how ${api.ref} may be merged`
  const allowed = read(repository, (await api.call({ path: '', doing })).json, doing)
  const may = { merge: allowed.allow_merge_commits, squash: allowed.allow_squash_merge, rebase: allowed.allow_rebase }
  if (may[order.method] === false)
    return { ok: false, because: 'not-allowed', text: `${said}; ${api.ref} does not allow the method ${order.method}` }
  if (answer.status === 405) return { ok: false, because: 'blocked', text: said }
  // What git said comes without a sentence of Gitea's; a base or head that moved at that moment comes with one.
  if (answer.status === 409 && wordsOf(answer.json) === '')
    return { ok: false, because: 'not-mergeable', text: `${said}; it conflicts with ${now.base.ref}` }
  throw again(api, order, said)
}

function again(api: Api, { number }: MergeOrder, said: string): ExternalError {
  const message = `could not merge ${api.ref}#${number}: ${said}; try again`
  return new ExternalError({ system: 'gitea', kind: 'conflict', message })
}
