// One run's conversation with an agent over the Agent Client Protocol (https://agentclientprotocol.com, version 1): who it
// is, a session, its model and mode, one prompt, its end. Invariant: a failure names the step it happened at, once.

import { setMode, setModel, type Session } from './acp-choices.ts'
import { type AcpConnection, RpcError } from './acp-connection.ts'
import { AcpFailure, step } from './acp-failure.ts'
import { ACP_FORMAT, type AcpLine } from './acp-lines.ts'
import type { AcpLeave } from './acp-permissions.ts'
import type { AcpUpdates } from './acp-updates.ts'
import { asAmount, asNumber, asObject, asObjects, asText, type JsonObject } from './json-fields.ts'

/** The version of the protocol that we speak. */
const ACP_VERSION = 1
/** An agent that needs a login says so with this (the protocol's ErrorCode). */
const AUTH_REQUIRED = -32000
/** After a session was loaded, its history still comes for a while; it is over when nothing came for this long. */
const QUIET_MS = 150
const LONGEST_REPLAY_MS = 10_000

export interface ConversationRequest {
  /** Null: the conversation ends when there is a session. */
  prompt: string | null
  model: string | null
  /** Session to go on with. */
  resume: string | null
  leave: AcpLeave
  /** The agent's environment: which of its ways to log in need nobody. */
  env: Record<string, string | undefined>
}

export interface Conversation {
  connection: AcpConnection
  updates: AcpUpdates
  say(line: AcpLine): void
  sleep(ms: number): Promise<void>
  /** Told as soon as there is a session that can be cancelled. */
  onSession(id: string): void
}

/** Has the whole conversation, to the end of the turn. Rejects with AcpFailure, or with what closed the connection. */
export async function converse(talk: Conversation, request: ConversationRequest): Promise<void> {
  const agent = await introduce(talk)
  const session = await openSession(talk, request, agent)
  talk.onSession(session.id)
  const mode = await setMode(talk, session, request.leave)
  const model = await setModel(talk, session, request.model)
  const { id, resumed } = session
  talk.say({ type: 'session', id, resumed, model, mode, costUsd: talk.updates.costUsd() })
  if (request.prompt === null) return
  const result = await step(
    'prompt',
    talk.connection.request('session/prompt', {
      sessionId: id,
      prompt: [{ type: 'text', text: request.prompt }],
    }),
  )
  talk.updates.flush()
  const usage = usageOf(result)
  if (usage) talk.say({ type: 'usage', ...usage })
  talk.say({ type: 'end', reason: asText(result['stopReason']) ?? 'no stop reason' })
}

/** What an agent says of itself. */
interface Introduction {
  resumes: boolean
  loads: boolean
  authMethods: JsonObject[]
}

async function introduce({ connection, say }: Conversation): Promise<Introduction> {
  const asked = connection.request('initialize', {
    protocolVersion: ACP_VERSION,
    // Files and commands are the agent's own to touch: the sandbox around it is around them as well.
    clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false },
    clientInfo: { name: 'orch', title: 'Orch', version: '1' },
  })
  const result = await step('initialize', asked)
  const info = asObject(result['agentInfo'])
  const protocol = asNumber(result['protocolVersion'])
  const [agent, version] = [asText(info?.['name']), asText(info?.['version'])]
  say({ type: 'begin', format: ACP_FORMAT, agent, version, protocol })
  if (protocol !== ACP_VERSION)
    throw new AcpFailure(
      'initialize',
      `the agent speaks version ${protocol ?? 'unknown'} of the Agent Client Protocol, and Orch ${ACP_VERSION}`,
    )
  const can = asObject(result['agentCapabilities'])
  return {
    resumes: asObject(asObject(can?.['sessionCapabilities'])?.['resume']) !== null,
    loads: can?.['loadSession'] === true,
    authMethods: asObjects(result['authMethods']),
  }
}

async function openSession(talk: Conversation, request: ConversationRequest, agent: Introduction): Promise<Session> {
  try {
    return await openOnce(talk, request, agent)
  } catch (error) {
    if (!(error instanceof AcpFailure) || error.line.code !== AUTH_REQUIRED) throw error
    const method = agent.authMethods.find((one) => needsNobody(one, request.env))
    if (!method) throw new AcpFailure('authenticate', error.message, error.line)
    await step('authenticate', talk.connection.request('authenticate', { methodId: asText(method['id']) ?? '' }))
    return openOnce(talk, request, agent)
  }
}

/** Where a session works. No server of the user's is started in it. */
interface Place {
  cwd: string
  mcpServers: []
}

async function openOnce(talk: Conversation, request: ConversationRequest, agent: Introduction): Promise<Session> {
  const { connection, say } = talk
  const place: Place = { cwd: request.leave.cwd, mcpServers: [] }
  const old = request.resume
  if (old !== null && (agent.resumes || agent.loads)) {
    try {
      return await reopen(talk, { sessionId: old, ...place }, agent.resumes)
    } catch (error) {
      if (!(error instanceof RpcError) || error.code === AUTH_REQUIRED) throw error
      say({ type: 'note', text: `session ${old} can't be gone on with (${error.message}); a new one is begun` })
    }
  } else if (old !== null) say({ type: 'note', text: 'the agent can take up no earlier session; a new one is begun' })
  const offers = await step('session', connection.request('session/new', place))
  const id = asText(offers['sessionId'])
  if (id === null) throw new AcpFailure('session', 'the agent gave its session no id')
  return { id, resumed: false, offers }
}

/** Takes up a session; its history is heard to its end, and not said again. */
async function reopen(
  { connection, updates, sleep }: Conversation,
  request: Place & { sessionId: string },
  resumes: boolean,
): Promise<Session> {
  updates.mute(true)
  try {
    const offers = await connection.request(resumes ? 'session/resume' : 'session/load', request)
    // Some agents send the history after their answer.
    for (
      let waited = 0, seen = -1;
      !resumes && seen !== updates.count() && waited < LONGEST_REPLAY_MS;
      waited += QUIET_MS
    ) {
      seen = updates.count()
      await sleep(QUIET_MS)
    }
    return { id: request.sessionId, resumed: true, offers }
  } finally {
    updates.mute(false)
  }
}

/** A way to log in by a key that the environment holds. */
function needsNobody(method: JsonObject, env: Record<string, string | undefined>): boolean {
  const id = asText(method['id']) ?? ''
  const asked = asObjects(method['vars']).map((one) => asText(one['name']) ?? '')
  if (asked.length > 0) return asked.every((name) => env[name])
  if (!/api.?key/i.test(id)) return false
  const vendor = id
    .replace(/[-_]?api.?key.*$/i, '')
    .toUpperCase()
    .replaceAll('-', '_')
  return Boolean(env[`${vendor}_API_KEY`])
}

/** What a turn used, where the agent tells: in the protocol's coming field, or as gemini does. */
function usageOf(result: JsonObject): { input: number; output: number; cacheRead: number; cacheWrite: number } | null {
  const usage = asObject(result['usage'])
  if (usage)
    return {
      input: asAmount(usage['inputTokens']),
      output: asAmount(usage['outputTokens']) + asAmount(usage['thoughtTokens']),
      cacheRead: asAmount(usage['cachedReadTokens']),
      cacheWrite: asAmount(usage['cachedWriteTokens']),
    }
  const count = asObject(asObject(asObject(result['_meta'])?.['quota'])?.['token_count'])
  if (!count) return null
  return {
    input: asAmount(count['input_tokens']),
    output: asAmount(count['output_tokens']),
    cacheRead: 0,
    cacheWrite: 0,
  }
}
