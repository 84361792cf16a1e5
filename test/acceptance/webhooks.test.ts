// Webhooks at the real program: `orch up` listens, keeps what is signed, works on it, and tells of it.

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditView, DeliveryView, WebhooksView } from '../../src/flow/app.ts'
import { type Live, type World, makeWorld } from './harness.ts'

const SECRET = 'a-secret-of-this-test'

let world: World
let port: number
let live: Live | null = null

beforeAll(async () => {
  world = await makeWorld({ env: { ORCH_GITHUB_WEBHOOK_SECRET: SECRET } })
  port = await freePort()
  writeFileSync(join(world.home, 'config.yml'), `webhooks: { port: ${port}, maxBytes: 4096 }\n`)
})
afterAll(async () => {
  live?.kill('SIGINT')
  await live?.ended
  await world.close()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: free } = server.address() as AddressInfo
  server.close()
  return free
}

async function up(): Promise<Live> {
  live = world.start(['up'])
  await live.says(`webhooks are taken at http://127.0.0.1:${port}/webhooks/ for github`)
  return live
}

const signatureOf = (body: string, secret = SECRET): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

async function deliver(id: string, body: string, more: { secret?: string; path?: string } = {}): Promise<number> {
  const headers = {
    'x-github-delivery': id,
    'x-github-event': 'issues',
    'x-hub-signature-256': signatureOf(body, more.secret),
  }
  const url = `http://127.0.0.1:${port}${more.path ?? '/webhooks/github'}`
  return (await fetch(url, { method: 'POST', headers, body })).status
}

const deliveries = async (): Promise<DeliveryView[]> =>
  (await world.ok(['webhook', 'deliveries', '--json'])).json<DeliveryView[]>()

async function settled(id: string): Promise<DeliveryView> {
  const find = async () => (await deliveries()).find((row) => row.deliveryId === id && row.state !== 'received')
  await expect.poll(find, { timeout: 20_000 }).toBeTruthy()
  const found = await find()
  if (!found) throw new Error(`${id} is not settled any more`)
  return found
}

test('what is refused and what is taken, and what came of it', { timeout: 120_000 }, async () => {
  const first = await up()
  expect(await deliver('bad', '{}', { secret: 'another' })).toBe(401)
  expect(await deliver('lost', '{}', { path: '/webhooks/gitlab' })).toBe(404)
  expect(await deliver('large', 'x'.repeat(5_000))).toBe(413)
  expect(await deliver('no-json', '{"action":')).toBe(202)
  expect(await deliver('no-json', '{"action":')).toBe(200)
  expect(await settled('no-json')).toMatchObject({ state: 'rejected', note: expect.any(String) as string })

  const status = (await world.ok(['webhook', 'status', '--json'])).json<WebhooksView>()
  expect(status).toMatchObject({
    listening: { url: `http://127.0.0.1:${port}`, signed: ['github'], unsigned: false },
    sources: [{ name: 'github', signed: true, last24h: { rejected: 1 } }],
  })

  // What was answered in the moment of a kill is worked on by the next service.
  expect(await deliver('before the kill', '[]')).toBe(202)
  first.kill('SIGKILL')
  await first.ended
  expect((await world.ok(['webhook', 'status'])).stdout).toContain('Nobody listens')
  const second = await up()
  await settled('before the kill')
  expect(await deliver('before the kill', '[]')).toBe(200)

  const [row] = (await deliveries()).filter((one) => one.deliveryId === 'no-json')
  await world.ok(['webhook', 'replay', String(row?.id)])
  await expect.poll(async () => (await settled('no-json')).replays, { timeout: 20_000 }).toBe(1)
  expect((await world.orch(['webhook', 'replay', '999'])).code).toBe(3)

  second.kill('SIGINT')
  expect((await second.ended).code).toBe(0)
  live = null
  await expect(deliver('late', '{}')).rejects.toThrow('fetch failed')
})

test('the audit has a line for each, without a secret or a body, and thresholds fail it', async () => {
  const text = readFileSync(join(world.home, 'webhooks.jsonl'), 'utf8')
  expect(text).not.toContain(SECRET)
  expect(text).not.toContain('"action":')
  const audit = await world.ok(['webhook', 'audit', '--fail-on-5xx-rate', '5', '--fail-on-failed', '0', '--json'])
  expect(audit.json<AuditView>()).toMatchObject({
    byStatus: { 401: 1, 404: 1, 413: 1 },
    rate5xx: 0,
    settled: { failed: 0 },
  })
  const failed = { at: new Date().toISOString(), what: 'settled', source: 'github', state: 'failed', note: 'no answer' }
  const refused = { at: new Date().toISOString(), what: 'request', source: 'github', status: 500, reason: 'disk' }
  const path = join(world.home, 'webhooks.jsonl')
  writeFileSync(path, `${text}${JSON.stringify(failed)}\n${JSON.stringify(refused)}\n{"cut`)
  expect((await world.orch(['webhook', 'audit', '--fail-on-failed', '0'])).code).toBe(1)
  expect((await world.orch(['webhook', 'audit', '--fail-on-failed', '1'])).code).toBe(0)
  expect((await world.orch(['webhook', 'audit', '--fail-on-5xx-rate', '5'])).code).toBe(1)
  expect((await world.orch(['webhook', 'audit', '--since', '0s', '--fail-on-failed', '0'])).code).toBe(0)
})

test('cleaning keeps what is new, and takes what is older than asked', async () => {
  expect((await world.ok(['webhook', 'cleanup', '--json'])).json()).toEqual({ removed: 0 })
  const before = (await deliveries()).length
  expect(before).toBeGreaterThan(0)
  expect((await world.ok(['webhook', 'cleanup', '--keep-days', '0', '--json'])).json()).toEqual({ removed: before })
})

test('a port that is taken ends `orch up` with a word on what to do', async () => {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  const ended = await world.orch(['up', '--until-idle'])
  server.close()
  expect(ended).toMatchObject({ code: 6, stderr: expect.stringContaining('webhooks.port') as string })
})
