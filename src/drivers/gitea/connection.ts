// One connection to the API of a Gitea or Forgejo server: credential, headers, refusals by kind, pages. All repositories of
// the server share it.

import { ExternalError } from '../../lib/errors.ts'
import { type Http, type HttpAnswer, type HttpProblem, type HttpRequest, makeHttp } from '../../lib/http.ts'
import type { Schema } from '../answers.ts'
import { read, wordsOf } from './wire.ts'

export interface GiteaOptions {
  /** The server's address as people open it, such as `https://git.example.org` or `https://example.org/gitea`. */
  url: string
  token: string
  /** Where the token came from, for messages. Default: GITEA_TOKEN. */
  source?: string
  /** Time of day in ms. */
  now: () => number
  timeoutMs?: number
  /**
   * Gitea answers the same for a change that it has not compared with its base yet and for one that conflicts with it: what
   * stays so for this long is a conflict. Default: one minute.
   */
  mergeCheckMs?: number
}

export interface Call {
  method?: HttpRequest['method']
  /** Below the repository, or below the API where it begins with a `//`. */
  path: string
  body?: unknown
  doing: string
  accept?: readonly number[]
  tailBytes?: number
}

export interface ListRequest<T> {
  path: string
  doing: string
  schema: Schema<T>
  /** The list's field, where it is not the answer itself. */
  field?: string
  key: (item: T) => string | number
  /** What Gitea gives whole, whatever page is asked for. */
  whole?: true
  /** Grows at its end alone, and counts each page by itself: read once, until a page is empty. */
  grows?: true
  /** Statuses that say that there is no such list. */
  absent?: readonly number[]
}

export interface Listed<T> {
  items: T[]
  /** Nothing is new in it. */
  unchanged: boolean
  /** There is no such list. */
  absent: boolean
}

/** The API as one repository's parts see it. Throws ExternalError. */
export interface Api {
  /** `owner/name` as it was given. */
  ref: string
  /** The server's address, for links that it gives without one. */
  url: string
  now: () => number
  mergeCheckMs: number
  /** Our own login. */
  self(): Promise<string>
  call(call: Call): Promise<HttpAnswer>
  /** All of a list, each item once by `key`, also when it shifts while it is read. */
  list<T>(request: ListRequest<T>): Promise<Listed<T>>
}

export interface Connection {
  source: string
  repository(ref: string): Api
  call(call: Call): Promise<HttpAnswer>
  counts(): { requests: number; unchanged: number }
}

/** Gitea gives no more than that at once where its administrator did not allow more (MAX_RESPONSE_ITEMS). */
const PER_PAGE = 50
/** Far more than any list in use has; a circle of pages must end. */
const MAX_PAGES = 400
/** A list that shifts is read until it is whole or twice reads the same, so often at most. */
const MAX_PASSES = 4
/** A queue that compares changes with their base needs seconds; a minute is a busy server's. */
const MERGE_CHECK_MS = 60_000

interface State {
  options: GiteaOptions
  http: Http
  source: string
  requests: number
  unchanged: number
}

/** Calls nobody yet. `self` tells our login when it is first needed. */
export function makeConnection(options: GiteaOptions, self: () => Promise<string>): Connection {
  const { now, timeoutMs, token } = options
  const source = options.source ?? 'GITEA_TOKEN'
  const http = makeHttp({
    system: 'gitea',
    now,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    headers: () => ({ authorization: `token ${token.trim()}`, 'user-agent': 'orch' }),
    readError: (answer) => readRefusal(source, answer),
  })
  const state: State = { options, http, source, requests: 0, unchanged: 0 }
  return {
    source,
    repository: (ref) => makeApi(state, ref, self),
    call: (call) => send(state, '', call),
    counts: () => ({ requests: state.requests, unchanged: state.unchanged }),
  }
}

function makeApi(state: State, ref: string, self: () => Promise<string>): Api {
  const { url, now, mergeCheckMs = MERGE_CHECK_MS } = state.options
  const call = (request: Call): Promise<HttpAnswer> => send(state, ref, request)
  return { ref, url, now, mergeCheckMs, self, call, list: (request) => list(call, request) }
}

async function send(state: State, ref: string, call: Call): Promise<HttpAnswer> {
  const { method = 'GET', path, body, doing, accept, tailBytes } = call
  const base = `${state.options.url.replace(/\/+$/, '')}/api/v1`
  state.requests += 1
  const answer = await state.http.send({
    method,
    url: path.startsWith('//') ? `${base}${path.slice(1)}` : `${base}/repos/${ref}${path}`,
    doing,
    ...(body === undefined ? {} : { body }),
    ...(accept ? { accept } : {}),
    ...(tailBytes === undefined ? {} : { tailBytes }),
  })
  if (answer.unchanged) state.unchanged += 1
  return answer
}

function readRefusal(source: string, { status, json }: { status: number; json: unknown }): HttpProblem | null {
  if (status === 401) return { kind: 'auth', text: `answered 401: the token of ${source} is not valid (any more)` }
  // Gitea names the scope that a token lacks.
  if (status === 403)
    return {
      kind: 'auth',
      text: `answered 403${wordsOf(json)}; the token of ${source}, or its account, may not do that`,
    }
  return null
}

interface Pass<T> {
  items: T[]
  pages: number
  /** How many there are, by each page's own word; null where a page does not say. */
  totals: (number | null)[]
  unchanged: boolean
  absent: boolean
}

async function list<T>(call: (request: Call) => Promise<HttpAnswer>, request: ListRequest<T>): Promise<Listed<T>> {
  const all = new Map<string | number, T>()
  let before: string | null = null
  for (let pass = 1; ; pass += 1) {
    const read = await readPages(call, request)
    const items = new Map(read.items.map((item) => [request.key(item), item]))
    // What leaves a page while the next is read moves an item to where nobody looks; its number then is another.
    const isWhole = request.grows || read.pages === 1 || read.totals.every((total) => total === items.size)
    const unchanged = pass === 1 && read.unchanged
    if (isWhole) return { items: [...items.values()], unchanged, absent: read.absent }
    const shape = JSON.stringify([...items.keys()])
    if (shape === before) return { items: [...items.values()], unchanged: false, absent: false }
    before = shape
    for (const [key, item] of items) all.set(key, item)
    if (pass === MAX_PASSES) return { items: [...all.values()], unchanged: false, absent: false }
  }
}

async function readPages<T>(call: (request: Call) => Promise<HttpAnswer>, request: ListRequest<T>): Promise<Pass<T>> {
  const { path, doing, schema, field, whole, grows, absent = [] } = request
  const pass: Pass<T> = { items: [], pages: 0, totals: [], unchanged: true, absent: false }
  const seen = new Set<string | number>()
  while (pass.pages < MAX_PAGES) {
    pass.pages += 1
    const query = whole ? '' : `${path.includes('?') ? '&' : '?'}limit=${PER_PAGE}&page=${pass.pages}`
    const answer = await call({ path: `${path}${query}`, doing, accept: absent })
    if (absent.includes(answer.status)) return { ...pass, absent: true }
    const items = itemsOf(answer.json, field, doing).map((item) => read(schema, item, doing))
    const fresh = items.filter((item) => !seen.has(request.key(item)))
    for (const item of items) seen.add(request.key(item))
    pass.items.push(...items)
    pass.unchanged &&= answer.unchanged
    pass.totals.push(grows ? null : totalOf(answer, field))
    if (whole || fresh.length === 0 || !hasNext(answer, pass)) return pass
  }
  throw malformed(doing, `the list has more than ${MAX_PAGES} pages`)
}

function itemsOf(json: unknown, field: string | undefined, doing: string): unknown[] {
  const page = field === undefined ? json : ((json as Record<string, unknown> | null) ?? {})[field]
  // Go writes an empty list as null in places.
  if (page === null) return []
  if (!Array.isArray(page)) throw malformed(doing, `${field ?? 'the answer'} is no list`)
  return page
}

function totalOf({ headers, json }: HttpAnswer, field: string | undefined): number | null {
  if (field !== undefined) {
    const total = (json as Record<string, unknown> | null)?.['total_count']
    return typeof total === 'number' ? total : null
  }
  const total = headers.get('x-total-count')
  return total !== null && /^\d+$/.test(total) ? Number(total) : null
}

/** By `Link`, else by the number of all; where neither is there, until a page brings nothing new. */
function hasNext({ headers }: HttpAnswer, { items, totals }: Pass<unknown>): boolean {
  const link = headers.get('link')
  if (link !== null) return /rel="next"/.test(link)
  const total = totals.at(-1) ?? null
  return total === null ? items.length > 0 : items.length < total
}

function malformed(doing: string, what: string): ExternalError {
  return new ExternalError({ system: 'gitea', kind: 'rejected', message: `could not ${doing}: ${what}` })
}
