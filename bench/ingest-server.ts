// What webhooks are sent to in the bench, in a process of its own: node ingest-server.ts raw|orch DIR. Prints its port.
// `raw` is the limit: node:http that collects a body, checks its HMAC and answers; nothing is kept.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { webhooks } from '../src/drivers/github/webhook.ts'
import { makeDoor } from '../src/flow/deliveries.ts'
import { makeAudit } from '../src/flow/webhook-audit.ts'
import { makeWebhookHealth } from '../src/flow/webhook-health.ts'
import { systemTimers } from '../src/lib/clock.ts'
import { openStore } from '../src/store/sqlite.ts'
import { listen } from '../src/surfaces/http/listener.ts'

const [kind, dir = '', secret = ''] = process.argv.slice(2)

function listenRaw(): Promise<number> {
  const server = createServer({ noDelay: true }, (incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const [only] = chunks
      const body = chunks.length === 1 && only ? only : Buffer.concat(chunks)
      const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
      const given = Buffer.from(String(incoming.headers['x-hub-signature-256']))
      const fits = given.byteLength === expected.byteLength && timingSafeEqual(given, expected)
      const text = '{"ok":"taken"}'
      response.writeHead(fits ? 202 : 401, { 'content-type': 'application/json', 'content-length': text.length })
      response.end(text)
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

/** The listener, the door and the store as `orch up` puts them together; nobody works on what came. */
async function listenOrch(): Promise<number> {
  const onError = (error: unknown): never => {
    throw error
  }
  const door = makeDoor({
    store: await openStore(join(dir, 'orch.db')),
    sources: { github: webhooks },
    secrets: { github: [secret] },
    settings: { port: 0, host: '127.0.0.1', maxBytes: 1 << 20, unsigned: false },
    audit: makeAudit({ home: dir, now: Date.now, timers: systemTimers, onError }),
    health: makeWebhookHealth({ now: Date.now, lastDeliveries: () => [] }),
    now: Date.now,
    onError,
    onNew: () => undefined,
  })
  const { url } = await listen(door, { host: '127.0.0.1', port: 0 })
  return Number(new URL(url).port)
}

process.stdout.write(`${kind === 'raw' ? await listenRaw() : await listenOrch()}\n`)
process.stdin.resume().on('end', () => process.exit(0))
