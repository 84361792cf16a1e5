// Git over HTTP for tests: a bare repository behind a name and a password, by git's own http-backend
// (https://git-scm.com/docs/git-http-backend, a CGI program).

import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface GitExchange {
  request: IncomingMessage
  response: ServerResponse
  /** The bare repository, and the path at which it is served, such as `/shop/web.git`. */
  repository: string
  at: string
  password: string
  /** After each push. */
  onPush?: () => void
}

/** Answers one request for a repository; 401 to whoever does not know the password, under whatever name. */
export function serveGit(exchange: GitExchange): void {
  const chunks: Buffer[] = []
  exchange.request.on('data', (chunk: Buffer) => chunks.push(chunk))
  exchange.request.on('end', () => run(exchange, Buffer.concat(chunks)))
}

/** Who asks; null where nobody says so. */
export function credentialOf({ headers }: IncomingMessage): { name: string; password: string } | null {
  const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1]
  if (basic === undefined) return null
  const given = Buffer.from(basic, 'base64').toString()
  return { name: given.slice(0, given.indexOf(':')), password: given.slice(given.indexOf(':') + 1) }
}

function run({ request, response, repository, at, password, onPush }: GitExchange, sent: Buffer): void {
  const credential = credentialOf(request)
  if (credential?.password !== password) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
    return
  }
  const url = new URL(request.url ?? '', 'http://host')
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
  const backend = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: repository,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      PATH_INFO: url.pathname.slice(at.length),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: String(body.byteLength),
      REMOTE_USER: credential.name,
    },
  })
  const chunks: Buffer[] = []
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  backend.stdin.on('error', () => undefined)
  backend.stdin.end(body)
  backend.on('close', () => {
    answer(response, Buffer.concat(chunks))
    if (url.pathname.endsWith('/git-receive-pack')) onPush?.()
  })
}

/** What a CGI program wrote: headers, an empty line, the body. */
function answer(response: ServerResponse, out: Buffer): void {
  const end = out.indexOf('\r\n\r\n')
  if (end === -1) return void response.writeHead(500).end()
  const headers = out.subarray(0, end).toString().split('\r\n')
  const pairs = headers.map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string])
  const status = pairs.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200'
  const rest = pairs.filter(([name]) => name.toLowerCase() !== 'status')
  response.writeHead(Number.parseInt(status, 10), Object.fromEntries(rest)).end(out.subarray(end + 4))
}

export interface GitServer {
  /** The repository's address. */
  url: string
  /** Of each request: who asked. */
  asked: (string | null)[]
  close(): Promise<void>
}

/** Serves one bare repository. */
export async function startGitServer(repository: string, password: string): Promise<GitServer> {
  const asked: (string | null)[] = []
  const server = createServer((request, response) => {
    asked.push(credentialOf(request)?.name ?? null)
    serveGit({ request, response, repository, at: '/remote.git', password })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/remote.git`,
    asked,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
