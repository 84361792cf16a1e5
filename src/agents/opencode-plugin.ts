// The plugin that a run's OpenCode loads: it tells what `run --format json` keeps to itself, and keeps the CLI from sitting
// out a limit (5 repeats, each as long as `retry-after` says, in silence; measured on 1.18.33).
// Invariant: it only adds lines of its own (`orch.…`) and ends a session that waits; without it every reader still works.

/** Kept beside the CLI's state; a file's name is a session that this configuration directory has. */
export const SESSIONS_FOLDER = 'orch-sessions'

const SOURCE = `import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// Two short repeats are the CLI's (after 2 s and 4 s); what takes longer is planned by Orch.
const TRIES = 3
const PATIENCE_MS = 10_000
const TELLING = ['command', 'filePath', 'path', 'pattern', 'url', 'query', 'description', 'prompt']

let root = null
let started = false
let refusal = null
let waitedMs = 0

const say = (line) => process.stdout.write(JSON.stringify({ ...line, timestamp: Date.now() }) + '\\n')

// A retry's event names no status: what the model's server last answered is looked at on its way.
const watchFetch = (plainFetch) => async (input, init) => {
  if (init?.method !== 'POST') return plainFetch(input, init)
  refusal = null
  const response = await plainFetch(input, init)
  if (response.status >= 400) {
    const headers = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('retry-after')))
    const body = await response.clone().text().catch(() => '')
    refusal = { statusCode: response.status, responseHeaders: headers, responseBody: body.slice(0, 2_000) }
  }
  return response
}

const remember = (session) => {
  const folder = join(process.env.XDG_STATE_HOME, '${SESSIONS_FOLDER}')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, session), '')
}

const onMessage = (info) => {
  if (root === null) {
    root = info.sessionID
    remember(root)
  }
  if (started || info.role !== 'assistant' || info.sessionID !== root) return
  started = true
  say({ type: 'orch.started', sessionID: root, model: info.providerID + '/' + info.modelID })
}

const onRetry = async (client, { attempt, message, next }) => {
  const waitMs = Math.max(0, next - Date.now())
  waitedMs = (attempt === 1 ? 0 : waitedMs) + waitMs
  const givesUp = attempt >= TRIES || waitedMs > PATIENCE_MS
  say({ type: 'orch.retry', sessionID: root, attempt, waitMs, givesUp, error: { message, ...refusal } })
  if (givesUp) await client.session.abort({ path: { id: root } })
}

const hooks = (client) => ({
  'tool.execute.before': async ({ tool, sessionID, callID }, { args }) => {
    const key = TELLING.find((name) => typeof args?.[name] === 'string')
    say({ type: 'orch.tool', sessionID, callID, tool, detail: key ? args[key].slice(0, 500) : '' })
  },
  event: async ({ event: { type, properties } }) => {
    if (type === 'message.updated') onMessage(properties.info)
    if (type === 'session.status' && properties.status.type === 'retry') await onRetry(client, properties.status)
    // A helper's session is not in the stream, though it is paid for.
    const part = type === 'message.part.updated' ? properties.part : null
    if (part?.type !== 'step-finish' || part.sessionID === root) return
    const { id, sessionID, tokens, cost } = part
    say({ type: 'orch.step', sessionID, part: { id, tokens, cost } })
  },
})

export default async ({ client }) => {
  if (TOOLS) process.env.PATH = process.env.PATH + ':' + TOOLS
  // Over ACP the same folder is used, and stdout is the protocol's.
  if (!process.argv.slice(0, 4).includes('run')) return {}
  globalThis.fetch = Object.assign(watchFetch(globalThis.fetch), globalThis.fetch)
  return hooks(client)
}
`
/**
 * The plugin's source, for OpenCode's plugin folder: an ES module of its own that imports nothing of ours.
 * `tools` is a folder of programs that the CLI fetched for itself earlier (ripgrep); it is put last on its PATH.
 */
export function makePlugin(tools: string | null): string {
  return `// Written by Orch before each run; changes here are lost.\nconst TOOLS = ${JSON.stringify(tools)}\n${SOURCE}`
}
