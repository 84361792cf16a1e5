// How each vendor's deliveries are checked: HMAC-SHA256 over the raw bytes, as bare hex, by any of the configured secrets.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Verified } from './driver.ts'

export interface Signed {
  id: string
  event: string
  body: Uint8Array
  /** All that it carries, as bare hex; empty: it carries none. */
  signatures: readonly string[]
}

/**
 * Every signature must fit one and the same secret. `missing` is said of a delivery without any, which is taken only where
 * `unsigned` ones are.
 */
export function checkSignature(
  { id, event, body, signatures }: Signed,
  options: { secrets: readonly string[]; unsigned: boolean; missing: string },
): Verified {
  const refused = (reason: string): Verified => ({ ok: false, status: 401, reason })
  // A hook without a secret sends none, and so does anybody else.
  if (signatures.length === 0) return options.unsigned ? { ok: true, id, event } : refused(options.missing)
  const secrets = options.secrets.filter((secret) => secret !== '')
  if (secrets.length === 0) return refused('no secret is configured to check the signature with')
  // All are tried, so that the time tells nothing about which one fits.
  const fits = secrets.map((secret) => {
    const expected = Buffer.from(createHmac('sha256', secret).update(body).digest('hex'))
    return !signatures.map((signature) => isSame(Buffer.from(signature), expected)).includes(false)
  })
  return fits.includes(true) ? { ok: true, id, event } : refused('the signature does not fit the body')
}

function isSame(given: Buffer, expected: Buffer): boolean {
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected)
}
