// A step of a conversation that failed, with the place at which it did.

import { RpcError } from './acp-connection.ts'
import type { AcpLine, AcpPlace } from './acp-lines.ts'
import type { JsonObject } from './json-fields.ts'

/** A step that failed; the connection's own end is no such thing. */
export class AcpFailure extends Error {
  readonly line: Extract<AcpLine, { type: 'error' }>

  constructor(at: AcpPlace, text: string, more: { code?: number | null; data?: unknown } = {}) {
    super(text)
    this.line = {
      type: 'error',
      at,
      code: more.code ?? null,
      text,
      ...(more.data === undefined || more.data === null ? {} : { data: more.data }),
    }
  }
}

/** Names the step at which the agent said no. */
export async function step(at: AcpPlace, asked: Promise<JsonObject>): Promise<JsonObject> {
  try {
    return await asked
  } catch (error) {
    throw error instanceof RpcError ? new AcpFailure(at, error.message, error) : error
  }
}
