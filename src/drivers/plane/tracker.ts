// Work items at Plane: on a board of states, of which only the group says whether one is over.

import { ExternalError } from '../../lib/errors.ts'
import type { Issue, IssueView, Tracker } from '../driver.ts'
import type { Catalog } from './catalog.ts'
import { ensureComment, listComments } from './comments.ts'
import type { Api } from './connection.ts'
import { toMarkdown } from './html.ts'
import { isUuid, read, relations, stateOf, type WireState, type WorkItem, workItem } from './wire.ts'

export function makeTracker(api: Api, catalog: Catalog): Tracker {
  const links = makeLinks(api)
  const list = makeList(api, async (wire) => toIssue(api, catalog, wire, await links.recall(wire)))
  return {
    async findIssue(id) {
      const wire = await findWire(api, id)
      return wire && toIssue(api, catalog, wire, await links.ask(wire))
    },
    listIssues: ({ since }) => list(since),
    listComments: (request) => listComments(api, catalog, request),
    trustOf: (login) => catalog.trustOf(login),
    ensureView: (id, view) => ensureView(api, catalog, { id, view }),
    ensureComment: (issue, comment) => ensureComment(api, issue, comment),
    speakers: api.speakers,
    // Its public API knows no reactions.
    ensureReaction: () => Promise.resolve(false),
  }
}

async function findWire(api: Api, id: string): Promise<WorkItem | null> {
  if (!isUuid(id)) return null
  const doing = `read issue ${id} of ${api.ref}`
  const answer = await api.call({ path: `/work-items/${id}/`, doing, accept: [404] })
  // A token that lost its rights is told the same: that is no reason to give up an issue's task.
  if (answer.status === 404) await api.call({ path: '/', doing: `${doing}: see the project` })
  if (answer.status === 404) return null
  const wire = read(workItem, answer.json, doing)
  return wire.project === api.project ? wire : null
}

async function toIssue(api: Api, catalog: Catalog, wire: WorkItem, blockedBy: string[]): Promise<Issue> {
  const state = wire.state ? await catalog.stateOf(wire.state) : null
  const labels: string[] = []
  for (const id of wire.labels) {
    const label = await catalog.labelOf(id)
    if (label) labels.push(label.name)
  }
  const assignees: string[] = []
  for (const id of wire.assignees) assignees.push((await catalog.personOf(id)).login)
  return {
    id: wire.id,
    number: wire.sequence_id,
    title: wire.name,
    body: toMarkdown(wire.description_html),
    state: stateOf(state?.group),
    column: state?.name ?? null,
    labels,
    assignees,
    priority: wire.priority,
    author: await catalog.personOf(wire.created_by),
    url: api.urlOf(wire.id),
    createdAt: wire.created_at,
    updatedAt: wire.updated_at,
    // It says when of one that was completed alone, never of one that was cancelled.
    closedAt: null,
    blockedBy,
  }
}

// ---- What an issue waits for

/**
 * Asking costs a request for each issue, of sixty a minute. What was asked for a list is remembered, so that a list which
 * the budget cuts off goes on from there; a relation made at the issue itself changes its time.
 */
const LINKS_TTL_MS = 3_600_000

interface Links {
  ask(wire: WorkItem): Promise<string[]>
  /** As it was when the issue had this time. */
  recall(wire: WorkItem): Promise<string[]>
}

function makeLinks(api: Api): Links {
  const known = new Map<string, { updatedAt: number; until: number; ids: string[] }>()
  const ask = async (wire: WorkItem): Promise<string[]> => {
    const ids = await readLinks(api, wire)
    known.set(wire.id, { updatedAt: wire.updated_at, until: api.now() + LINKS_TTL_MS, ids })
    return ids
  }
  return {
    ask,
    async recall(wire) {
      for (const [id, { until }] of known) if (until <= api.now()) known.delete(id)
      const before = known.get(wire.id)
      return before?.updatedAt === wire.updated_at ? before.ids : ask(wire)
    },
  }
}

async function readLinks(api: Api, wire: WorkItem): Promise<string[]> {
  const doing = `read what issue ${wire.id} of ${api.ref} waits for`
  const answer = await api.call({ path: `/work-items/${wire.id}/relations/`, doing, accept: [404] })
  // Deleted since it was read.
  if (answer.status === 404) return []
  const { blocked_by: all } = read(relations, answer.json, doing)
  const here = all.filter(({ project_id: project }) => !project || project === api.project)
  return [...new Set(here.map(({ issue_id: id }) => id))]
}

// ---- Lists

interface Seen {
  since: number
  /** Of the whole list, by its newest issue. */
  mark: string
  issues: Issue[]
}

type List = (since: number | null) => Promise<{ unchanged: boolean; issues: Issue[] }>

/** Newest first, so that what was read before need not be read again; Plane's public API has no filter by time or state. */
function makeList(api: Api, convert: (wire: WorkItem) => Promise<Issue>): List {
  const seen = new Map<'open' | 'changed', Seen>()
  return async (since) => {
    const kind = since === null ? 'open' : 'changed'
    const from = since ?? -Infinity
    const before = seen.get(kind)
    const { items, total, enough } = await api.list({
      path: '/work-items/?order_by=-updated_at',
      doing: `list the issues of ${api.ref}`,
      schema: workItem,
      key: ({ id }) => id,
      stamp: stampOf,
      isPast: ({ updated_at: at }) => at < from,
      isEnough: (first) => before !== undefined && from >= before.since && markOf(first) === before.mark,
    })
    if (before && enough) return { unchanged: true, issues: before.issues.filter(({ updatedAt }) => updatedAt >= from) }
    const issues: Issue[] = []
    for (const wire of items) {
      if (wire.updated_at < from || wire.project !== api.project) continue
      const issue = await convert(wire)
      if (since !== null || issue.state === 'open') issues.push(issue)
    }
    const newest = items.toSorted((a, b) => b.updated_at - a.updated_at)
    seen.set(kind, { since: from, mark: markOf({ items: newest, total }), issues })
    return { unchanged: false, issues }
  }
}

function stampOf({ id, updated_at: at }: WorkItem): string {
  return `${id} ${at}`
}

function markOf({ items: [newest], total }: { items: WorkItem[]; total: number | null }): string {
  return `${total ?? ''} ${newest ? stampOf(newest) : ''}`
}

// ---- The view

async function ensureView(
  api: Api,
  catalog: Catalog,
  { id, view }: { id: string; view: IssueView },
): Promise<{ missing: string[] }> {
  const first = await tryView(api, catalog, { id, view, again: false })
  if (first.isDone) return { missing: first.missing }
  // A state or a label was deleted, renamed or made since the names were read.
  catalog.forget()
  const { missing } = await tryView(api, catalog, { id, view, again: true })
  return { missing }
}

interface Tried {
  missing: string[]
  isDone: boolean
}

async function tryView(
  api: Api,
  catalog: Catalog,
  { id, view, again }: { id: string; view: IssueView; again: boolean },
): Promise<Tried> {
  const doing = `show where issue ${id} of ${api.ref} is`
  const now = await findWire(api, id)
  if (!now) throw new ExternalError({ system: 'plane', kind: 'not-found', message: `could not ${doing}: it is gone` })
  const { state, missing } = await stateFor(catalog, now, view)
  const labels = await labelsFor(catalog, now, view)
  missing.push(...labels.missing)
  const isLabelled = labels.ids.length === now.labels.length && labels.ids.every((one) => now.labels.includes(one))
  const body = { ...(state ? { state: state.id } : {}), ...(isLabelled ? {} : { labels: labels.ids }) }
  if (Object.keys(body).length === 0) return { missing, isDone: true }
  const path = `/work-items/${now.id}/`
  // So it says that it does not know the state. Of one whose name was just read it means something else.
  const accept = state && !again ? [400] : []
  const answer = await api.call({ method: 'PATCH', path, body, doing, accept })
  if (answer.status === 400) return { missing, isDone: false }
  // Of labels it says nothing.
  const after = read(workItem, answer.json, doing)
  const dropped = labels.on.filter((one) => !after.labels.includes(one.id)).map(({ name }) => name)
  return { missing: [...missing, ...dropped], isDone: dropped.length === 0 }
}

/** The state to put it in, or null to leave it. Never opens one that is over, and never stamps it otherwise. */
async function stateFor(
  catalog: Catalog,
  now: WorkItem,
  { column, close }: IssueView,
): Promise<{ state: WireState | null; missing: string[] }> {
  if (column === null && close === null) return { state: null, missing: [] }
  const current = now.state ? await catalog.stateOf(now.state) : null
  const group = stateOf(current?.group)
  const states = await catalog.states()
  const named = column === null ? undefined : states.find(({ name }) => isSame(name, column))
  const missing = column !== null && !named ? [column] : []
  const target = group === 'open' ? (close ?? (named ? stateOf(named.group) : 'open')) : group
  const fits = (one: WireState): boolean => stateOf(one.group) === target
  const chosen = named && fits(named) ? named : undefined
  if (chosen) return { state: chosen.id === now.state ? null : chosen, missing }
  if (close === null || group !== 'open') return { state: null, missing }
  const ends = states.filter(fits).toSorted((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0))
  const end = ends.find((one) => one.default === true) ?? ends[0]
  return end ? { state: end, missing } : { state: null, missing: [...missing, close] }
}

interface LabelChange {
  ids: string[]
  /** Newly put on. */
  on: { id: string; name: string }[]
  missing: string[]
}

async function labelsFor(catalog: Catalog, now: WorkItem, { labelsOn, labelsOff }: IssueView): Promise<LabelChange> {
  if (labelsOn.length + labelsOff.length === 0) return { ids: now.labels, on: [], missing: [] }
  const all = await catalog.labels()
  const idsOf = (name: string): string[] => all.filter((one) => isSame(one.name, name)).map(({ id }) => id)
  const off = new Set(labelsOff.flatMap(idsOf))
  const ids = now.labels.filter((id) => !off.has(id))
  const on: LabelChange['on'] = []
  const missing: string[] = []
  for (const name of labelsOn) {
    const [id, ...twins] = idsOf(name)
    if (id === undefined) missing.push(name)
    else if (![id, ...twins].some((one) => ids.includes(one))) {
      ids.push(id)
      on.push({ id, name })
    }
  }
  return { ids, on, missing }
}

/** Names differ by more than the case of their letters. */
export function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
