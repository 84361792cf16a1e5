// One connection to Plane's API: the shared token and those of the roles' own bots, headers, budget, refusals by kind, pages.

import { ExternalError } from '../../lib/errors.ts'
import { type Http, type HttpAnswer, type HttpProblem, type HttpRequest, makeHttp, retryAfter } from '../../lib/http.ts'
import type { Quota } from '../driver.ts'
import type { Schema } from '../answers.ts'
import { me, page, read } from './wire.ts'

export interface PlaneOptions {
  /** Where the API is: `https://api.plane.so`, or the address of one's own server. */
  url: string
  token: string
  /** Where the token came from, for messages. Default: PLANE_TOKEN. */
  source?: string
  /** Tokens of accounts that speak for one role each; a role without one speaks by the shared token (C-60). */
  bots?: Readonly<Record<string, string>>
  /** Where people open Plane, for links, where that is not the API's address. */
  webUrl?: string
  /** Time of day in ms. */
  now: () => number
  timeoutMs?: number
  /** How long names of states, labels and members are remembered; 0 for as long as the process lives (C-113). Default: 300,000. */
  catalogTtlMs?: number
}

export interface Call {
  method?: HttpRequest['method']
  /** Below the project, or below the API where it begins with a `//`. Plane's paths end in a slash. */
  path: string
  body?: unknown
  doing: string
  accept?: readonly number[]
  /** Who says it; default is the shared token's account. */
  account?: Account
}

export interface ListRequest<T> {
  path: string
  doing: string
  schema: Schema<T>
  key: (item: T) => string
  /** Changes with the item: what shifts a list while it is read is seen by it. */
  stamp: (item: T) => string
  /** The list's order says that nothing of interest follows this one. */
  isPast?: (item: T) => boolean
  /** Looks at the first page: true where nothing more need be read. */
  isEnough?: (first: { items: T[]; total: number | null }) => boolean
}

export interface Listed<T> {
  items: T[]
  total: number | null
  /** `isEnough` said so: only the first page is in `items`. */
  enough: boolean
}

/** An account of our own. */
export interface Account {
  /** Null: the shared one. */
  role: string | null
  id: string
  login: string
}

/** The API as one project's parts see it. Throws ExternalError. */
export interface Api {
  /** `workspace/project-uuid`. */
  ref: string
  project: string
  now: () => number
  catalogTtlMs: number
  /** The page of an issue. */
  urlOf(issue: string): string
  /** Our own accounts; each is asked for once. */
  accounts(): Promise<Account[]>
  /** Roles that have a bot of their own. */
  speakers: readonly string[]
  /** Who speaks for the role. */
  accountOf(role: string | null): Promise<Account>
  call(call: Call): Promise<HttpAnswer>
  /** All of a list, each item once by `key`, also when it shifts while it is read. */
  list<T>(request: ListRequest<T>): Promise<Listed<T>>
}

export interface Connection {
  source: string
  webUrl: string
  project(ref: string): Api
  accountOf(role: string | null): Promise<Account>
  call(call: Call): Promise<HttpAnswer>
  quota(): Quota | null
  counts(): { requests: number; unchanged: number }
}

/** The most that Plane's documentation allows. */
const PER_PAGE = 100
/** Far more than any list in use has; a circle of pages must end. */
const MAX_PAGES = 500
/** A list of several pages is read until it did not shift meanwhile, so often at most. */
const MAX_PASSES = 4
/** Plane tells what is left of a token's minute, not of how much: 60 unless its administrator changed API_KEY_RATE_LIMIT. */
const LIMIT = 60
/** The budget's window, where a refusal names no time. */
const WINDOW_MS = 60_000
const CATALOG_TTL_MS = 300_000

interface Client {
  role: string | null
  source: string
  http: Http
  account: Promise<Account> | null
}

interface State {
  options: PlaneOptions
  clients: Map<string | null, Client>
  quota: Quota | null
  requests: number
}

/** Calls nobody yet. */
export function makeConnection(options: PlaneOptions): Connection {
  const state: State = { options, clients: new Map(), quota: null, requests: 0 }
  const source = options.source ?? 'PLANE_TOKEN'
  state.clients.set(null, makeClient(state, { role: null, source, token: options.token }))
  for (const [role, token] of Object.entries(options.bots ?? {}))
    if (token.trim() !== '') state.clients.set(role, makeClient(state, { role, source: `the bot of ${role}`, token }))
  return {
    source,
    webUrl: webUrlOf(options),
    project: (ref) => makeApi(state, ref),
    accountOf: (role) => accountOf(state, role),
    call: (call) => send(state, '', call),
    quota: () => state.quota,
    // Plane sends no ETags: nothing is ever answered by "not changed".
    counts: () => ({ requests: state.requests, unchanged: 0 }),
  }
}

/** Plane's own service has its pages at another host than its API. */
function webUrlOf({ url, webUrl }: PlaneOptions): string {
  return (webUrl || url.replace(/^https:\/\/api\.plane\.so\b/, 'https://app.plane.so')).replace(/\/+$/, '')
}

function makeClient(
  state: State,
  { role, source, token }: { role: string | null; source: string; token: string },
): Client {
  const { now, timeoutMs } = state.options
  const http = makeHttp({
    system: 'plane',
    now,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    headers: () => ({ 'x-api-key': token.trim(), 'user-agent': 'orch' }),
    readError: (answer) => readRefusal(source, answer, now()),
    // Each token has a budget of its own; the shared one does nearly all.
    onHeaders: (headers) => role === null && noteBudget(state, headers),
  })
  return { role, source, http, account: null }
}

function clientOf(state: State, role: string | null): Client {
  const client = state.clients.get(role) ?? state.clients.get(null)
  if (!client) throw new Error('the shared token has a client')
  return client
}

function accountOf(state: State, role: string | null): Promise<Account> {
  const client = clientOf(state, role)
  const ask = async (): Promise<Account> => {
    const doing = `ask who the token of ${client.source} belongs to`
    const { json } = await sendBy(state, client, '', { path: '//users/me/', doing })
    const { id, display_name: name } = read(me, json, doing)
    return { role: client.role, id, login: name || id }
  }
  client.account ??= ask()
  // A failure is asked again.
  client.account.catch(() => (client.account = null))
  return client.account
}

function makeApi(state: State, ref: string): Api {
  const [slug = '', project = ''] = ref.split('/')
  const place = `/workspaces/${slug}/projects/${project}`
  const call = (request: Call): Promise<HttpAnswer> => send(state, place, request)
  return {
    ref,
    project,
    now: state.options.now,
    catalogTtlMs: state.options.catalogTtlMs ?? CATALOG_TTL_MS,
    urlOf: (issue) => `${webUrlOf(state.options)}/${slug}/projects/${project}/issues/${issue}`,
    speakers: [...state.clients.keys()].filter((role) => role !== null),
    async accounts() {
      const all: Account[] = []
      for (const role of state.clients.keys()) all.push(await accountOf(state, role))
      return all
    },
    accountOf: (role) => accountOf(state, role),
    call,
    list: (request) => list(call, request),
  }
}

function send(state: State, place: string, call: Call): Promise<HttpAnswer> {
  return sendBy(state, clientOf(state, call.account?.role ?? null), place, call)
}

function sendBy(state: State, client: Client, place: string, call: Call): Promise<HttpAnswer> {
  const { method = 'GET', path, body, doing, accept } = call
  const base = `${state.options.url.replace(/\/+$/, '')}/api/v1`
  state.requests += 1
  return client.http.send({
    method,
    url: path.startsWith('//') ? `${base}${path.slice(1)}` : `${base}${place}${path}`,
    doing,
    ...(body === undefined ? {} : { body }),
    ...(accept ? { accept } : {}),
  })
}

function noteBudget(state: State, headers: Headers): void {
  const read = (name: string): number => Number.parseInt(headers.get(`x-ratelimit-${name}`) ?? '', 10)
  const [remaining, reset, told] = [read('remaining'), read('reset'), read('limit')]
  if (Number.isNaN(remaining) || Number.isNaN(reset)) return
  const limit = Number.isNaN(told) ? Math.max(LIMIT, remaining, state.quota?.limit ?? 0) : told
  state.quota = { limit, remaining, resetAt: reset * 1_000 }
}

function readRefusal(
  source: string,
  { status, headers, json }: { status: number; headers: Headers; json: unknown },
  now: number,
): HttpProblem | null {
  if (status === 429) {
    const after = retryAfter(headers, now)
    const reset = Number(headers.get('x-ratelimit-reset') ?? 0) * 1_000
    return { kind: 'rate-limited', retryAfterMs: after.retryAfterMs ?? (reset > now ? reset - now : WINDOW_MS) }
  }
  if (status === 401) return { kind: 'auth', text: `answered 401: the token of ${source} is not valid (any more)` }
  if (status === 403)
    return { kind: 'auth', text: `answered 403: the account of ${source} is no member there, or may not do that` }
  return status === 400 ? { kind: 'rejected', text: `answered 400${wordsOf(json)}` } : null
}

/** Plane's sentence, or what it says of single fields. */
function wordsOf(json: unknown): string {
  return json === null ? '' : `: ${JSON.stringify(json).slice(0, 300)}`
}

async function list<T>(call: (request: Call) => Promise<HttpAnswer>, request: ListRequest<T>): Promise<Listed<T>> {
  const all = new Map<string, T>()
  for (let pass = 1; ; pass += 1) {
    const first = await readPage(call, request, null)
    if (pass === 1 && request.isEnough?.(first)) return { items: first.items, total: first.total, enough: true }
    const rest = await readRest(call, request, first)
    for (const item of [...first.items, ...rest.items]) all.set(request.key(item), item)
    const listed = { items: [...all.values()], total: first.total, enough: false }
    if (rest.pages === 0 || pass === MAX_PASSES) return listed
    // What changed meanwhile moved to the front, or out of the list, and moved others to where nobody looks.
    const again = await readPage(call, request, null)
    if (shapeOf(again, request) === shapeOf(first, request) && rest.total === first.total) return listed
  }
}

function shapeOf<T>({ items, total }: Page<T>, { stamp }: ListRequest<T>): string {
  return JSON.stringify([total, ...items.map(stamp)])
}

interface Page<T> {
  items: T[]
  total: number | null
  next: string | null
}

async function readRest<T>(
  call: (request: Call) => Promise<HttpAnswer>,
  request: ListRequest<T>,
  first: Page<T>,
): Promise<{ items: T[]; pages: number; total: number | null }> {
  const items: T[] = []
  let { next, total } = first
  let isPast = first.items.some((item) => request.isPast?.(item) === true)
  for (let pages = 0; ; pages += 1) {
    if (next === null || isPast) return { items, pages, total }
    if (pages === MAX_PAGES) throw malformed(request.doing, `the list has more than ${MAX_PAGES} pages`)
    const read: Page<T> = await readPage(call, request, next)
    items.push(...read.items)
    isPast = read.items.some((item) => request.isPast?.(item) === true)
    next = read.next
    total = read.total
  }
}

async function readPage<T>(
  call: (request: Call) => Promise<HttpAnswer>,
  { path, doing, schema }: ListRequest<T>,
  cursor: string | null,
): Promise<Page<T>> {
  const query = `${path.includes('?') ? '&' : '?'}per_page=${PER_PAGE}${cursor === null ? '' : `&cursor=${cursor}`}`
  const { json } = await call({ path: `${path}${query}`, doing })
  // Lists of people come whole.
  if (Array.isArray(json))
    return { items: json.map((item) => read(schema, item, doing)), total: json.length, next: null }
  const { results, next_cursor: next, next_page_results: more, total_count: total } = read(page, json, doing)
  const items = results.map((item) => read(schema, item, doing))
  return { items, total: total ?? null, next: more && items.length > 0 ? (next ?? null) : null }
}

function malformed(doing: string, what: string): ExternalError {
  return new ExternalError({ system: 'plane', kind: 'rejected', message: `could not ${doing}: ${what}` })
}
