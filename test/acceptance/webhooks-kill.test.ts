// `kill -9` in the middle of hundreds of deliveries, of 1 KB and of 25 KB: none that was answered is lost, none is there twice.

import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Live, type World, makeWorld } from './harness.ts'

const SECRET = 'a-secret-of-this-test'
const AT_ONCE = 200
/** Answered before each kill. */
const ANSWERED = 600
const KILLS = 3

let world: World
let port: number
let live: Live | null = null

beforeAll(async () => {
  world = await makeWorld({ env: { ORCH_GITHUB_WEBHOOK_SECRET: SECRET } })
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  server.close()
  writeFileSync(join(world.home, 'config.yml'), `webhooks: { port: ${port} }\n`)
})
afterAll(async () => {
  live?.kill('SIGINT')
  await live?.ended
  await world.close()
})

async function up(): Promise<Live> {
  live = world.start(['up'])
  await live.says(`webhooks are taken at http://127.0.0.1:${port}/webhooks/ for github`)
  return live
}

/** The answer's status; null where none came. */
function deliver(agent: Agent, id: string, bytes: number): Promise<number | null> {
  const push = { ref: 'refs/heads/main', after: 'a'.repeat(40), repository: { full_name: 'no/project' } }
  const body = JSON.stringify({ ...push, id, text: 'x'.repeat(bytes) })
  const headers = {
    'x-github-delivery': id,
    'x-github-event': 'push',
    'x-hub-signature-256': `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`,
    'content-length': body.length,
  }
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path: '/webhooks/github', method: 'POST', agent, headers })
    asked.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? null)
    })
    asked.on('error', () => resolve(null))
    asked.end(body)
  })
}

/** Sends without a pause until the service is killed under it; gives the ids by what was answered. */
async function sendUntilKilled(service: Live): Promise<{ taken: string[]; unanswered: string[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  const [taken, unanswered]: [string[], string[]] = [[], []]
  let isKilled = false
  const sendOn = async (n: number): Promise<void> => {
    while (!isKilled) {
      const id = randomUUID()
      const status = await deliver(agent, id, n % 2 === 0 ? 1_000 : 25_000)
      if (status === 202) taken.push(id)
      else if (status === null) unanswered.push(id)
      else throw new Error(`answered with ${status}`)
      if (taken.length >= ANSWERED && !isKilled) {
        isKilled = true
        service.kill('SIGKILL')
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => sendOn(n)))
  await service.ended
  agent.destroy()
  return { taken, unanswered }
}

interface Row {
  id: string
  state: string
  n: number
}

function rows(): Map<string, Row> {
  const db = new DatabaseSync(join(world.home, 'orch.db'), { readOnly: true })
  try {
    const found = db.prepare('SELECT delivery_id AS id, state, count(*) AS n FROM all_deliveries GROUP BY delivery_id')
    return new Map((found.all() as unknown as Row[]).map((row) => [row.id, row]))
  } finally {
    db.close()
  }
}

test('what was answered is there after a kill, once, and is worked on', { timeout: 300_000 }, async () => {
  const taken: string[] = []
  const unanswered: string[] = []
  for (let n = 0; n < KILLS; n++) {
    const round = await sendUntilKilled(await up())
    taken.push(...round.taken)
    unanswered.push(...round.unanswered)
    const kept = rows()
    expect(taken.filter((id) => !kept.has(id))).toEqual([])
    // Some were under way: without them nothing would have been shown.
    expect(round.unanswered.length).toBeGreaterThan(0)
  }
  const last = await up()
  // Their senders, which got no answer, send them again.
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const again = await Promise.all([...unanswered, ...taken.slice(0, 50)].map((id) => deliver(agent, id, 1_000)))
  agent.destroy()
  expect(again.filter((status) => status !== 200 && status !== 202)).toEqual([])
  expect(again.slice(unanswered.length).filter((status) => status !== 200)).toEqual([])
  const open = (): number => [...rows().values()].filter(({ state }) => state === 'received').length
  await expect.poll(open, { timeout: 120_000, interval: 500 }).toBe(0)
  const all = rows()
  expect([...all.values()].filter(({ n }) => n !== 1)).toEqual([])
  expect([...taken, ...unanswered].filter((id) => all.get(id)?.state !== 'ignored')).toEqual([])
  expect(all.size).toBe(taken.length + unanswered.length)
  last.kill('SIGINT')
  expect((await last.ended).code).toBe(0)
  live = null
})
