// Issues at Gitea. A pull request has an issue's number and is none.

import type { Issue, IssueView, Tracker } from '../driver.ts'
import { ensureComment, ensureReaction, isoSeconds, listComments, trustOf } from './comments.ts'
import type { Api } from './connection.ts'
import type { Labels } from './labels.ts'
import { issue, linkedIssue, read, toIssue, type WireIssue } from './wire.ts'

export function makeTracker(api: Api, labels: Labels): Tracker {
  return {
    findIssue: (id) => findIssue(api, id),
    listIssues: ({ since }) => listIssues(api, since),
    listComments: ({ issue: id, since }) => listComments(api, numberOf(id), since),
    trustOf: (login) => trustOf(api, login),
    ensureView: (id, view) => ensureView(api, labels, { id, view }),
    ensureComment: (id, comment) => ensureComment(api, numberOf(id), comment),
    ensureReaction: ({ comment, sign }) => ensureReaction(api, comment, sign),
  }
}

/** Ids come from stored origins; what is no number reaches no address. */
function numberOf(id: string): string {
  return /^[1-9]\d{0,9}$/.test(id) ? id : '0'
}

async function findIssue(api: Api, id: string): Promise<Issue | null> {
  const doing = `read issue ${api.ref}#${id}`
  const answer = await api.call({ path: `/issues/${numberOf(id)}`, doing, accept: [404, 410] })
  // A token that lost its rights is told the same: that is no reason to give up an issue's task.
  if (answer.status === 404) await api.call({ path: '', doing: `${doing}: see the repository` })
  if (answer.status !== 200) return null
  const wire = read(issue, answer.json, doing)
  if (wire.pull_request) return null
  return toIssue(wire, api.ref, (await readLinks(api, wire)) ?? [])
}

async function listIssues(api: Api, since: number | null): Promise<{ unchanged: boolean; issues: Issue[] }> {
  const query = since === null ? 'state=open' : `state=all&since=${isoSeconds(since)}`
  const { unchanged, items } = await api.list({
    path: `/issues?type=issues&${query}`,
    doing: `list the issues of ${api.ref}`,
    schema: issue,
    key: ({ number }) => number,
  })
  const issues: Issue[] = []
  let hasLinks = true
  for (const wire of items) {
    if (wire.pull_request) continue
    const links: number[] | null = hasLinks ? await readLinks(api, wire) : []
    hasLinks &&= links !== null
    issues.push(toIssue(wire, api.ref, links ?? []))
  }
  return { unchanged, issues }
}

/** Issues of this repository that it depends on. Null where the repository has dependencies switched off. */
async function readLinks(api: Api, wire: WireIssue): Promise<number[] | null> {
  // What is closed waits for nothing.
  if (wire.state === 'closed') return []
  const { items, absent } = await api.list({
    path: `/issues/${wire.number}/dependencies`,
    doing: `read what ${api.ref}#${wire.number} waits for`,
    schema: linkedIssue,
    key: ({ id }) => id,
    absent: [404],
  })
  if (absent) return null
  const here = (wire.repository?.full_name ?? api.ref).toLowerCase()
  return items
    .filter(({ repository, pull_request: isPull }) => !isPull && (repository?.full_name ?? here).toLowerCase() === here)
    .map(({ number }) => number)
}

async function ensureView(
  api: Api,
  labels: Labels,
  { id, view }: { id: string; view: IssueView },
): Promise<{ missing: string[] }> {
  const doing = `show where issue ${api.ref}#${id} is`
  const now = read(issue, (await api.call({ path: `/issues/${numberOf(id)}`, doing })).json, doing)
  // The API knows nothing of the columns of Gitea's boards.
  const missing = view.column === null ? [] : [view.column]
  missing.push(...(await labels.ensureOn(now.number, { names: view.labelsOn, at: now.labels })))
  await labels.ensureOff(now.number, { names: view.labelsOff, at: now.labels })
  if (view.close !== null && now.state === 'open')
    await api.call({ method: 'PATCH', path: `/issues/${now.number}`, body: { state: 'closed' }, doing })
  return { missing }
}
