// Sends signed deliveries to a port of this machine, from a process of its own, and tells how they were answered.
// node ingest-load.ts: reads one `Load` a line, answers each with a line that is a `LoadResult`.

import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { createInterface } from 'node:readline'

export interface Load {
  port: number
  secret: string
  /** The body up to its last property, whose value makes each delivery another. */
  prefix: string
  count: number
  connections: number
  /** Deliveries a second, whatever was answered; null: the next one of a connection when its last is answered. */
  rate: number | null
}

export interface LoadResult {
  seconds: number
  /** How many were answered with what. */
  answers: Record<string, number>
  /** Of each, from the moment at which it was due, ms. */
  latencies: number[]
  /** CPU time of this process as a share of the time: near 1 it was the sender that was measured. */
  cpuShare: number
}

/** A delivery in bytes: what differs, and the part that all share between. */
interface Prepared {
  head: Buffer
  tail: Buffer
}

/** Signatures are made before the clock runs. */
function prepare(load: Load): Prepared[] {
  return Array.from({ length: load.count }, () => {
    const tail = `"${randomUUID()}"}`
    const signature = createHmac('sha256', load.secret).update(load.prefix).update(tail).digest('hex')
    const head = [
      'POST /webhooks/github HTTP/1.1',
      `Host: 127.0.0.1:${load.port}`,
      'User-Agent: GitHub-Hookshot/044aadd',
      'Accept: */*',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(load.prefix) + tail.length}`,
      `X-GitHub-Delivery: ${randomUUID()}`,
      'X-GitHub-Event: issues',
      `X-Hub-Signature-256: sha256=${signature}`,
    ]
    return { head: Buffer.from(`${head.join('\r\n')}\r\n\r\n`), tail: Buffer.from(tail) }
  })
}

async function run(load: Load): Promise<LoadResult> {
  const deliveries = prepare(load)
  const prefix = Buffer.from(load.prefix)
  const answers: Record<string, number> = {}
  const latencies: number[] = []
  const idle: Socket[] = []
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.port)))
  const dueAt = new Map<Socket, number>()
  let sent = 0
  let startedAt = 0
  let done = (): void => undefined
  let failed: (error: Error) => void = () => undefined
  const ended = new Promise<void>((resolve, reject) => {
    done = resolve
    failed = reject
  })
  const due = (n: number): number => (load.rate === null ? performance.now() : startedAt + (n / load.rate) * 1_000)
  const send = (socket: Socket): void => {
    const delivery = deliveries[sent]
    if (!delivery) return
    dueAt.set(socket, due(sent))
    sent += 1
    socket.cork()
    socket.write(delivery.head)
    socket.write(prefix)
    socket.write(delivery.tail)
    socket.uncork()
  }
  const pump = (): void => {
    while (idle.length > 0 && sent < load.count && due(sent) <= performance.now()) {
      const socket = idle.pop()
      if (socket) send(socket)
    }
  }
  const answered = (socket: Socket, text: string): void => {
    const status = text.slice(9, 12)
    answers[status] = (answers[status] ?? 0) + 1
    latencies.push(performance.now() - (dueAt.get(socket) ?? Number.NaN))
    if (latencies.length === load.count) done()
    else if (load.rate === null) send(socket)
    else {
      idle.push(socket)
      pump()
    }
  }
  for (const socket of sockets) {
    const read = readAnswers((text) => answered(socket, text))
    socket.on('data', read).on('error', failed)
    socket.on('close', () => failed(new Error('the listener closed a connection')))
  }
  const cpu = process.cpuUsage()
  startedAt = performance.now()
  if (load.rate === null) for (const socket of sockets) send(socket)
  else idle.push(...sockets)
  const ticking = load.rate === null ? null : setInterval(pump, 1)
  try {
    await ended
  } finally {
    if (ticking) clearInterval(ticking)
    for (const socket of sockets) socket.removeAllListeners('close').destroy()
  }
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, answers, latencies, cpuShare: (user + system) / 1e6 / seconds }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Calls back once a whole answer: its head, and as many bytes as it says. */
function readAnswers(each: (text: string) => void): (chunk: Buffer) => void {
  let text = ''
  return (chunk) => {
    text += chunk.toString('latin1')
    for (;;) {
      const end = text.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1]
      if (length === undefined) throw new Error(`an answer without a length: ${text.slice(0, end)}`)
      const next = end + 4 + Number(length)
      if (text.length < next) return
      const answer = text.slice(0, next)
      text = text.slice(next)
      each(answer)
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as Load))}\n`)
}
