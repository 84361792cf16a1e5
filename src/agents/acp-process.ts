// A running ACP agent: its process, the connection to it, what it says of its session. Used by a run's own program and by
// the conformance checks. Invariant: whoever starts one ends it; nothing it started stays.

import { type PipedProcess, sleep, startPiped } from '../lib/process.ts'
import { isSameProcessAlive } from '../lib/process-identity.ts'
import { type AcpConnection, makeAcpConnection } from './acp-connection.ts'
import type { AcpLine } from './acp-lines.ts'
import { type AcpLeave, decide } from './acp-permissions.ts'
import { AcpFailure } from './acp-failure.ts'
import { type AcpUpdates, makeAcpUpdates } from './acp-updates.ts'
import { asObject, type JsonObject } from './json-fields.ts'
import { makeLineSplitter } from './lines.ts'
import { identifyDescendants, signalProcess } from './process-tree.ts'

/** The beginning of a message that breaks off; anything else that is no message is talk. */
const BROKEN_MESSAGE = /^\s*\{\s*"(jsonrpc|id|method|params|result|error)"/
/** Agents end by themselves when their input ends (measured: 0.6 s); some never do. */
const FAREWELL_MS = 1_500
const TERM_MS = 1_000

export interface AcpProcess {
  child: PipedProcess
  connection: AcpConnection
  updates: AcpUpdates
  /** Ends the agent and all it started: the end of its input, SIGTERM, SIGKILL. */
  end(): Promise<void>
}

/** Starts an agent and answers what it asks. Rejects when its program can't be started. */
export async function startAcpProcess(request: {
  argv: readonly [string, ...string[]]
  env: Record<string, string>
  leave: AcpLeave
  stderr: 'inherit' | 'keep'
  say: (line: AcpLine) => void
}): Promise<AcpProcess> {
  const { argv, env, leave, stderr, say } = request
  const updates = makeAcpUpdates(say)
  const started: { child: PipedProcess | null } = { child: null }
  const connection = makeAcpConnection({
    write: (text) => void started.child?.write(text),
    onRequest: (method, params) => {
      if (method === 'session/request_permission') return permit(params, { leave, updates, say })
      say({ type: 'note', text: `the agent asked for ${method}, which it was told is not there` })
      return undefined
    },
    onNotification: (method, params) => {
      const update = method === 'session/update' ? asObject(params['update']) : null
      if (update) updates.take(update)
    },
    onGarbage: (line) => {
      const start = line.slice(0, 200)
      if (BROKEN_MESSAGE.test(line))
        connection.close(new AcpFailure('stream', `the agent's message breaks off: ${start}`))
      else say({ type: 'note', text: `the agent printed, where only messages belong: ${start}` })
    },
  })
  const lines = makeLineSplitter()
  const take = (line: string): void => connection.take(line)
  const onOutput = (chunk: Buffer): void => lines.push(chunk).forEach(take)
  const child = await startPiped({ argv, cwd: leave.cwd, env, onOutput, stderr })
  started.child = child
  void child.exited.then(({ exitCode, signal }) => {
    lines.end().forEach(take)
    const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`
    const failure = new AcpFailure('exit', `the agent's process ended ${how} before its turn did`, { code: exitCode })
    if (signal !== null) failure.line.signal = signal
    connection.close(failure)
  })
  return { child, connection, updates, end: () => endTree(child) }
}

function permit(
  params: JsonObject,
  { leave, updates, say }: { leave: AcpLeave; updates: AcpUpdates; say: (line: AcpLine) => void },
): JsonObject {
  const title = updates.tool(asObject(params['toolCall']) ?? {})
  const { allowed, optionId, why } = decide(params, leave)
  say({ type: 'permission', title: title.slice(0, 500), allowed, why })
  return { outcome: optionId === null ? { outcome: 'cancelled' } : { outcome: 'selected', optionId } }
}

async function endTree(child: PipedProcess): Promise<void> {
  const below = identifyDescendants(child.pid)
  child.closeInput()
  await Promise.race([child.exited, sleep(FAREWELL_MS)])
  below.push(...identifyDescendants(child.pid))
  await child.end(TERM_MS)
  // Agents start their tools in sessions of their own.
  for (const process of below) if (isSameProcessAlive(process)) signalProcess(process.pid, 'SIGKILL')
}
