// JSON-RPC 2.0 over lines, as the Agent Client Protocol uses it on stdio: what we ask of an agent, what it asks of us.
// Invariant: every request of ours is settled once: by its answer, or by the connection's end. Types come from the
// protocol's own library; its code stays out, since loading it costs each run more than the empty start of Node.

import type {
  AgentNotificationMethod,
  AgentNotificationParamsByMethod,
  AgentRequestMethod,
  AgentRequestParamsByMethod,
} from '@agentclientprotocol/sdk'
import { asNumber, asObject, type JsonObject, parseObject } from './json-fields.ts'

/** The agent's own answer to a request of ours: no. */
export class RpcError extends Error {
  readonly code: number | null
  readonly data: unknown

  constructor(error: JsonObject) {
    super(typeof error['message'] === 'string' ? error['message'] : 'an error without a message')
    this.code = asNumber(error['code'])
    this.data = error['data']
  }
}

/** JSON-RPC's code for a method that isn't there (https://www.jsonrpc.org/specification#error_object). */
const METHOD_NOT_FOUND = -32601
const INTERNAL_ERROR = -32603

/** Methods that some agents have and the protocol's stable schema doesn't. */
interface OldMethods {
  'session/set_model': { sessionId: string; modelId: string }
}
type Method = AgentRequestMethod | keyof OldMethods
type ParamsOf<M extends Method> = M extends keyof OldMethods
  ? OldMethods[M]
  : M extends AgentRequestMethod
    ? AgentRequestParamsByMethod[M]
    : never

export interface AcpConnection {
  /** The result, an empty object when the agent gave none. Rejects with RpcError, or with the reason given to `close`. */
  request<M extends Method>(method: M, params: ParamsOf<M>): Promise<JsonObject>
  notify<M extends AgentNotificationMethod>(method: M, params: AgentNotificationParamsByMethod[M]): void
  /** A line the agent wrote; after the end nobody listens. Never throws. */
  take(line: string): void
  /** Rejects what is still waiting, and everything after. The first reason counts. */
  close(reason: Error): void
}

export interface AcpPeer {
  write(text: string): void
  /** Gives the result. Undefined: no such method here. */
  onRequest(method: string, params: JsonObject): JsonObject | undefined
  onNotification(method: string, params: JsonObject): void
  /** A line that is no message. */
  onGarbage(line: string): void
}

export function makeAcpConnection(peer: AcpPeer): AcpConnection {
  const waiting = new Map<number, { resolve: (result: JsonObject) => void; reject: (error: Error) => void }>()
  let serial = 0
  let closed: Error | null = null
  const send = (message: JsonObject): void => peer.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

  function answer(id: unknown, method: string, params: JsonObject): void {
    try {
      const result = peer.onRequest(method, params)
      if (result) send({ id, result })
      else send({ id, error: { code: METHOD_NOT_FOUND, message: `Method not found: ${method}` } })
    } catch (error) {
      send({ id, error: { code: INTERNAL_ERROR, message: String(error) } })
    }
  }

  function settle(id: unknown, message: JsonObject): void {
    // Some agents give our number back as text.
    const one = waiting.get(Number(id))
    if (!one) return
    waiting.delete(Number(id))
    const error = asObject(message['error'])
    if (error) one.reject(new RpcError(error))
    else one.resolve(asObject(message['result']) ?? {})
  }

  return {
    request(method, params) {
      if (closed) return Promise.reject(closed)
      serial += 1
      const id = serial
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject })
        send({ id, method, params })
      })
    },
    notify: (method, params) => send({ method, params }),
    take(line) {
      if (closed || line.trim() === '') return
      const message = parseObject(line)
      if (!message) return peer.onGarbage(line)
      const { method, id } = message
      const params = asObject(message['params']) ?? {}
      if (typeof method !== 'string') {
        if ('id' in message) settle(id, message)
        else peer.onGarbage(line)
      } else if (id === undefined) peer.onNotification(method, params)
      else answer(id, method, params)
    },
    close(reason) {
      closed ??= reason
      for (const one of waiting.values()) one.reject(closed)
      waiting.clear()
    },
  }
}
