// The listener for webhooks: `POST /webhooks/<driver>` and `GET /health`, nothing else. Plain node:http: between the socket
// and the append stand one comparison of a path and the collecting of bytes. It parses nothing and knows nothing of tasks.

import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UserError, messageOf } from '../../lib/errors.ts'
import type { Listener, WebhookDoor } from '../../flow/app.ts'

/** A vendor opens one or a few; the rest is for bursts and for whoever holds some open for nothing. */
const MAX_CONNECTIONS = 512
/** Headers come in one packet; GitHub gives up on a whole delivery after 10 s. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const CHECK_EVERY_MS = 2_000
const KEEP_ALIVE_MS = 15_000
/** Bodies in memory at once, whoever sends them. */
const MAX_HELD_BYTES = 64 << 20
/** In-flight requests end within this, then their connections are cut. */
const CLOSE_LIMIT_MS = 10_000
const PROBE_LIMIT_MS = 5_000

/** Listens. Throws UserError (6) when the address can't be had. */
export async function listen(
  door: WebhookDoor,
  at: { host: string; port: number; headersTimeoutMs?: number },
): Promise<Listener> {
  const held: Held = { bytes: 0, closing: false }
  const server = createServer(
    {
      headersTimeout: at.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    (incoming, response) => {
      handle(door, { incoming, response, held }).catch(() => response.destroy())
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.on('checkContinue', (incoming: IncomingMessage, response: ServerResponse) => {
    // Told before it sends a body that nobody would take.
    if (Number(incoming.headers['content-length']) <= door.maxBytes) response.writeContinue()
    server.emit('request', incoming, response)
  })
  await bind(server, at)
  const { port } = server.address() as AddressInfo
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  let closing: Promise<void> | null = null
  return {
    url: `http://${host}:${port}`,
    probe: () => probe(reachable(at.host), port),
    close: () => {
      held.closing = true
      return (closing ??= close(server))
    },
  }
}

function bind(server: Server, at: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const text = `can't listen for webhooks at ${at.host}:${at.port}: ${messageOf(error)}; change \`webhooks.port\` or \`webhooks.host\` in config.yml, or end who has it`
      reject(new UserError(6, 'no-listener', text))
    })
    server.listen(at.port, at.host, resolve)
  })
}

interface Exchange {
  incoming: IncomingMessage
  response: ServerResponse
  held: Held
}

interface Held {
  /** Of bodies. */
  bytes: number
  closing: boolean
}

async function handle(door: WebhookDoor, exchange: Exchange): Promise<void> {
  const { incoming } = exchange
  const path = (incoming.url ?? '').split('?', 1)[0] ?? ''
  if (path === '/health') {
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD')
      return refuse(door, exchange, { status: 405, source: null })
    return answer(exchange, 200, JSON.stringify({ running: true, ...door.health() }))
  }
  const source = /^\/webhooks\/([a-z]{1,40})$/.exec(path)?.[1]
  if (source === undefined || !door.has(source)) return refuse(door, exchange, { status: 404, source: null })
  if (incoming.method !== 'POST') return refuse(door, exchange, { status: 405, source })
  const body = await collect(door, exchange)
  if (body === 'too-large') return refuse(door, exchange, { status: 413, source })
  if (body === 'too-much') return refuse(door, exchange, { status: 503, source })
  if (body === 'cut') return
  try {
    const { status, text } = await door.ingest({ source, headers: headersOf(incoming), body })
    answer(exchange, status, JSON.stringify({ [status < 300 ? 'ok' : 'error']: text }))
  } finally {
    exchange.held.bytes -= body.length
  }
}

/** All bytes of the body, counted as held until the caller gives them back. */
function collect(door: WebhookDoor, { incoming, held }: Exchange): Promise<Buffer | 'too-large' | 'too-much' | 'cut'> {
  if (Number(incoming.headers['content-length'] ?? 0) > door.maxBytes) return Promise.resolve('too-large')
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const stop = (why: 'too-large' | 'too-much' | 'cut'): void => {
      incoming.removeAllListeners('data')
      held.bytes -= bytes
      bytes = 0
      resolve(why)
    }
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      held.bytes += chunk.length
      chunks.push(chunk)
      if (bytes > door.maxBytes) stop('too-large')
      else if (held.bytes > MAX_HELD_BYTES) stop('too-much')
    })
    incoming.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, bytes)))
    incoming.on('close', () => {
      if (!incoming.complete) stop('cut')
    })
    incoming.on('error', () => stop('cut'))
  })
}

const REFUSALS: Record<number, string> = {
  404: 'nothing is here',
  405: 'webhooks are POSTed here',
  413: 'the body is larger than webhooks.maxBytes allows',
  503: 'too much is under way; send it again',
}

function refuse(
  door: WebhookDoor,
  exchange: Exchange,
  { status, source }: { status: number; source: string | null },
): void {
  const reason = REFUSALS[status] ?? 'refused'
  door.refused({ source, status, reason })
  const { incoming, response } = exchange
  if (status === 405) response.setHeader('allow', source === null ? 'GET' : 'POST')
  if (status === 503) response.setHeader('retry-after', '5')
  // What is left of the body is read by nobody: the connection ends with the answer.
  if (!incoming.complete) response.setHeader('connection', 'close')
  answer(exchange, status, JSON.stringify({ error: reason }))
}

function answer({ incoming, response, held }: Exchange, status: number, text: string): void {
  if (held.closing) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(incoming.method === 'HEAD' ? undefined : text)
}

/** Where a header came twice Node has joined or dropped it; lists are none of ours. */
function headersOf(incoming: IncomingMessage): Record<string, string | undefined> {
  return incoming.headers as Record<string, string | undefined>
}

/** An address that listens everywhere is asked at home. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function probe(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/health', agent: false, timeout: PROBE_LIMIT_MS }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_LIMIT_MS)
    server.close(() => {
      clearTimeout(cut)
      resolve()
    })
    server.closeIdleConnections()
  })
}
