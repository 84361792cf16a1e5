// A forge's host as git and the API see it: one address, under which the repository is served by git's own http-backend, with
// a password, and everything else is the played vendor's.

import { createServer, type IncomingMessage, request as startRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveGit } from '../../../src/workspace/__fixtures__/git-server.ts'

export interface GitHost {
  url: string
  close(): Promise<void>
}

export interface GitHostOptions {
  /** The played vendor's own address. */
  api: string
  /** `owner/name`, and the bare repository it is; null where the vendor keeps none. */
  repository: { ref: string; path: string } | null
  /** Who may push and fetch. */
  password: string
  /** After each request that may have changed something. */
  onChange: () => void
}

export async function startGitHost(options: GitHostOptions): Promise<GitHost> {
  const server = createServer((request, response) => {
    const { repository, password, onChange } = options
    const at = `/${repository?.ref}.git`
    if (repository && request.url?.startsWith(`${at}/`))
      return serveGit({ request, response, repository: repository.path, at, password, onPush: onChange })
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => forward(options, { request, response, body: Buffer.concat(chunks) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  body: Buffer
}

function forward({ api, onChange }: GitHostOptions, { request, response, body }: Exchange): void {
  const { hostname, port, host } = new URL(api)
  const { method, url: path } = request
  const headers = { ...request.headers, host }
  const sent = startRequest({ hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
    answer.on('end', () => {
      if (method !== 'GET') onChange()
    })
  })
  sent.on('error', () => response.destroy())
  sent.end(body)
}
