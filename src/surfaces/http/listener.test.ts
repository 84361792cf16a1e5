// The listener over loopback, with the real store behind it: what each bad request gets, and that nothing answered is lost.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type IngestDeps, makeDoor, webhookSecrets } from '../../flow/deliveries.ts'
import { SECRET, about, issue, memoryAudit, signed, testSource } from '../../flow/test-webhooks.ts'
import { makeWebhookHealth } from '../../flow/webhook-health.ts'
import type { Listener, WebhookDoor } from '../../flow/app.ts'
import { openStore } from '../../store/sqlite.ts'
import type { Store } from '../../store/store.ts'
import { listen } from './listener.ts'

const LOOPBACK = '127.0.0.1'
const MAX_BYTES = 64 << 10

let dir: string
let store: Store
let listener: Listener | null
let fresh: string[]
let errors: unknown[]
let audit: ReturnType<typeof memoryAudit>

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-listener-'))
  store = await openStore(join(dir, 'orch.db'))
  listener = null
  fresh = []
  errors = []
  audit = memoryAudit()
})

afterEach(async () => {
  await listener?.close()
  store.close()
  await rm(dir, { recursive: true, force: true })
})

async function open(more: Partial<IngestDeps> = {}, limits: { headersTimeoutMs?: number } = {}): Promise<string> {
  const door = makeDoor({
    store,
    sources: { github: testSource },
    secrets: { github: [SECRET] },
    settings: { port: 0, host: LOOPBACK, maxBytes: MAX_BYTES, unsigned: false },
    audit,
    health: makeWebhookHealth({ now: () => 1_000, lastDeliveries: () => store.lastDeliveries() }),
    now: () => 1_000,
    onError: (error) => errors.push(error),
    onNew: (source) => fresh.push(source),
    ...more,
  })
  listener = await listen(door, { host: LOOPBACK, port: 0, ...limits })
  return listener.url
}

interface Call {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: Uint8Array
  agent?: Agent
}

/** Fetch would refuse some of what is sent here. */
function call(url: string, { method = 'POST', path = '/webhooks/github', headers = {}, body, agent }: Call) {
  return new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const asked = request(new URL(path, url), { method, headers, agent: agent ?? false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
          headers: response.headers,
        }),
      )
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

const BODY = about([issue(12)])
const good = (id = 'd-1', body: Uint8Array = BODY): Call => ({ headers: signed({ id, body }), body })
const ids = () => store.listDeliveries({ limit: 5_000 }).map((row) => row.deliveryId)

test('a signed delivery is kept, then answered with 202, then worked on; the second time it is a 200', async () => {
  const url = await open()
  expect(await call(url, good())).toMatchObject({ status: 202 })
  expect(store.listDeliveries({ limit: 1 })).toMatchObject([{ deliveryId: 'd-1', event: 'issues', state: 'received' }])
  expect(await call(url, good())).toMatchObject({ status: 200 })
  expect(ids()).toEqual(['d-1'])
  expect(fresh).toEqual(['github'])
  expect(audit.lines).toMatchObject([
    { what: 'request', source: 'github', status: 202, delivery: 'd-1', event: 'issues' },
    { status: 200, delivery: 'd-1' },
  ])
})

test('what can not be read is kept and answered like all else: it is nobody’s turn to read it yet', async () => {
  const url = await open()
  for (const text of ['{"ref":', '', '\0\0', 'x'.repeat(MAX_BYTES)]) {
    const body = Buffer.from(text)
    expect(await call(url, good(`d-${text.length}`, body))).toMatchObject({ status: 202 })
  }
  expect(ids()).toHaveLength(4)
})

describe('what bad input gets', () => {
  const { 'x-test-signature': signature, ...unsigned } = signed({ id: 'd-1', body: BODY })
  test.each<[string, number, Call]>([
    ['a bad signature', 401, { headers: { ...unsigned, 'x-test-signature': '0'.repeat(64) }, body: BODY }],
    ['another body', 401, { headers: { ...unsigned, 'x-test-signature': signature }, body: Buffer.from('{}') }],
    ['an empty signature', 401, { headers: { ...unsigned, 'x-test-signature': '' }, body: BODY }],
    ['no signature', 401, { headers: unsigned, body: BODY }],
    ['no delivery id', 400, { headers: { 'x-test-event': 'issues', 'x-test-signature': signature }, body: BODY }],
    ['no event', 400, { headers: { 'x-test-delivery': 'd-1', 'x-test-signature': signature }, body: BODY }],
    ['another path', 404, { ...good(), path: '/webhooks' }],
    ['another driver', 404, { ...good(), path: '/webhooks/gitlab' }],
    ['a word of JavaScript', 404, { ...good(), path: '/webhooks/constructor' }],
    ['more of a path', 404, { ...good(), path: '/webhooks/github/more' }],
    ['the root', 404, { ...good(), path: '/' }],
    ['a look', 405, { method: 'GET' }],
    ['a large body', 413, good('d-1', Buffer.alloc(MAX_BYTES + 1, 'x'))],
  ])('%s', async (_name, status, bad) => {
    const url = await open()
    const answer = await call(url, bad)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toEqual({ error: expect.any(String) as string })
    expect(answer.text).not.toContain(SECRET)
    expect(ids()).toEqual([])
    expect(fresh).toEqual([])
    expect(audit.lines).toMatchObject([{ what: 'request', status, reason: expect.any(String) as string }])
    // Nothing is held back from the next one.
    expect(await call(url, good('next'))).toMatchObject({ status: 202 })
  })

  test('a large body that does not say so is cut where it grows too large', async () => {
    const url = await open()
    const body = Buffer.alloc(MAX_BYTES + 1, 'x')
    const headers = { ...signed({ id: 'd-1', body }), 'transfer-encoding': 'chunked' }
    expect(await call(url, { headers, body })).toMatchObject({ status: 413 })
    expect(ids()).toEqual([])
  })

  test('a body that is cut leaves nothing, and the listener as it was', async () => {
    const url = await open()
    const socket = connect(Number(new URL(url).port), LOOPBACK)
    await once(socket, 'connect')
    socket.write('POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
    socket.destroy()
    expect(await call(url, good())).toMatchObject({ status: 202 })
    expect(ids()).toEqual(['d-1'])
  })

  test('who sends headers for ever is cut off, and holds up nobody meanwhile', { timeout: 30_000 }, async () => {
    const url = await open({}, { headersTimeoutMs: 500 })
    const socket = connect(Number(new URL(url).port), LOOPBACK)
    socket.write('POST /webhooks/github HTTP/1.1\r\n')
    socket.on('error', () => undefined)
    const drip = setInterval(() => socket.write('x-more: 1\r\n'), 100)
    const closed = once(socket, 'close')
    socket.resume()
    expect(await call(url, good())).toMatchObject({ status: 202 })
    await closed
    clearInterval(drip)
  })

  test('what is no HTTP gets a 400 and no more', async () => {
    const url = await open()
    const socket = connect(Number(new URL(url).port), LOOPBACK)
    socket.write('GARBAGE\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400/)
    socket.destroy()
    expect(await call(url, good())).toMatchObject({ status: 202 })
  })
})

test('without a secret nothing is taken; unsigned ones only where that was switched on', async () => {
  const url = await open({ secrets: { github: [] } })
  expect(await call(url, good())).toMatchObject({ status: 401 })
  await listener?.close()
  const open2 = await open({
    secrets: {},
    settings: { port: 0, host: LOOPBACK, maxBytes: MAX_BYTES, unsigned: true },
  })
  const { 'x-test-signature': _signature, ...unsigned } = signed({ id: 'd-1', body: BODY })
  expect(await call(open2, { headers: unsigned, body: BODY })).toMatchObject({ status: 202 })
})

test('several secrets by commas, while one is changed for the next', () => {
  const env = { ORCH_GITHUB_WEBHOOK_SECRET: 'new, old,,', ORCH_PLANE_WEBHOOK_SECRET: ' ' }
  expect(webhookSecrets(env, ['github', 'plane', 'gitea'])).toEqual({ github: ['new', 'old'], plane: [], gitea: [] })
})

test('an append that fails is a 500, so that the vendor sends it again; nothing was taken', async () => {
  const appendDelivery: Store['appendDelivery'] = () => Promise.reject(new Error('the disk is full'))
  const url = await open({ store: { appendDelivery } })
  expect(await call(url, good())).toMatchObject({ status: 500 })
  expect(errors).toHaveLength(1)
  expect(fresh).toEqual([])
  expect(audit.lines).toMatchObject([{ status: 500, delivery: 'd-1' }])
})

test('health says that it runs, when something came last, and whether signatures are checked', async () => {
  const url = await open()
  const health = async () => JSON.parse((await call(url, { method: 'GET', path: '/health' })).text) as unknown
  expect(await health()).toEqual({ running: true, lastDeliveryAt: null, signed: true })
  await call(url, good())
  expect(await health()).toMatchObject({ lastDeliveryAt: '1970-01-01T00:00:01.000Z' })
  expect(await listener?.probe()).toBe(true)
  await listener?.close()
  expect(await listener?.probe()).toBe(false)
})

test('an address that is taken is the user’s to mend', async () => {
  const url = await open()
  const door: WebhookDoor = {
    maxBytes: 1,
    has: () => false,
    ingest: async () => ({ status: 500, text: '' }),
    refused: () => undefined,
    health: () => ({ lastDeliveryAt: null, signed: false }),
  }
  await expect(listen(door, { host: LOOPBACK, port: Number(new URL(url).port) })).rejects.toMatchObject({
    exit: 6,
    code: 'no-listener',
  })
})

test('closing ends what is under way with its answer, and takes nothing more', async () => {
  const { promise: isLet, resolve: letGo } = Promise.withResolvers<undefined>()
  const appendDelivery: Store['appendDelivery'] = async (delivery) => {
    await isLet
    return store.appendDelivery(delivery)
  }
  const url = await open({ store: { appendDelivery } })
  const agent = new Agent({ keepAlive: true })
  const answer = call(url, { ...good(), agent })
  await expect.poll(async () => (await call(url, { method: 'GET', path: '/health' })).status).toBe(200)
  const startedAt = performance.now()
  const closed = listener?.close()
  await expect(call(url, good('late'))).rejects.toThrow('ECONNREFUSED')
  letGo(undefined)
  expect(await answer).toMatchObject({ status: 202, headers: { connection: 'close' } })
  await closed
  // Far below the limit at which connections are cut.
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  agent.destroy()
  expect(ids()).toEqual(['d-1'])
})

test('many at once, doubled and in any order: each distinct one is kept once', async () => {
  const url = await open()
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const numbers = Array.from({ length: 400 }, (_, n) => n % 200)
  const answers = await Promise.all(
    numbers.map((n) => call(url, { ...good(`d-${n}`, about([issue(n)])), agent }).then(({ status }) => status)),
  )
  agent.destroy()
  expect(answers.filter((status) => status === 202)).toHaveLength(200)
  expect(answers.filter((status) => status === 200)).toHaveLength(200)
  expect(new Set(ids()).size).toBe(200)
})

/** Kills of a real process, each in the moment of an answer. */
const KILLS = 25
const EACH = 8

test(
  `kill -9 right after an answer loses nothing that was answered, ${KILLS} times`,
  { timeout: 240_000 },
  async () => {
    const database = join(dir, 'orch.db')
    const fixture = join(import.meta.dirname, '__fixtures__', 'listening.ts')
    const answered: string[] = []
    for (let round = 0; round < KILLS; round++) {
      const child = spawn(process.execPath, [fixture, database], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const url = line.toString().trim()
      const sent = Array.from({ length: EACH }, async (_, n) => {
        const id = `k-${round}-${n}`
        const { status } = await call(url, good(id, Buffer.from(id)))
        if (status !== 202) throw new Error(`${id} was answered with ${status}`)
        answered.push(id)
        // The first answer kills; others may be answered in the same moment, or never.
        child.kill('SIGKILL')
      })
      await Promise.allSettled(sent)
      await once(child, 'exit').catch(() => undefined)
    }
    expect(answered.length).toBeGreaterThanOrEqual(KILLS)
    const kept = new Set(ids())
    expect(answered.filter((id) => !kept.has(id))).toEqual([])
  },
)
