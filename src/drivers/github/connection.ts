// One connection to GitHub's API: credential, headers, budget, refusals by kind, pages. Repositories share its budget; an
// App has a token for each place where it is installed.

import { ExternalError } from '../../lib/errors.ts'
import { type Http, type HttpAnswer, type HttpProblem, type HttpRequest, makeHttp, retryAfter } from '../../lib/http.ts'
import type { Quota } from '../driver.ts'
import { chooseCredential, type Credential, type GithubAuth } from './credentials.ts'
import type { Schema } from '../answers.ts'
import { graphqlAnswer, installation, installationToken, read } from './wire.ts'

export interface GithubOptions {
  /** `https://api.github.com`, or `https://HOST/api/v3` of an own server. */
  apiUrl?: string
  auth: GithubAuth
  /** Time of day in ms. */
  now: () => number
  timeoutMs?: number
}

type Method = HttpRequest['method']

export interface Call {
  method?: Method
  /** Below the repository, or below the API where it begins with a `//`. */
  path: string
  body?: unknown
  doing: string
  accept?: readonly number[]
  tailBytes?: number
}

/** The API as one repository's parts see it. Throws ExternalError. */
export interface Api {
  /** `owner/name` as it was given. */
  ref: string
  /** Our own login. */
  self(): Promise<string>
  call(call: Call): Promise<HttpAnswer>
  /** All of a list, each item once by `key`, also when it shifts while it is read. `unchanged`: nothing is new in it. */
  list<T>(request: ListRequest<T>): Promise<{ unchanged: boolean; items: T[] }>
  /** Answers `data`. */
  graphql<T>(request: {
    query: string
    variables: Record<string, unknown>
    doing: string
    schema: Schema<T>
  }): Promise<T>
}

export interface ListRequest<T> {
  path: string
  doing: string
  schema: Schema<T>
  /** The list's field, where it is not the answer itself. */
  field?: string
  key: (item: T) => string | number
}

export interface Connection {
  credential: Credential
  repository(ref: string): Api
  /** The token for that repository. */
  token(ref: string): Promise<string>
  /** As the App itself, not as its installation. */
  app(call: Call): Promise<HttpAnswer>
  /** Whatever repository it is for. */
  plain: Pick<Api, 'call' | 'graphql'>
  quota(): Quota | null
  counts(): { requests: number; unchanged: number }
}

const API_URL = 'https://api.github.com'
/** https://docs.github.com/en/rest/about-the-rest-api/api-versions */
const HEADERS = {
  accept: 'application/vnd.github+json',
  'x-github-api-version': '2022-11-28',
  'user-agent': 'orch',
}
const PER_PAGE = 100
/** Far more than any list in use has; a circle of pages must end. */
const MAX_PAGES = 200
/** A list of several pages is read until it twice reads the same, so often at most. */
const MAX_PASSES = 4
/** A secondary limit that names no time: "wait for at least one minute" (GitHub, best practices for REST). */
const SECONDARY_WAIT_MS = 60_000
/** An installation's token lives an hour; a new one is asked for before requests with the old one can fail. */
const RENEW_BEFORE_MS = 5 * 60_000

interface State {
  options: GithubOptions
  credential: Credential
  quota: Quota | null
  requests: number
  unchanged: number
  self: () => Promise<string>
}

/** Calls nobody yet. `self` tells our login when it is first needed. */
export function makeConnection(options: GithubOptions, self: () => Promise<string>): Connection {
  const credential = chooseCredential(options.auth, webHost(options.apiUrl ?? API_URL), options.now)
  const state: State = { options, credential, quota: null, requests: 0, unchanged: 0, self }
  const asApp = makeClientHttp(state, () =>
    credential.kind === 'app' ? credential.appToken() : credential.token(false),
  )
  const clients = new Map<string, Client>()
  // A configured installation, as any other token, is the same for all repositories.
  const clientFor = (ref: string): Client => {
    const place = credential.kind === 'app' && credential.installation === null ? ref.toLowerCase() : ''
    const client = clients.get(place) ?? makeClient(state, ref, asApp)
    clients.set(place, client)
    return client
  }
  const callAnywhere = (call: Call): Promise<HttpAnswer> => clientFor('').send({ ...call, path: call.path.slice(1) })
  return {
    credential,
    repository: (ref) => makeApi(state, ref, clientFor(ref)),
    token: (ref) => clientFor(ref).token(),
    app: (call) => send(state, asApp, { ...call, path: call.path.slice(1) }),
    plain: { call: callAnywhere, graphql: (request) => graphql(state, callAnywhere, request) },
    quota: () => state.quota,
    counts: () => ({ requests: state.requests, unchanged: state.unchanged }),
  }
}

/** The host of pages and of `gh`: the API's own has a name or a path of its own. */
function webHost(apiUrl: string): string {
  return new URL(apiUrl).host.replace(/^api\./, '')
}

function baseUrl(state: State): string {
  return (state.options.apiUrl ?? API_URL).replace(/\/+$/, '')
}

function makeClientHttp(state: State, token: () => Promise<string>): Http {
  const { now, timeoutMs } = state.options
  return makeHttp({
    system: 'github',
    now,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    headers: async () => ({ ...HEADERS, authorization: `Bearer ${await token()}` }),
    readError: (answer) => readRefusal(state, answer),
    onHeaders: (headers) => noteBudget(state, headers),
  })
}

interface Client {
  /** Paths are whole here. */
  send(call: Call): Promise<HttpAnswer>
  token(): Promise<string>
}

/** A client with the token for one place, taken anew once when it is refused. `ref` is for finding an App's installation. */
function makeClient(state: State, ref: string, asApp: Http): Client {
  const { credential } = state
  const installed = credential.kind === 'app' ? installationTokens({ state, credential, ref, asApp }) : null
  const renewable = credential.kind === 'app' || credential.renewable
  let fresh = false
  const token = (again: boolean): Promise<string> =>
    credential.kind === 'app' ? (installed?.(again) ?? Promise.resolve('')) : credential.token(again)
  const http = makeClientHttp(state, () => {
    const again = fresh
    fresh = false
    return token(again)
  })
  return {
    token: () => token(false),
    async send(call) {
      if (renewable) {
        const accept = [...(call.accept ?? []), 401]
        const answer = await send(state, http, { ...call, accept })
        if (answer.status !== 401) return answer
        // Refused before anything was done, so a write may be sent again.
        fresh = true
      }
      return send(state, http, call)
    },
  }
}

/** Gives the installation's token, renewed before it ends. Found by the repository where no installation is configured. */
function installationTokens(place: {
  state: State
  credential: Extract<Credential, { kind: 'app' }>
  ref: string
  asApp: Http
}): (fresh: boolean) => Promise<string> {
  const { state, credential, ref, asApp } = place
  let id = credential.installation
  let known: Promise<{ token: string; expiresAt: number }> | null = null
  const ask = async (): Promise<{ token: string; expiresAt: number }> => {
    if (id === null) {
      const doing = `find where ${credential.source} is installed for ${ref}`
      const found = await send(state, asApp, { path: `/repos/${ref}/installation`, doing })
      id = String(read(installation, found.json, doing).id)
    }
    const doing = `get a token of ${credential.source} for installation ${id}`
    const path = `/app/installations/${encodeURIComponent(id)}/access_tokens`
    const { json } = await send(state, asApp, { method: 'POST', path, doing })
    const { token, expires_at: expiresAt } = read(installationToken, json, doing)
    return { token, expiresAt: Date.parse(expiresAt) }
  }
  return async (fresh) => {
    const now = state.options.now()
    const current = fresh ? null : await known
    if (current && current.expiresAt - RENEW_BEFORE_MS > now) return current.token
    known = ask()
    known.catch(() => (known = null))
    return (await known).token
  }
}

async function send(state: State, http: Http, call: Call): Promise<HttpAnswer> {
  const { method = 'GET', path, body, doing, accept, tailBytes } = call
  state.requests += 1
  const answer = await http.send({
    method,
    url: `${baseUrl(state)}${path}`,
    doing,
    ...(body === undefined ? {} : { body }),
    ...(accept ? { accept } : {}),
    ...(tailBytes === undefined ? {} : { tailBytes }),
  })
  if (answer.unchanged) state.unchanged += 1
  return answer
}

function noteBudget(state: State, headers: Headers): void {
  // GraphQL, search and others have budgets of their own.
  if ((headers.get('x-ratelimit-resource') ?? 'core') !== 'core') return
  const read = (name: string): number => Number.parseInt(headers.get(`x-ratelimit-${name}`) ?? '', 10)
  const [limit, remaining, reset] = [read('limit'), read('remaining'), read('reset')]
  if ([limit, remaining, reset].some(Number.isNaN)) return
  state.quota = { limit, remaining, resetAt: reset * 1_000 }
}

/**
 * A spent budget and a secondary limit come as 403 or 429, so does a missing right as 403. GitHub tells a secondary limit
 * by its sentence or its link only.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
function readRefusal(state: State, answer: { status: number; headers: Headers; json: unknown }): HttpProblem | null {
  const { status, headers } = answer
  const now = state.options.now()
  const words = wordsOf(answer.json)
  if (status === 403 || status === 429) {
    const after = retryAfter(headers, now)
    if (after.retryAfterMs !== undefined) return { kind: 'rate-limited', ...after }
    const reset = Number(headers.get('x-ratelimit-reset') ?? 0) * 1_000
    if (headers.get('x-ratelimit-remaining') === '0')
      return { kind: 'rate-limited', retryAfterMs: reset > now ? reset - now : SECONDARY_WAIT_MS }
    if (status === 429 || /rate.limit|abuse/i.test(words))
      return { kind: 'rate-limited', retryAfterMs: SECONDARY_WAIT_MS }
  }
  const { source } = state.credential
  if (status === 401) return { kind: 'auth', text: `answered 401: the credential of ${source} is not valid (any more)` }
  if (status === 403)
    return { kind: 'auth', text: `answered 403: ${words}; the credential of ${source} ${lacking(headers)}` }
  return status === 422 ? { kind: 'rejected', text: `answered 422: ${words}` } : null
}

function lacking(headers: Headers): string {
  const scopes = headers.get('x-accepted-oauth-scopes')
  const rights = headers.get('x-accepted-github-permissions')
  if (rights) return `needs the permission ${rights}`
  return scopes ? `needs one of the scopes ${scopes}` : 'may not do that'
}

/** GitHub's sentence, with what it says of single fields (422), and its link (secondary limits). */
function wordsOf(json: unknown): string {
  if (typeof json !== 'object' || json === null) return 'no words'
  const { message, errors, documentation_url: link } = json as Record<string, unknown>
  const details = (Array.isArray(errors) ? errors : []).map((error: unknown) => {
    if (typeof error !== 'object' || error === null) return String(error)
    const { resource, field, code, message: said } = error as Record<string, unknown>
    return typeof said === 'string'
      ? said
      : [resource, field, code].filter((part) => typeof part === 'string').join(' ')
  })
  const words = [typeof message === 'string' ? message : 'no words', ...details].join('; ')
  const isLimit = typeof link === 'string' && /rate-limit/.test(link)
  return `${words.slice(0, 300)}${isLimit ? ' (rate limit)' : ''}`
}

function wholePath(ref: string, path: string): string {
  return path.startsWith('//') ? path.slice(1) : `/repos/${ref}${path}`
}

function makeApi(state: State, ref: string, client: Client): Api {
  const call = (request: Call): Promise<HttpAnswer> => client.send({ ...request, path: wholePath(ref, request.path) })
  return {
    ref,
    self: state.self,
    call,
    list: (request) => list(call, request),
    graphql: (request) => graphql(state, call, request),
  }
}

async function list<T>(
  call: (request: Call) => Promise<HttpAnswer>,
  request: ListRequest<T>,
): Promise<{ unchanged: boolean; items: T[] }> {
  const all = new Map<string | number, T>()
  let before: string | null = null
  for (let pass = 1; ; pass += 1) {
    const { items, pages, unchanged } = await readPages(call, request)
    if (pages === 1 || (pass === 1 && unchanged)) return { unchanged, items: uniqueBy(items, request.key) }
    // What leaves a page while the next is read moves an item to where nobody looks. Pages that did not change cost nothing.
    const shape = JSON.stringify(items.map(request.key))
    if (shape === before) return { unchanged: false, items: uniqueBy(items, request.key) }
    before = shape
    for (const item of items) all.set(request.key(item), item)
    if (pass === MAX_PASSES) return { unchanged: false, items: [...all.values()] }
  }
}

function uniqueBy<T>(items: T[], key: (item: T) => string | number): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()]
}

async function readPages<T>(
  call: (request: Call) => Promise<HttpAnswer>,
  { path, doing, schema, field }: ListRequest<T>,
): Promise<{ items: T[]; pages: number; unchanged: boolean }> {
  const items: T[] = []
  const [base = path] = path.split('?')
  let query = `${path.slice(base.length) || '?'}${path === base ? '' : '&'}per_page=${PER_PAGE}`
  let unchanged = true
  for (let pages = 1; pages <= MAX_PAGES; pages += 1) {
    const answer = await call({ path: `${base}${query}`, doing })
    unchanged &&= answer.unchanged
    const page = field === undefined ? answer.json : (answer.json as Record<string, unknown> | null)?.[field]
    if (!Array.isArray(page)) throw malformed(doing, `${field ?? 'the answer'} is no list`)
    items.push(...page.map((item) => read(schema, item, doing)))
    const next = nextQuery(answer.headers)
    if (next === null) return { items, pages, unchanged }
    // Only the query is theirs: the address stays ours.
    query = next
  }
  throw malformed(doing, `the list has more than ${MAX_PAGES} pages`)
}

function nextQuery(headers: Headers): string | null {
  const address = /<([^>]+)>;\s*rel="next"/.exec(headers.get('link') ?? '')?.[1]
  return address && URL.canParse(address) ? new URL(address).search : null
}

function malformed(doing: string, what: string): ExternalError {
  return new ExternalError({ system: 'github', kind: 'rejected', message: `could not ${doing}: ${what}` })
}

/** GraphQL is used where REST has no word for it. Its refusals come with a 200. */
async function graphql<T>(
  state: State,
  call: (request: Call) => Promise<HttpAnswer>,
  request: { query: string; variables: Record<string, unknown>; doing: string; schema: Schema<T> },
): Promise<T> {
  const { query, variables, doing, schema } = request
  // On an own server it lies beside the API: /api/v3 and /api/graphql.
  const up = baseUrl(state).endsWith('/v3') ? '/../graphql' : '/graphql'
  const { json, clean } = await call({ method: 'POST', path: `/${up}`, body: { query, variables }, doing })
  const { data, errors } = read(graphqlAnswer, json, doing)
  const [error] = errors ?? []
  if (!error) return read(schema, data, doing)
  const kinds = { NOT_FOUND: 'not-found', FORBIDDEN: 'auth', RATE_LIMITED: 'rate-limited' } as const
  const kind = kinds[error.type as keyof typeof kinds] ?? 'rejected'
  throw new ExternalError({
    system: 'github',
    kind,
    message: `could not ${doing}: GraphQL refused: ${clean(error.message).slice(0, 300)}`,
    ...(kind === 'rate-limited' ? { retryAfterMs: SECONDARY_WAIT_MS } : {}),
  })
}
