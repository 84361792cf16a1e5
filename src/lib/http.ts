// One HTTP request to an outside API: a time limit, a size cap, JSON in and out, answers told apart by kind and never by
// their text, and an answer that has not changed taken from memory. What a vendor does differently is its driver's matter.

import { ExternalError, type ExternalKind, messageOf } from './errors.ts'

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
  /** What is being done, for the error: `open the change of SHOP-1`. */
  doing: string
  /** Statuses beside 2xx that are answers and no errors. */
  accept?: readonly number[]
  /** The answer is text, such as a log: its last bytes are given as `json`, the rest is not kept. */
  tailBytes?: number
}

export interface HttpAnswer {
  status: number
  headers: Headers
  /** Parsed JSON; null for an empty body. */
  json: unknown
  /** The vendor said that nothing has changed (304); `json` is what it said before. */
  unchanged: boolean
  /** Takes the credentials it was asked with out of words of the answer, which may quote them: before they are cut. */
  clean: (words: string) => string
}

export interface HttpOptions {
  /** Names the errors: `github`. */
  system: string
  /** Sent with every request, made afresh each time: a token may be renewed. */
  headers: () => Promise<Record<string, string>> | Record<string, string>
  /** What follows from a refusal's status, body and headers where the usual reading is wrong; null keeps the usual one. */
  readError?: (answer: { status: number; headers: Headers; json: unknown }) => HttpProblem | null
  /** Called with each answer's headers, errors included: that is where budgets are told. */
  onHeaders?: (headers: Headers) => void
  now: () => number
  timeoutMs?: number
  fetch?: typeof fetch
}

export interface HttpProblem {
  kind: ExternalKind
  text?: string
  retryAfterMs?: number
}

export interface Http {
  /**
   * Throws ExternalError: auth (401, 403), not-found (404, 410), conflict (409, 412), rejected (other 4xx), rate-limited
   * (429), unreachable (5xx, no or cut answer, no JSON), timed-out. A read follows redirects, a write those that keep its
   * method within the API; credentials stay within it.
   */
  send(request: HttpRequest): Promise<HttpAnswer>
}

/** An API that has not answered by then has not taken the request, or nobody can tell. */
const TIMEOUT_MS = 30_000
/** The largest pages of the APIs in use are of a megabyte or two. */
const MAX_BYTES = 16 << 20
/** Of a text whose end is asked for, such as a log of CI; a longer one is given up, its end is too far. */
const MAX_TEXT_BYTES = 256 << 20
/** Answers kept for conditional requests; the least recently asked goes first. */
const MAX_KEPT = 500
/** All of them together, as text: the service must stay lean. */
const MAX_KEPT_BYTES = 32 << 20
/** Of fetch itself it is 20; no API needs more than two. */
const MAX_REDIRECTS = 5
/** This machine itself, by whichever name. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/
/** Headers whose values are credentials. */
const CREDENTIAL = /auth|token|key|cookie/i
/** What is shorter, such as the word `token` before one, would take apart the sentences it stands in. */
const MIN_SECRET = 8
/** How much of a text is gathered before its beginning is dropped. */
const GATHERED_BYTES = 1 << 20
/** What is quoted of an answer's own words. */
const QUOTED = 300

interface Kept {
  etag: string
  json: unknown
  headers: Headers
  bytes: number
}

interface Memory {
  answers: Map<string, Kept>
  bytes: number
}

export function makeHttp(options: HttpOptions): Http {
  const kept: Memory = { answers: new Map(), bytes: 0 }
  return { send: (request) => send(options, kept, request) }
}

async function send(options: HttpOptions, kept: Memory, request: HttpRequest): Promise<HttpAnswer> {
  const before = request.method === 'GET' ? kept.answers.get(request.url) : undefined
  const { response, bytes, own } = await exchange(options, request, before)
  options.onHeaders?.(response.headers)
  const { status, headers } = response
  const clean = (words: string): string => hide(words, request, own)
  if (status === 304 && before) {
    remember(kept, request.url, before)
    return { status: 200, headers: before.headers, json: before.json, unchanged: true, clean }
  }
  const text = bytes.toString('utf8')
  const fine = (status >= 200 && status < 300) || request.accept?.includes(status) === true
  if (fine && request.tailBytes !== undefined) return { status, headers, json: text, unchanged: false, clean }
  const json = parse(text)
  // A proxy's page instead of the API's word: whatever it says, the API has not answered. A 404 of it would read as
  // "gone". Who must log in and who must wait are told so by proxies too.
  if (!json.ok && status !== 401 && status !== 429)
    throw problem(options, request, { kind: 'unreachable', text: `answered ${status} with no JSON` })
  const value = json.ok ? json.value : null
  if (!fine) throw refusal(options, request, { status, headers, json: value, own })
  const etag = headers.get('etag')
  if (request.method === 'GET' && etag && status === 200)
    remember(kept, request.url, { etag, json: value, headers, bytes: bytes.byteLength })
  return { status, headers, json: value, unchanged: false, clean }
}

function remember(kept: Memory, url: string, answer: Kept): void {
  kept.bytes += answer.bytes - (kept.answers.get(url)?.bytes ?? 0)
  kept.answers.delete(url)
  kept.answers.set(url, answer)
  for (const [oldest, { bytes }] of kept.answers) {
    if (kept.answers.size <= MAX_KEPT && kept.bytes <= MAX_KEPT_BYTES) return
    kept.answers.delete(oldest)
    kept.bytes -= bytes
  }
}

async function exchange(
  options: HttpOptions,
  request: HttpRequest,
  before: Kept | undefined,
): Promise<{ response: Response; bytes: Buffer; own: Record<string, string> }> {
  const limit = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
  let own: Record<string, string> = {}
  try {
    own = await options.headers()
    const headers = makeHeaders(options, request, { ...(before ? { 'if-none-match': before.etag } : {}), ...own })
    const response = await follow(options, request, { headers, own, signal: limit })
    return { response, bytes: await readBytes(response, request.tailBytes), own }
  } catch (error) {
    if (error instanceof ExternalError) throw error
    const kind = limit.aborted ? 'timed-out' : 'unreachable'
    throw problem(options, request, { kind, text: hide(causeOf(error), request, own) })
  }
}

function makeHeaders(options: HttpOptions, request: HttpRequest, more: Record<string, string>): Headers {
  try {
    return new Headers({
      accept: 'application/json',
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...more,
      ...request.headers,
    })
  } catch {
    // What fetch says of it quotes the value.
    const text = 'was not sent: the credential holds a line break or a letter that no header can carry'
    throw problem(options, request, { kind: 'auth', text })
  }
}

/** Sends it on where it is sent on, without the credential to anybody else. */
async function follow(
  options: HttpOptions,
  request: HttpRequest,
  { headers, own, signal }: { headers: Headers; own: Record<string, string>; signal: AbortSignal },
): Promise<Response> {
  const { origin } = new URL(request.url)
  let url = request.url
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    if (!options.fetch) refuseInTests(options, request, url)
    const response = await (options.fetch ?? fetch)(url, {
      method: request.method,
      redirect: 'manual',
      signal,
      headers,
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    })
    const location = response.headers.get('location')
    if (!location || !isRedirect(response.status)) return response
    const next = new URL(location, url)
    // Method and body stay the same by 307 and 308 alone; by the others a write would become a read.
    if (request.method !== 'GET' && (response.status < 307 || next.origin !== origin)) return response
    await response.body?.cancel()
    if (next.origin !== origin) for (const name of Object.keys(own)) headers.delete(name)
    url = next.href
  }
  throw new Error(`was sent on more than ${MAX_REDIRECTS} times`)
}

/**
 * A test that was given a real address and a real token must not write there (C-67, C-102: an ancestor's test run wrote to
 * the production tracker). Whoever starts the tests opts in by ORCH_TEST_ALLOW_HOSTS: a host by its name may be read; a
 * write needs an entry that names its place, such as `api.github.com/repos/acme/sandbox`.
 */
function refuseInTests(options: HttpOptions, request: HttpRequest, url: string): void {
  if (process.env['VITEST'] === undefined) return
  const { hostname, pathname } = new URL(url)
  if (LOOPBACK.test(hostname)) return
  const allowed = (process.env['ORCH_TEST_ALLOW_HOSTS'] ?? '').split(/[\s,]+/).filter((entry) => entry !== '')
  const isBelow = (entry: string): boolean => `${hostname}${pathname}/`.startsWith(`${entry.replace(/\/$/, '')}/`)
  const fits = allowed.filter(isBelow)
  if (request.method === 'GET' ? fits.length > 0 : fits.some((entry) => entry.replace(/\/$/, '').includes('/'))) return
  const place = request.method === 'GET' ? hostname : `${hostname}/ and the path of a sandbox`
  const text = `was not sent: a test may speak to this machine only; ORCH_TEST_ALLOW_HOSTS would allow ${place}`
  throw problem(options, request, { kind: 'rejected', text })
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status)
}

/** The body, or its last `tailBytes` where it is a text and no refusal. */
async function readBytes(response: Response, tailBytes: number | undefined): Promise<Buffer> {
  const tail = tailBytes !== undefined && response.ok ? tailBytes : undefined
  const max = tail === undefined ? MAX_BYTES : MAX_TEXT_BYTES
  let chunks: Uint8Array[] = []
  let size = 0
  let held = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    held += chunk.byteLength
    if (size > max) throw new Error(`the answer is larger than ${max >> 20} MiB`)
    chunks.push(chunk)
    // Now and then, so that a long text is not copied once for each of its chunks.
    if (tail !== undefined && held > 2 * tail + GATHERED_BYTES) {
      chunks = [Buffer.concat(chunks).subarray(-tail)]
      held = tail
    }
  }
  const all = Buffer.concat(chunks)
  return tail === undefined ? all : all.subarray(-tail)
}

/** fetch hides what happened (refused, reset, unknown host) in its error's cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`
}

function parse(text: string): { ok: true; value: unknown } | { ok: false } {
  if (text.trim() === '') return { ok: true, value: null }
  try {
    return { ok: true, value: JSON.parse(text) as unknown }
  } catch {
    return { ok: false }
  }
}

function refusal(
  options: HttpOptions,
  request: HttpRequest,
  { own, ...answer }: { status: number; headers: Headers; json: unknown; own: Record<string, string> },
): ExternalError {
  const usual: HttpProblem = { kind: kindOf(answer.status), ...retryAfter(answer.headers, options.now()) }
  const { text: said, ...read } = options.readError?.(answer) ?? {}
  // Before it is cut: half of a credential is one, too.
  const words = hide(wordsOf(answer.json), request, own).slice(0, QUOTED)
  const text = said === undefined ? `answered ${answer.status}${words}` : hide(said, request, own).slice(0, 2 * QUOTED)
  return problem(options, request, { ...usual, ...read, text })
}

/** Takes credentials out of words that are not ours: an API or fetch may say back what it was sent. */
function hide(text: string, { url }: HttpRequest, own: Record<string, string>): string {
  const { username, password } = new URL(url)
  const values = Object.entries(own).flatMap(([name, value]) => (CREDENTIAL.test(name) ? value.split(' ') : []))
  const secrets = [...values, username, password].filter((value) => value.length >= MIN_SECRET)
  return secrets.reduce((hidden, secret) => hidden.replaceAll(secret, '***'), text)
}

function kindOf(status: number): ExternalKind {
  switch (status) {
    case 401:
    case 403:
      return 'auth'
    case 404:
    case 410:
      return 'not-found'
    case 409:
    case 412:
      return 'conflict'
    case 408:
      return 'timed-out'
    case 429:
      return 'rate-limited'
    default:
      return status >= 500 ? 'unreachable' : 'rejected'
  }
}

/** Seconds or a date (RFC 9110, 10.2.3). */
export function retryAfter(headers: Headers, now: number): { retryAfterMs?: number } {
  const value = headers.get('retry-after')
  if (value === null) return {}
  const at = /^\d+$/.test(value.trim()) ? now + Number(value) * 1_000 : Date.parse(value)
  return Number.isNaN(at) ? {} : { retryAfterMs: Math.max(0, at - now) }
}

/** The API's own sentence: `message` at GitHub and Gitea, `error` or `detail` at Plane. */
function wordsOf(json: unknown): string {
  if (typeof json !== 'object' || json === null) return ''
  const { message, error, detail } = json as Record<string, unknown>
  const words = [message, error, detail].find((word) => typeof word === 'string')
  return typeof words === 'string' ? `: ${words}` : ''
}

function problem(
  { system }: HttpOptions,
  { doing, method, url }: HttpRequest,
  { kind, text = kind, retryAfterMs }: HttpProblem,
): ExternalError {
  const { origin, pathname } = new URL(url)
  return new ExternalError({
    system,
    kind,
    message: `could not ${doing}: ${method} ${origin}${pathname} ${text}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
