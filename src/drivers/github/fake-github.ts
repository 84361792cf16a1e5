// GitHub as far as Orch uses it, over HTTP, with a state. What is asked and what it answers is judged by GitHub's own
// description; whatever is not described or not expected is kept, and thrown when it closes. GraphQL has no description here.

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { graphql, routes } from './fake-github-routes.ts'
import { type FakeState, makeState, type Reply, seePushes } from './fake-github-state.ts'
import { type Description, readDescription } from './test-openapi.ts'

export interface FakeGithub {
  url: string
  state: FakeState
  close(): Promise<void>
}

let description: Description | undefined
const describeApi = (): Description => (description ??= readDescription())

export const TOKEN = 'ghp_fake0123456789'

export async function startFakeGithub(): Promise<FakeGithub> {
  const state = makeState()
  const wrong: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      try {
        serve(state, wrong, { request, response, text: Buffer.concat(chunks).toString() })
      } catch (error) {
        wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
        response.writeHead(500).end('{}')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      if (wrong.length > 0) throw new Error(`GitHub would not have taken or said this:\n${wrong.join('\n')}`)
    },
  }
}

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  text: string
}

function serve(state: FakeState, wrong: string[], { request, response, text }: Exchange): void {
  const api = describeApi()
  const url = new URL(request.url ?? '/', 'http://fake')
  const method = request.method ?? ''
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  if (url.pathname.startsWith('/_log/')) {
    // Logs lie at another host, which knows no tokens; an authorization there is refused in fact.
    if (request.headers.authorization) wrong.push('a token was sent to where logs lie')
    return void response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(state.logs.get(Number(url.pathname.slice(6))))
  }
  seePushes(state)
  if (!state.tokens.has(token)) return send(response, request, { status: 401, json: { message: 'Bad credentials' } })
  if (url.pathname === '/graphql') return send(response, request, graphql(state, body as never))
  const found = api.find(method, url.pathname)
  const route = found && routes[found.operation]
  if (!found || !route) {
    wrong.push(`nobody expected ${method} ${url.pathname}`)
    return send(response, request, { status: 501, json: { message: 'not here' } })
  }
  const bad = api.judgeRequest(found.operation, { query: [...url.searchParams.keys()], body })
  if (bad !== null) wrong.push(bad)
  const reply =
    place(state, found.values) ??
    route(state, { values: found.values, query: url.searchParams, body: body as never, token })
  const isElsewhere = reply.text !== undefined || reply.headers?.['location'] !== undefined
  if (url.pathname === '/user') reply.headers = { ...reply.headers, 'x-oauth-scopes': state.scopes }
  send(response, request, isElsewhere ? reply : paged(url, judged(found.operation, reply, wrong)))
}

/** The answer with all that GitHub's must hold. */
function judged(operation: string, reply: Reply, wrong: string[]): Reply {
  const api = describeApi()
  // Refusals that GitHub gives everywhere stand in not every operation.
  if (reply.status === 404 && !api.describes(operation, 404)) return reply
  const json = reply.json === undefined ? undefined : api.complete(operation, reply.status, reply.json)
  const untrue = api.judgeAnswer(operation, { status: reply.status, body: json })
  if (untrue !== null) wrong.push(`the fake itself: ${untrue}`)
  return { ...reply, json }
}

/** A repository that was renamed leads to where it is now; one that nobody knows is not there. */
function place(state: FakeState, { owner, repo }: Record<string, string>): Reply | null {
  if (owner === undefined) return null
  const ref = `${owner}/${repo}`
  if (ref.toLowerCase() === state.ref.toLowerCase()) return null
  return state.formerRefs.includes(ref)
    ? { status: 301, headers: { location: state.ref } }
    : { status: 404, json: { message: 'Not Found' } }
}

/** Cuts a list into pages, with GitHub's links. */
function paged(url: URL, reply: Reply): Reply {
  const whole = reply.json as Record<string, unknown> | undefined
  const field = ['check_runs', 'statuses', 'workflow_runs'].find((name) => Array.isArray(whole?.[name]))
  const list = field === undefined ? reply.json : whole?.[field]
  if (!Array.isArray(list) || reply.status !== 200) return reply
  const size = Number(url.searchParams.get('per_page') ?? 30)
  const page = Number(url.searchParams.get('page') ?? 1)
  const cut = list.slice((page - 1) * size, page * size) as unknown[]
  const next = new URL(url)
  next.searchParams.set('page', String(page + 1))
  // As GitHub writes it: the address is of its own choice.
  const link = `<https://api.github.com/repositories/1${next.pathname}${next.search}>; rel="next"`
  const headers = page * size < list.length ? { link } : {}
  return {
    ...reply,
    headers: { ...reply.headers, ...headers },
    json: field === undefined ? cut : { ...whole, [field]: cut },
  }
}

function send(response: ServerResponse, request: IncomingMessage, reply: Reply): void {
  const location = reply.headers?.['location']
  if (location !== undefined && reply.status === 301) {
    const moved = (request.url ?? '').replace(/^\/repos\/[^/]+\/[^/?]+/, `/repos/${location}`)
    return void response
      .writeHead(request.method === 'GET' ? 301 : 307, { location: moved })
      .end('{"message":"Moved Permanently"}')
  }
  if (location !== undefined && reply.status === 302)
    return void response.writeHead(302, { location: `http://${request.headers.host}/_log/${location}` }).end()
  const text = reply.text ?? (reply.json === undefined ? '' : JSON.stringify(reply.json))
  const etag = `W/"${createHash('sha256')
    .update(text)
    .update(JSON.stringify(reply.headers ?? {}))
    .digest('hex')}"`
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '4990',
    'x-ratelimit-reset': '1900000000',
    'x-ratelimit-resource': 'core',
    ...reply.headers,
  }
  if (request.method === 'GET' && reply.status === 200) {
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { ...headers, etag }).end()
    return void response.writeHead(200, { ...headers, etag }).end(text)
  }
  response.writeHead(reply.status, headers).end(reply.status === 204 ? undefined : text)
}

/** The repository is called otherwise now; its former name leads here. */
export function rename(state: FakeState, to: string): void {
  state.formerRefs.push(state.ref)
  // Both sides of a change show the new name.
  for (const { pull } of state.issues.values()) if (pull?.head.repo === state.ref) pull.head.repo = to
  state.ref = to
}
