// Stands between a driver and the vendor that a test plays: counts what is asked, loses answers, puts others in their
// place, and lets the world change between two pages.

import { createServer, type IncomingHttpHeaders, request as startRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  method: string
  /** Path and query. */
  path: string
  body: string
}

export interface CannedAnswer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export interface FaultProxy {
  /** Without a slash at its end. */
  url: string
  /** Everything asked so far, in order. */
  asked(): readonly Asked[]
  /** How many requests so far could have changed something. */
  writes(): number
  /** The next write is carried out, and its answer is lost. */
  loseNextWrite(): void
  /** The next write is cut off, and carried out by the vendor only when this is called, though nobody waits for it any more. */
  delayNextWrite(): () => Promise<void>
  /** Answers the next request that fits in the vendor's place; a text as it is, anything else as JSON. */
  answerNext(fits: (asked: Asked) => boolean, answer: CannedAnswer | 'cut' | 'hang'): void
  /** The same for each request that fits: what the played vendor has not. */
  answerAlways(fits: (asked: Asked) => boolean, answer: CannedAnswer): void
  /** Does something after the next request that fits was answered by the vendor and before the driver sees it. */
  afterNext(fits: (asked: Asked) => boolean, action: () => Promise<void>): void
  close(): Promise<void>
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

interface Plan {
  fits: (asked: Asked) => boolean
  answer?: CannedAnswer | 'cut' | 'hang'
  action?: () => Promise<void>
}

/** `isWrite`: what may change something, where that is not each request but GET (a query in GraphQL is a POST). */
export async function startFaultProxy(
  target: string,
  isWrite: (asked: Asked) => boolean = ({ method }) => method !== 'GET',
): Promise<FaultProxy> {
  const asked: Asked[] = []
  const plans: Plan[] = []
  const always: Plan[] = []
  let losing = false
  let delayed: ((carryOut: () => Promise<unknown>) => void) | null = null
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const one: Asked = { method: request.method ?? '', path: request.url ?? '', body: body.toString() }
      asked.push(one)
      serve(one, body, request.headers, response).catch(() => response.destroy())
    })
  })

  async function serve(one: Asked, body: Buffer, headers: IncomingHttpHeaders, response: ServerResponse) {
    const at = plans.findIndex(({ fits }) => fits(one))
    const [plan] = at === -1 ? [] : plans.splice(at, 1)
    const canned = plan?.answer ?? always.find(({ fits }) => fits(one))?.answer
    if (canned === 'hang') return
    if (canned === 'cut') return void response.destroy()
    if (canned) return reply(response, canned)
    if (delayed && isWrite(one)) {
      delayed(() => forward(new URL(target), one, headers, body))
      delayed = null
      return void response.destroy()
    }
    const answer = await forward(new URL(target), one, headers, body)
    await plan?.action?.()
    if (losing && isWrite(one)) {
      losing = false
      return void response.destroy()
    }
    response.writeHead(answer.status, keptHeaders(answer.headers)).end(answer.body)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    writes: () => asked.filter(isWrite).length,
    loseNextWrite: () => void (losing = true),
    delayNextWrite: () => {
      const cut = new Promise<() => Promise<unknown>>((resolve) => (delayed = resolve))
      return async () => void (await (await cut)())
    },
    answerNext: (fits, answer) => void plans.push({ fits, answer }),
    answerAlways: (fits, answer) => void always.push({ fits, answer }),
    afterNext: (fits, action) => void plans.push({ fits, action }),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function reply(response: ServerResponse, { status, body, headers }: CannedAnswer): void {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}

function forward(target: URL, asked: Asked, headers: IncomingHttpHeaders, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const path = `${target.pathname.replace(/\/$/, '')}${asked.path}`
    const options = { host: target.hostname, port: target.port, method: asked.method, path }
    const sent = startRequest({ ...options, headers: { ...headers, host: target.host } }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      )
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Of the vendor's, but for those of its own connection. */
function keptHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _c, 'transfer-encoding': _t, 'keep-alive': _k, 'content-length': _l, ...kept } = headers
  return kept
}
