// What every source of webhooks must do. A driver's own test hands in how its vendor signs, and a few deliveries.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Happening, Verified, WebhookSource } from './driver.ts'

export interface Sample {
  event: string
  body: unknown
  /** The project's ref that it must be read as, and what happened; `comment` and `issue` of it are compared in part. */
  ref: string
  happening: Happening
}

export interface WebhookWorld {
  source: WebhookSource
  /** The vendor's headers, in lower case, of a signed delivery. An empty secret is what a hook without one sends. */
  sign(delivery: { id: string; event: string; body: Uint8Array; secret: string }): Record<string, string>
  /** Headers without which nothing can be told: each, left out, is a 400. */
  needed: string[]
  /** The header or headers that carry the signature. */
  signatures: string[]
  /** `change` where the vendor has changes. */
  samples: { issue: Sample; comment: Sample; change?: Sample }
  /** Whose comment the sample `comment` is. */
  commenter: string
  /** The sample `comment` as Orch itself would have written it with that person's account. */
  ownComment: unknown
}

const SECRET = 'It is a secret'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export function webhookContract(name: string, world: WebhookWorld): void {
  describe(`webhooks: ${name}`, () => {
    verifyTests(world)
    parseTests(world)
  })
}

type Verify = (
  changes: Record<string, string | undefined>,
  options?: { secrets?: string[]; unsigned?: boolean; of?: Uint8Array },
) => Verified

// Odd white space and letters: whoever writes the JSON anew gets other bytes.
const BODY = bytes('{ "a" :1.0,\n"ü":"\\u00fc \u{1F4A5}" }')

function verifyTests(world: WebhookWorld): void {
  const { source, sign, signatures, samples } = world
  const signed = sign({ id: 'd-1', event: samples.issue.event, body: BODY, secret: SECRET })
  const verify: Verify = (changes, { secrets = [SECRET], unsigned = false, of = BODY } = {}) =>
    source.verify({ headers: { ...signed, ...changes }, body: of }, { secrets, unsigned })
  const signature = (value: string | undefined) => Object.fromEntries(signatures.map((header) => [header, value]))
  const genuine = signatures.map((header) => signed[header] ?? '')[0] ?? ''
  goodTests(world, verify)
  badTests(world, verify, { genuine, signature })

  test('unsigned ones only where that was switched on, and a bad signature not even then', () => {
    const { event } = samples.issue
    expect(verify(signature(undefined), { unsigned: true })).toMatchObject({ ok: true, event })
    expect(verify(signature(undefined), { secrets: [], unsigned: true })).toMatchObject({ ok: true, event })
    expect(verify({}, { secrets: ['other'], unsigned: true })).toMatchObject({ ok: false, status: 401 })
  })
}

function goodTests({ source, sign, samples }: WebhookWorld, verify: Verify): void {
  const { event } = samples.issue

  test('a signed delivery is named', () => {
    const verified = verify({})
    expect(verified).toMatchObject({ ok: true, event })
    expect(verified.ok && verified.id).toBeTruthy()
  })

  test('the same delivery has the same id, another one another', () => {
    const idOf = (id: string, body: Uint8Array) => {
      const headers = sign({ id, event, body, secret: SECRET })
      const verified = source.verify({ headers, body }, { secrets: [SECRET], unsigned: false })
      return verified.ok ? verified.id : ''
    }
    expect(idOf('d-1', BODY)).toBe(idOf('d-1', BODY))
    expect(idOf('d-1', BODY)).not.toBe(idOf('d-2', bytes('{"other":1}')))
  })

  test('each of several secrets will do: they are changed while deliveries come', () => {
    expect(verify({}, { secrets: ['new', SECRET] })).toMatchObject({ ok: true })
  })
}

function badTests(
  { sign, needed, samples }: WebhookWorld,
  verify: Verify,
  {
    genuine,
    signature,
  }: { genuine: string; signature: (value: string | undefined) => Record<string, string | undefined> },
): void {
  test.each(needed)('without %s it is a 400', (header) => {
    for (const value of [undefined, ''])
      expect(verify({ [header]: value })).toMatchObject({
        ok: false,
        status: 400,
        reason: expect.any(String) as string,
      })
  })

  test('a bad, short, missing or empty signature is a 401 that tells no secret', () => {
    const bad = ['0'.repeat(genuine.length), genuine.slice(0, -1), `${genuine}0`, 'sha256=', '\u00fc', '', undefined]
    for (const value of bad) {
      const verified = verify(signature(value))
      expect(verified).toMatchObject({ ok: false, status: 401 })
      expect(JSON.stringify(verified)).not.toContain(SECRET)
    }
  })

  test('another body, one byte of it, is a 401', () => {
    const other = Uint8Array.from(BODY)
    other[3] = (other[3] ?? 0) ^ 1
    const rewritten = bytes(JSON.stringify(JSON.parse(new TextDecoder().decode(BODY))))
    for (const of of [other, rewritten, bytes('')]) expect(verify({}, { of })).toMatchObject({ ok: false, status: 401 })
  })

  test('no secret, or an empty one, opens nothing', () => {
    expect(verify({}, { secrets: [] })).toMatchObject({ ok: false, status: 401 })
    const headers = sign({ id: 'd-1', event: samples.issue.event, body: BODY, secret: '' })
    expect(verify(headers, { secrets: [''] })).toMatchObject({ ok: false, status: 401 })
  })
}

function parseTests({ source, samples, commenter, ownComment }: WebhookWorld): void {
  const parse = (event: string, body: string, self: string[] = []) => source.parse({ event, body: bytes(body), self })

  test.each(Object.entries(samples))('%s: what happened, and where', (_name, { event, body, ref, happening }) => {
    expect(parse(event, JSON.stringify(body))).toMatchObject({ kind: 'happened', ref, happenings: [happening] })
  })

  test('the own comment of an agent or of Orch is no news, in whatever case its login is written', () => {
    for (const login of [commenter, commenter.toUpperCase()])
      expect(parse(samples.comment.event, JSON.stringify(ownComment), ['someone', login])).toMatchObject({
        kind: 'ignored',
      })
  })

  test('a person whose token Orch uses is heard all the same', () => {
    const { event, body, happening } = samples.comment
    const parsed = parse(event, JSON.stringify(body), [commenter])
    expect(parsed).toMatchObject({ kind: 'happened', happenings: [happening] })
    expect(parsed).toMatchObject({ happenings: [{ comment: { isOwn: false } }] })
  })

  test('an event that Orch has no use for is ignored, with its name', () => {
    const parsed = parse('gollum-of-tomorrow', JSON.stringify(samples.issue.body))
    expect(parsed).toMatchObject({ kind: 'ignored', reason: expect.stringContaining('gollum-of-tomorrow') as string })
  })

  test.each(['', 'payload=%7B%7D', '{"issue":', '[]', 'null', '7', '{}'])(
    '%j as a body is rejected with a reason',
    (body) => {
      for (const { event } of Object.values(samples)) {
        const parsed = parse(event, body)
        expect(parsed.kind).toBe('rejected')
        expect(parsed.kind === 'rejected' && parsed.reason).toBeTruthy()
      }
    },
  )

  test('what holds its project and not the rest is rejected, and says what it lacks', () => {
    const { event, body } = samples.comment
    const { comment: _comment, data: _data, issue: _issue, ...rest } = body as Record<string, unknown>
    expect(parse(event, JSON.stringify(rest)).kind).toBe('rejected')
  })

  test('whatever comes, it never throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(samples)),
        fc.jsonValue(),
        fc.nat(),
        ({ event, body }, value, at) => {
          const damaged = damage(body, value, at)
          expect(['happened', 'ignored', 'rejected']).toContain(parse(event, JSON.stringify(damaged)).kind)
          expect(['happened', 'ignored', 'rejected']).toContain(parse(event, JSON.stringify(body).slice(0, at)).kind)
        },
      ),
    )
  })
}

/** The sample with one of its fields, at any depth, taken by something else. */
function damage(body: unknown, value: unknown, at: number): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return value
  const entries = Object.entries(body)
  const index = at % (entries.length + 1)
  const entry = entries[index]
  if (!entry) return value
  return { ...body, [entry[0]]: at % 3 === 0 ? value : damage(entry[1], value, Math.floor(at / (entries.length + 1))) }
}
