// Issues at GitHub. A pull request has an issue's number and is none; an issue that was moved to another repository is gone.

import type { Issue, IssueView, Tracker } from '../driver.ts'
import { ensureComment, ensureReaction, isoSeconds, listComments, trustOf } from './comments.ts'
import type { Api } from './connection.ts'
import { hasLinks, issue, label, linkedIssue, read, repository, repositoryOf, toIssue, type WireIssue } from './wire.ts'

export function makeTracker(api: Api): Tracker {
  return {
    async findIssue(id) {
      const wire = await findWire(api, id)
      return wire && toIssue(wire, api.ref, await readLinks(api, wire))
    },
    listIssues: ({ since }) => listIssues(api, since),
    listComments: ({ issue: id, since }) => listComments(api, numberOf(id), since),
    trustOf: (login) => trustOf(api, login),
    ensureView: (id, view) => ensureView(api, id, view),
    ensureComment: (id, comment) => ensureComment(api, numberOf(id), comment),
    ensureReaction: ({ comment, sign }) => ensureReaction(api, comment, sign),
  }
}

/** Ids come from stored origins; what is no number reaches no address. */
function numberOf(id: string): string {
  return /^[1-9]\d{0,9}$/.test(id) ? id : '0'
}

async function findWire(api: Api, id: string): Promise<WireIssue | null> {
  const doing = `read issue ${api.ref}#${id}`
  const answer = await api.call({ path: `/issues/${numberOf(id)}`, doing, accept: [404, 410] })
  // A token that lost its rights is told the same: that is no reason to give up an issue's task.
  if (answer.status === 404) await api.call({ path: '', doing: `${doing}: see the repository` })
  if (answer.status !== 200) return null
  const wire = read(issue, answer.json, doing)
  if (wire.pull_request) return null
  return (await isHere(api, wire)) ? wire : null
}

/** The address of a moved issue leads to where it is now; that of a renamed repository's issue does too. */
async function isHere(api: Api, wire: WireIssue): Promise<boolean> {
  const at = repositoryOf(wire.url)
  if (at === null || at === api.ref.toLowerCase()) return true
  const doing = `ask what ${api.ref} is called now`
  const { json } = await api.call({ path: '', doing })
  return read(repository, json, doing).full_name.toLowerCase() === at
}

async function listIssues(api: Api, since: number | null): Promise<{ unchanged: boolean; issues: Issue[] }> {
  const query =
    since === null
      ? 'state=open&sort=created&direction=asc'
      : `state=all&sort=updated&direction=asc&since=${isoSeconds(since)}`
  const { unchanged, items } = await api.list({
    path: `/issues?${query}`,
    doing: `list the issues of ${api.ref}`,
    schema: issue,
    key: ({ number }) => number,
  })
  const issues: Issue[] = []
  for (const wire of items) if (!wire.pull_request) issues.push(toIssue(wire, api.ref, await readLinks(api, wire)))
  return { unchanged, issues }
}

/** What GitHub's own links say it waits for: issues that block it, and its parts. Asked where the issue says there are any. */
async function readLinks(api: Api, wire: WireIssue): Promise<number[]> {
  if (!hasLinks(wire)) return []
  const here = repositoryOf(wire.url)
  const numbers: number[] = []
  for (const path of ['dependencies/blocked_by', 'sub_issues']) {
    const doing = `read what ${api.ref}#${wire.number} waits for`
    const { items } = await api.list({
      path: `/issues/${wire.number}/${path}`,
      doing,
      schema: linkedIssue,
      key: ({ url }) => url,
    })
    numbers.push(...items.filter(({ url }) => repositoryOf(`${url}/`) === here).map(({ number }) => number))
  }
  return numbers
}

async function ensureView(api: Api, id: string, view: IssueView): Promise<{ missing: string[] }> {
  const doing = `show where issue ${api.ref}#${id} is`
  const { json } = await api.call({ path: `/issues/${numberOf(id)}`, doing })
  const now = read(issue, json, doing)
  // GitHub's issues are in no column.
  const missing = view.column === null ? [] : [view.column]
  const on = view.labelsOn.filter((name) => !hasName(now.labels, name))
  const known = on.length === 0 ? [] : await labelNames(api)
  missing.push(...on.filter((name) => !hasName(known, name)))
  // GitHub would make a label that it does not know.
  const labels = on.filter((name) => hasName(known, name))
  if (labels.length > 0)
    await api.call({ method: 'POST', path: `/issues/${now.number}/labels`, body: { labels }, doing })
  for (const name of view.labelsOff.filter((label) => hasName(now.labels, label))) {
    const path = `/issues/${now.number}/labels/${encodeURIComponent(name)}`
    await api.call({ method: 'DELETE', path, doing, accept: [404] })
  }
  if (view.close !== null && now.state === 'open') {
    const body = { state: 'closed', state_reason: view.close === 'completed' ? 'completed' : 'not_planned' }
    await api.call({ method: 'PATCH', path: `/issues/${now.number}`, body, doing })
  }
  return { missing }
}

/** Labels differ by more than the case of their letters. */
export function hasName(names: readonly string[], name: string): boolean {
  return names.some((one) => one.toLowerCase() === name.toLowerCase())
}

export async function labelNames(api: Api): Promise<string[]> {
  const doing = `list the labels of ${api.ref}`
  const { items } = await api.list({ path: '/labels', doing, schema: label, key: ({ name }) => name })
  return items.map(({ name }) => name)
}
