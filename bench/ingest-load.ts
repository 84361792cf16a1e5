// Sends signed deliveries to a port of this machine, from a process of its own, and tells how they were answered.
// node ingest-load.ts: reads one `Load` a line, answers each with a line that is a `LoadResult`.

import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { createInterface } from 'node:readline'

export interface Load {
  port: number
  secret: string
  /** The body from its second property on; the first makes each delivery another. */
  rest: string
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

/** What differs of each delivery: its headers and the start of its body. What all share is sent after it. */
function prepare(load: Load): Buffer[] {
  const text = Array.from({ length: load.count }, () => {
    const start = `{"n":"${randomUUID()}",`
    const signature = createHmac('sha256', load.secret).update(start).update(load.rest).digest('hex')
    const head = [
      'POST /webhooks/github HTTP/1.1',
      `Host: 127.0.0.1:${load.port}`,
      'User-Agent: GitHub-Hookshot/044aadd',
      'Accept: */*',
      'Content-Type: application/json',
      `Content-Length: ${start.length + Buffer.byteLength(load.rest)}`,
      `X-GitHub-Delivery: ${randomUUID()}`,
      'X-GitHub-Event: issues',
      `X-Hub-Signature-256: sha256=${signature}`,
    ]
    return `${head.join('\r\n')}\r\n\r\n${start}`
  })
  const all = Buffer.from(text.join(''), 'latin1')
  let at = 0
  return text.map(({ length }) => all.subarray(at, (at += length)))
}

interface Connection {
  socket: Socket
  /** Of the delivery that it waits for. */
  dueAt: number
}

/**
 * Nothing that grows is made while the clock runs, and what was made before is collected: what this process stands still
 * would be told as a wait for the listener.
 */
async function run(load: Load): Promise<LoadResult> {
  const deliveries = prepare(load)
  const rest = Buffer.from(load.rest)
  const latencies = new Float64Array(load.count)
  const answers: Record<string, number> = {}
  const idle: Connection[] = []
  let sent = 0
  let ended = 0
  let startedAt = 0
  let done = (): void => undefined
  let failed: (error: Error) => void = () => undefined
  const allAnswered = new Promise<void>((resolve, reject) => {
    done = resolve
    failed = reject
  })
  const due = (n: number): number => (load.rate === null ? performance.now() : startedAt + (n / load.rate) * 1_000)
  const send = (connection: Connection): void => {
    const delivery = deliveries[sent]
    if (!delivery) return
    connection.dueAt = due(sent)
    sent += 1
    connection.socket.cork()
    connection.socket.write(delivery)
    connection.socket.write(rest)
    connection.socket.uncork()
  }
  const pump = (): void => {
    while (idle.length > 0 && sent < load.count && due(sent) <= performance.now()) {
      const connection = idle.pop()
      if (connection) send(connection)
    }
  }
  const answered = (connection: Connection, status: string): void => {
    answers[status] = (answers[status] ?? 0) + 1
    latencies[ended] = performance.now() - connection.dueAt
    ended += 1
    if (ended === load.count) done()
    else if (load.rate === null) send(connection)
    else {
      idle.push(connection)
      pump()
    }
  }
  const connections = await Promise.all(
    Array.from({ length: load.connections }, () => open(load.port, answered, failed)),
  )
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  startedAt = performance.now()
  if (load.rate === null) for (const connection of connections) send(connection)
  else idle.push(...connections)
  const ticking = load.rate === null ? null : setInterval(pump, 1)
  try {
    await allAnswered
  } finally {
    if (ticking) clearInterval(ticking)
    for (const { socket } of connections) socket.removeAllListeners('close').destroy()
  }
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, answers, latencies: [...latencies], cpuShare: (user + system) / 1e6 / seconds }
}

/** Larger than any answer of ours. */
const READ_BYTES = 4_096

async function open(
  port: number,
  answered: (connection: Connection, status: string) => void,
  failed: (error: Error) => void,
): Promise<Connection> {
  const read = readAnswers((status) => answered(connection, status))
  const onread = {
    // One for all that comes: a new one for each answer would be collected while the clock runs.
    buffer: Buffer.alloc(READ_BYTES),
    callback: (bytes: number, buffer: Uint8Array) => {
      read(Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString('latin1'))
      return true
    },
  }
  const connection: Connection = { socket: connect({ port, host: '127.0.0.1', noDelay: true, onread }), dueAt: 0 }
  await once(connection.socket, 'connect')
  connection.socket.on('error', failed)
  connection.socket.on('close', () => failed(new Error('the listener closed a connection')))
  return connection
}

/** Calls back with the status of each whole answer: its head, and as many bytes as it says. */
function readAnswers(each: (status: string) => void): (chunk: string) => void {
  let text = ''
  return (chunk) => {
    text += chunk
    for (;;) {
      const end = text.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1]
      if (length === undefined) throw new Error(`an answer without a length: ${text.slice(0, end)}`)
      const next = end + 4 + Number(length)
      if (text.length < next) return
      const status = text.slice(9, 12)
      text = text.slice(next)
      each(status)
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as Load))}\n`)
}
