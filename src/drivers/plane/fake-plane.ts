// Plane as far as Orch uses it, over HTTP, with a state; written after its serializers and views (apps/api/plane/api). The
// vendor's own SDK works against it. What nobody expected is kept, and thrown when it closes.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { routes } from './fake-plane-routes.ts'
import { type FakeUser, type FakeWorld, makeWorld, type Reply } from './fake-plane-state.ts'

export interface FakePlane {
  url: string
  world: FakeWorld
  close(): Promise<void>
}

export async function startFakePlane(): Promise<FakePlane> {
  const world = makeWorld()
  const wrong: string[] = []
  const asked = new Map<string, number[]>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      try {
        serve({ world, wrong, asked }, request, { response, text: Buffer.concat(chunks).toString() })
      } catch (error) {
        wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
        response.writeHead(500).end('{}')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    world,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      if (wrong.length > 0) throw new Error(`nobody expected this of Plane:\n${wrong.join('\n')}`)
    },
  }
}

interface Place {
  world: FakeWorld
  wrong: string[]
  /** When each token asked, of the last minute. */
  asked: Map<string, number[]>
}

function serve(
  { world, wrong, asked }: Place,
  request: IncomingMessage,
  { response, text }: { response: ServerResponse; text: string },
): void {
  const url = new URL(request.url ?? '/', 'http://fake')
  const key = String(request.headers['x-api-key'] ?? '')
  const me = world.users.find(({ token }) => token !== null && token === key)
  if (!me) return send(response, { status: 401, json: { detail: 'Given API token is not valid' } })
  const headers = budget(world, asked, key)
  if (!headers) {
    const json = { error_code: 5900, error_message: 'RATE_LIMIT_EXCEEDED' }
    return send(response, { status: 429, json, headers: { 'retry-after': '17' } })
  }
  const answer = answerOf({ world, me, request, url, text })
  if (answer === null) {
    wrong.push(`${request.method} ${url.pathname}`)
    return send(response, { status: 404, json: { error: 'Page not found.' }, headers })
  }
  send(response, { ...answer, headers })
}

/** Headers of what is left; null when nothing is. */
function budget(world: FakeWorld, asked: Map<string, number[]>, key: string): Record<string, string> | null {
  const now = Date.now()
  const recent = (asked.get(key) ?? []).filter((at) => at > now - 60_000)
  if (recent.length >= world.limit) return null
  asked.set(key, [...recent, now])
  return {
    'x-ratelimit-remaining': String(world.limit - recent.length - 1),
    'x-ratelimit-reset': String(Math.floor(now / 1_000) + 60),
  }
}

function answerOf(at: {
  world: FakeWorld
  me: FakeUser
  request: IncomingMessage
  url: URL
  text: string
}): Reply | null {
  const { world, me, request, url, text } = at
  const { pathname, searchParams: query } = url
  // Without its last slash a path leads nowhere for a write, and by a redirect for a read: nobody should rely on it.
  if (!pathname.startsWith('/api/v1/') || !pathname.endsWith('/')) return null
  const path = pathname.slice('/api/v1'.length)
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  const inWorkspace = `/workspaces/${world.slug}`
  const inProject = `${inWorkspace}/projects/${world.project}`
  if (path.startsWith('/workspaces/') && !path.startsWith(`${inWorkspace}/`))
    return { status: 404, json: { error: 'The requested resource does not exist.' } }
  const isProject = path.startsWith(`${inProject}/`)
  if (path.startsWith(`${inWorkspace}/projects/`) && !isProject)
    return { status: 404, json: { error: 'The requested resource does not exist.' } }
  if (isProject && me.role === null)
    return { status: 403, json: { detail: 'You do not have permission to perform this action.' } }
  const below = isProject ? `P${path.slice(inProject.length)}` : path.replace(inWorkspace, 'W')
  for (const [name, route] of Object.entries(routes)) {
    const [method = '', pattern = ''] = name.split(' ')
    const ids = new RegExp(`^${pattern.replaceAll(':id', '([0-9a-f-]{36})')}$`).exec(below)
    if (ids && method === request.method) return route({ world, me, ids: ids.slice(1), query, body })
  }
  return null
}

function send(response: ServerResponse, { status, json, headers }: Reply & { headers?: Record<string, string> }): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(json === undefined ? '' : JSON.stringify(json))
}
