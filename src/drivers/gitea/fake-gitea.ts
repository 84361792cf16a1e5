// A Gitea of 1.23 that tests play: its state behind its HTTP API on the loopback. What is asked of it and what it answers
// is judged by gitea-js's description; what nobody described or expected is thrown when it is closed.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { issueRoutes } from './fake-gitea-issues.ts'
import { pullRoutes } from './fake-gitea-pulls.ts'
import { type Answer, MAX_ITEMS, no, pageOf } from './fake-gitea-routes.ts'
import { type FakeState, type FakeUser, makeSha, seePushes } from './fake-gitea-state.ts'
import { readDescription } from './test-gitea-api.ts'

export interface FakeGitea {
  url: string
  state: FakeState
  /** A new commit on top of the branch, made from main where it is not there. */
  push(branch: string): string
  close(): Promise<void>
}

const description = readDescription()
const ROUTES = { ...issueRoutes, ...pullRoutes }
/** Of servers newer than the description: nobody judges these here. */
const NEWER: [name: string, pattern: RegExp][] = [
  ['GET /repos/{owner}/{repo}/actions/runs', /^\/repos\/[^/]+\/[^/]+\/actions\/runs$/],
  ['GET /repos/{owner}/{repo}/actions/runs/{run}/jobs', /^\/repos\/[^/]+\/[^/]+\/actions\/runs\/\d+\/jobs$/],
  ['GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs', /^\/repos\/[^/]+\/[^/]+\/actions\/jobs\/\d+\/logs$/],
]

export async function startFakeGitea(users: Omit<FakeUser, 'id'>[]): Promise<FakeGitea> {
  const faults: string[] = []
  const first = makeSha()
  const server = createServer((request, response) => {
    serve({ state, faults }, request, response).catch((error: unknown) => {
      faults.push(String(error))
      response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const state: FakeState = {
    ref: 'shop/web',
    oldRef: null,
    url,
    git: null,
    lastId: 100,
    users: users.map((user, index) => ({ ...user, id: index + 1 })),
    issues: new Map(),
    comments: [],
    reviews: [],
    labels: [],
    orgLabels: null,
    hooks: [],
    branches: new Map([['main', first]]),
    forkBranches: new Map(),
    commits: new Map([[first, []]]),
    statuses: [],
    jobs: [],
    allow: { merge: true, squash: true, rebase: true, manual: false },
    approvalsNeeded: 0,
    dependencies: true,
    hasActionsApi: true,
    hasPermissionToAsk: true,
  }
  return {
    url,
    state,
    push(branch) {
      const sha = makeSha()
      state.commits.set(sha, [state.branches.get(branch) ?? state.branches.get('main') ?? first])
      state.branches.set(branch, sha)
      return sha
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      if (faults.length > 0) throw new Error(`the played Gitea was misused:\n${faults.join('\n')}`)
    },
  }
}

interface Place {
  state: FakeState
  faults: string[]
}

async function serve({ state, faults }: Place, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  seePushes(state)
  const { pathname, searchParams: query } = new URL(request.url ?? '', state.url)
  const path = pathname.replace(/^\/api\/v1/, '')
  const what = `${request.method} ${pathname}`
  const moved = state.oldRef !== null && path.startsWith(`/repos/${state.oldRef}`)
  if (moved) {
    const location = (request.url ?? '').replace(`/repos/${state.oldRef}`, `/repos/${state.ref}`)
    return void response.writeHead(307, { location }).end()
  }
  const described = description.find(request.method ?? '', path)
  const newer = NEWER.find(([name, pattern]) => name.startsWith(`${request.method} `) && pattern.test(path))?.[0]
  const name = newer ?? described
  const route = name === null ? undefined : ROUTES[name]
  if (name === null || !pathname.startsWith('/api/v1/') || !route) {
    faults.push(`${what}: nobody expected that`)
    return reply(response, no(500, 'not played'), query)
  }
  const body = text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>)
  const note = (problems: string[]): void => void faults.push(...problems.map((problem) => `${what}: ${problem}`))
  if (!newer) note(description.judgeRequest(name, { query, body }))
  const answer = answerOf({ state, path, name, route, request, query, body })
  const shown = pageOf(answer, query)
  // Go writes an empty list as null in places, and described it is a list.
  if (!newer && answer.status < 300) note(description.judgeAnswer(name, shown === null ? [] : shown))
  reply(response, answer, query)
}

function answerOf(place: {
  state: FakeState
  path: string
  name: string
  route: (typeof ROUTES)[string]
  request: IncomingMessage
  query: URLSearchParams
  body: Record<string, unknown> | undefined
}): Answer {
  const { state, path, name, route, request, query, body = {} } = place
  const token = /^(?:token|bearer) (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  const me = state.users.find((user) => user.token === token)
  if (!me) return no(401, 'user does not exist [uid: 0, name: ]')
  const isRepo = path.startsWith('/repos/')
  if (isRepo && !path.startsWith(`/repos/${state.ref}`)) return no(404, 'The target could not be found.')
  return route({ state, me, values: valuesOf(name, path), query, body })
}

function valuesOf(name: string, path: string): string[] {
  const template = name.replace(/^\w+ /, '')
  const pattern = template.replaceAll(/\{(\w+)\}/g, (_whole, hole: string) =>
    hole === 'head' || hole === 'basehead' ? '(.+)' : '([^/]+)',
  )
  return (new RegExp(`^${pattern}$`).exec(path) ?? []).slice(1).map((value) => decodeURIComponent(value))
}

function reply(response: ServerResponse, answer: Answer, query: URLSearchParams): void {
  if (answer.text !== undefined)
    return void response.writeHead(answer.status, { 'content-type': 'text/plain' }).end(answer.text)
  const headers: Record<string, string> = { 'content-type': 'application/json;charset=utf-8' }
  if (answer.list) {
    const limit = Math.min(Number(query.get('limit') ?? 30), MAX_ITEMS)
    const page = Number(query.get('page') ?? 1)
    headers['x-total-count'] = String(answer.list.length)
    if (page * limit < answer.list.length) headers['link'] = `<https://gitea.example/?page=${page + 1}>; rel="next"`
  }
  if (answer.total !== undefined) headers['x-total-count'] = String(answer.total)
  const json = pageOf(answer, query)
  response.writeHead(answer.status, headers).end(json === undefined ? '' : JSON.stringify(json))
}
