import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ExternalError } from './errors.ts'
import { type HttpOptions, makeHttp, retryAfter } from './http.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const SECRET = 'tok_0123456789abcdef'

type Handler = (request: IncomingMessage & { text: string }, response: ServerResponse) => void

let server: Server
let origin: string
let handler: Handler
let seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[]

beforeEach(async () => {
  seen = []
  ;({ server, origin } = await listen((request, response) => handler(request, response)))
})
afterEach(() => close(server))

async function listen(handle: Handler): Promise<{ server: Server; origin: string }> {
  const made = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      handle(Object.assign(request, { text: body }), response)
    })
  })
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  return { server: made, origin: `http://127.0.0.1:${(made.address() as AddressInfo).port}` }
}

function close(one: Server): Promise<void> {
  one.closeAllConnections()
  return new Promise((resolve) => one.close(() => resolve()))
}

function http(options: Partial<HttpOptions> = {}) {
  return makeHttp({
    system: 'forge',
    headers: () => ({ authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET }),
    now: () => NOW,
    ...options,
  })
}

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  }
}

async function failure(work: Promise<unknown>): Promise<ExternalError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ExternalError)) throw new Error(`not an ExternalError: ${String(error)}`)
  expect(error.system).toBe('forge')
  for (let at: unknown = error; at instanceof Error; at = at.cause) expect(at.message).not.toContain(SECRET)
  return error
}

const get = (path = '/things') => ({ method: 'GET', url: `${origin}${path}`, doing: 'list things' }) as const
const post = (path = '/things') =>
  ({ method: 'POST', url: `${origin}${path}`, body: { a: 1 }, doing: 'make a thing' }) as const

describe('what is sent and read', () => {
  test('JSON out and in, with the headers of now', async () => {
    handler = answer(201, { id: 7 })
    let asked = 0
    const client = http({ headers: () => Promise.resolve({ authorization: `Bearer t${(asked += 1)}` }) })
    expect(await client.send(post())).toMatchObject({ status: 201, json: { id: 7 }, unchanged: false })
    await client.send(post())
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer t1', 'Bearer t2'])
    expect(seen[0]).toMatchObject({ method: 'POST', body: '{"a":1}' })
    expect(seen[0]?.headers['content-type']).toBe('application/json')
  })

  test('an empty answer is null', async () => {
    handler = (_request, response) => response.writeHead(204).end()
    expect(await http().send(post())).toMatchObject({ status: 204, json: null })
  })

  test('a status named as an answer is one', async () => {
    handler = answer(404, { message: 'Not Found' })
    expect(await http().send({ ...get(), accept: [404] })).toMatchObject({
      status: 404,
      json: { message: 'Not Found' },
    })
  })

  test('the headers of each answer are told, also those of a refusal', async () => {
    const told: (string | null)[] = []
    handler = answer(403, {}, { 'x-left': '0' })
    await failure(http({ onHeaders: (headers) => told.push(headers.get('x-left')) }).send(get()))
    expect(told).toEqual(['0'])
  })
})

describe('refusals by kind', () => {
  test.each([
    [400, 'rejected'],
    [401, 'auth'],
    [403, 'auth'],
    [404, 'not-found'],
    [408, 'timed-out'],
    [409, 'conflict'],
    [410, 'not-found'],
    [412, 'conflict'],
    [413, 'rejected'],
    [422, 'rejected'],
    [429, 'rate-limited'],
    [500, 'unreachable'],
    [502, 'unreachable'],
    [503, 'unreachable'],
  ])('%i is %s, and says what was tried, on what, and what was said', async (status, kind) => {
    handler = answer(status, { message: 'because of reasons' })
    const error = await failure(http().send(get('/things?token=hush')))
    expect(error.kind).toBe(kind)
    expect(error.message).toBe(`could not list things: GET ${origin}/things answered ${status}: because of reasons`)
    expect(error.retryAfterMs).toBeUndefined()
  })

  test.each([
    ['seconds', '90', 90_000],
    ['a date', 'Sun, 01 Mar 2026 12:02:00 GMT', 120_000],
    ['a date that has passed', 'Sun, 01 Mar 2026 11:00:00 GMT', 0],
    ['nonsense', 'soon', undefined],
  ])('Retry-After as %s', async (_name, value, ms) => {
    handler = answer(429, {}, { 'retry-after': value })
    expect((await failure(http().send(get()))).retryAfterMs).toBe(ms)
    expect(retryAfter(new Headers({ 'retry-after': value }), NOW)).toEqual(ms === undefined ? {} : { retryAfterMs: ms })
  })

  test('a vendor reads its own refusals where the usual reading is wrong', async () => {
    handler = answer(403, { message: 'secondary limit' })
    const readError = (): { kind: 'rate-limited'; retryAfterMs: number } => ({
      kind: 'rate-limited',
      retryAfterMs: 60_000,
    })
    const error = await failure(http({ readError }).send(get()))
    expect(error).toMatchObject({ kind: 'rate-limited', retryAfterMs: 60_000 })
    expect(error.message).toContain('answered 403: secondary limit')
  })

  test.each([200, 400, 403, 404, 409, 410, 422, 500])(
    'a page of HTML with %i is a proxy, not the API',
    async (status) => {
      handler = answer(status, '<html>maintenance</html>', { 'content-type': 'text/html' })
      const error = await failure(http().send(get()))
      expect(error.kind).toBe('unreachable')
      expect(error.message).toContain(`answered ${status} with no JSON`)
    },
  )

  test.each([
    [401, 'auth'],
    [429, 'rate-limited'],
  ])('%i means the same in HTML', async (status, kind) => {
    handler = answer(status, '<html>no</html>')
    expect((await failure(http().send(get()))).kind).toBe(kind)
  })

  test('JSON that breaks off is no answer', async () => {
    handler = answer(200, '[{"id": 1}, {"id"')
    expect((await failure(http().send(get()))).kind).toBe('unreachable')
  })
})

describe('a connection that fails', () => {
  test('refused', async () => {
    const gone = await listen(answer(200, {}))
    await close(gone.server)
    const error = await failure(http().send({ ...get(), url: `${gone.origin}/things` }))
    expect(error).toMatchObject({ kind: 'unreachable', message: expect.stringContaining('ECONNREFUSED') as string })
  })

  test('cut before the answer', async () => {
    handler = (request) => request.socket.destroy()
    expect((await failure(http().send(post()))).kind).toBe('unreachable')
    // Whether it was done nobody knows: it is not sent twice.
    expect(seen).toHaveLength(1)
  })

  test('cut in the middle of the answer', async () => {
    handler = (request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"id":')
      setTimeout(() => request.socket.destroy(), 20)
    }
    expect((await failure(http().send(get()))).kind).toBe('unreachable')
  })

  test.each([
    ['never answers', () => undefined],
    ['never ends its answer', (_request: unknown, response: ServerResponse) => void response.writeHead(200).write('{')],
  ])('one that %s is timed out', async (_name, hang) => {
    handler = hang as Handler
    const error = await failure(http({ timeoutMs: 150 }).send(get()))
    expect(error.kind).toBe('timed-out')
  })

  test('an answer without end is given up', async () => {
    handler = (_request, response) => {
      const chunk = Buffer.alloc(1 << 20, ' ')
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more)
      }
      response.writeHead(200)
      more()
    }
    const error = await failure(http().send(get()))
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('larger than 16 MiB') as string,
    })
  })
})

describe('what has not changed', () => {
  const withEtag: Handler = (request, response) => {
    if (request.headers['if-none-match'] === '"v1"') response.writeHead(304, { 'x-left': '9' }).end()
    else response.writeHead(200, { etag: '"v1"', link: '<next>', 'content-type': 'application/json' }).end('[1]')
  }

  test('comes from memory, with the headers it came with', async () => {
    handler = withEtag
    const client = http()
    expect(await client.send(get())).toMatchObject({ json: [1], unchanged: false })
    const again = await client.send(get())
    expect(again).toMatchObject({ status: 200, json: [1], unchanged: true })
    expect(again.headers.get('link')).toBe('<next>')
    expect((await client.send(get('/things?page=2'))).unchanged).toBe(false)
  })

  test('a write is never conditional', async () => {
    handler = withEtag
    const client = http()
    await client.send(get())
    await client.send(post())
    expect(seen[1]?.headers['if-none-match']).toBeUndefined()
  })

  test('memory is bounded in bytes: the oldest answer goes', async () => {
    const big = JSON.stringify('x'.repeat(9 << 20))
    handler = (request, response) => {
      if (request.headers['if-none-match']) response.writeHead(304).end()
      else response.writeHead(200, { etag: `"${request.url}"` }).end(big)
    }
    const client = http()
    for (const path of ['/a', '/b', '/c', '/d']) await client.send(get(path))
    expect((await client.send(get('/d'))).unchanged).toBe(true)
    expect((await client.send(get('/a'))).unchanged).toBe(false)
  })
})

describe('redirects', () => {
  test('a read follows one within the API with its credential, and remembers by the address asked', async () => {
    handler = (request, response) => {
      if (request.url === '/old') response.writeHead(301, { location: '/new' }).end()
      else response.writeHead(200).end('{"at":"new"}')
    }
    expect((await http().send(get('/old'))).json).toEqual({ at: 'new' })
    expect(seen[1]?.headers.authorization).toBe(`Bearer ${SECRET}`)
  })

  test('no credential goes to another host', async () => {
    const other = await listen(answer(200, { from: 'other' }))
    handler = (_request, response) => response.writeHead(302, { location: `${other.origin}/log?sig=1` }).end()
    try {
      expect((await http().send(get())).json).toEqual({ from: 'other' })
      expect(seen[1]?.headers).not.toHaveProperty('authorization')
      expect(seen[1]?.headers).not.toHaveProperty('x-api-key')
    } finally {
      await close(other.server)
    }
  })

  test('a write is sent on where the same method is asked for within the API', async () => {
    handler = (request, response) => {
      if (request.url === '/things') response.writeHead(307, { location: `${origin}/moved` }).end()
      else response.writeHead(201).end('{"ok":true}')
    }
    expect(await http().send(post())).toMatchObject({ status: 201, json: { ok: true } })
    expect(seen[1]).toMatchObject({ method: 'POST', url: '/moved', body: '{"a":1}' })
  })

  test('a write is sent nowhere else', async () => {
    const other = await listen(answer(200, {}))
    try {
      handler = (_request, response) => response.writeHead(307, { location: `${other.origin}/x` }).end()
      const error = await failure(http().send(post()))
      expect(error).toMatchObject({ kind: 'rejected', message: expect.stringContaining('answered 307') as string })
      handler = (_request, response) => response.writeHead(301, { location: '/moved' }).end()
      expect((await failure(http().send(post()))).kind).toBe('rejected')
      expect(seen).toHaveLength(2)
    } finally {
      await close(other.server)
    }
  })

  test('a circle ends', async () => {
    handler = (_request, response) => response.writeHead(302, { location: '/things' }).end()
    expect((await failure(http().send(get()))).kind).toBe('unreachable')
    expect(seen.length).toBeLessThan(10)
  })
})

describe('text with only its end kept', () => {
  test('the last bytes of a long one, through a redirect', async () => {
    handler = (request, response) => {
      if (request.url === '/things') response.writeHead(302, { location: '/log' }).end()
      else response.writeHead(200, { 'content-type': 'text/plain' }).end(`${'line\n'.repeat(8 << 20)}the end`)
    }
    const log = await http().send({ ...get(), tailBytes: 12 })
    expect(log.json).toBe('line\nthe end')
  })

  test('a refusal is still read as one', async () => {
    handler = answer(404, { message: 'Not Found' })
    const error = await failure(http().send({ ...get(), tailBytes: 12 }))
    expect(error).toMatchObject({ kind: 'not-found', message: expect.stringContaining('Not Found') as string })
  })
})

describe('no secret in a message', () => {
  test('an API that says back what it got', async () => {
    handler = (request, response) =>
      response.writeHead(400).end(JSON.stringify({ message: `bad ${request.headers.authorization}` }))
    expect((await failure(http().send(get()))).message).toContain('bad ')
  })

  test('a vendor that quotes what the API said back', async () => {
    handler = (request, response) =>
      response.writeHead(403).end(JSON.stringify({ message: `bad ${request.headers.authorization}` }))
    const readError = ({ json }: { json: unknown }): { kind: 'auth'; text: string } => ({
      kind: 'auth',
      text: `answered 403: ${(json as { message: string }).message}`,
    })
    expect((await failure(http({ readError }).send(get()))).message).toContain('answered 403: bad ')
  })

  test('a credential that is no header', async () => {
    handler = answer(200, {})
    const headers = () => ({ authorization: `Bearer ${SECRET}\nx` })
    const error = await failure(http({ headers }).send(get()))
    expect(error).toMatchObject({ kind: 'auth', message: expect.stringContaining('credential') as string })
    expect(seen).toHaveLength(0)
  })

  test('an address with a password in it', async () => {
    handler = answer(200, {})
    const url = `${origin.replace('//', `//me:${SECRET}@`)}/things`
    expect((await failure(http().send({ ...get(), url }))).kind).toBe('unreachable')
  })
})

describe('a test process', () => {
  const doing = 'write to the tracker'

  test('speaks to this machine only, whoever asks', async () => {
    handler = answer(200, {})
    const url = origin.replace('127.0.0.1', '0.0.0.0')
    const error = await failure(http().send({ method: 'POST', url, doing }))
    expect(error).toMatchObject({
      kind: 'rejected',
      message: expect.stringContaining('ORCH_TEST_ALLOW_HOSTS') as string,
    })
    expect(seen).toEqual([])
  })

  test('is not sent elsewhere either', async () => {
    handler = answer(302, '', { location: origin.replace('127.0.0.1', '0.0.0.0') })
    const error = await failure(http().send({ method: 'GET', url: origin, doing }))
    expect(error.kind).toBe('rejected')
    expect(seen).toHaveLength(1)
  })

  test('may read from a host that was allowed by name, write in a place that was, and nothing else', async () => {
    handler = answer(200, {})
    const url = origin.replace('127.0.0.1', '0.0.0.0')
    const send = (method: 'GET' | 'POST', path: string) => http().send({ method, url: `${url}${path}`, doing })
    process.env['ORCH_TEST_ALLOW_HOSTS'] = 'sandbox.example, 0.0.0.0'
    try {
      expect((await send('GET', '/repos/acme/shop')).status).toBe(200)
      expect((await failure(send('POST', '/repos/acme/shop'))).message).toContain('the path of a sandbox')
      const error = await failure(http().send({ method: 'GET', url: 'https://example.invalid/', doing }))
      expect(error.kind).toBe('rejected')
      process.env['ORCH_TEST_ALLOW_HOSTS'] = '0.0.0.0/repos/acme/sandbox/'
      expect((await send('POST', '/repos/acme/sandbox/issues')).status).toBe(200)
      for (const path of ['/repos/acme/sandbox-2/issues', '/repos/acme/shop/issues', '/repos/acme/sandbox/../shop'])
        expect((await failure(send('POST', path))).kind).toBe('rejected')
      expect(seen.map((one) => `${one.method} ${one.url}`)).toEqual([
        'GET /repos/acme/shop',
        'POST /repos/acme/sandbox/issues',
      ])
    } finally {
      delete process.env['ORCH_TEST_ALLOW_HOSTS']
    }
  })
})
