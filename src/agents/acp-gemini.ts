// Keeps a session of Gemini CLI (0.61.0) from being lost as it is loaded over ACP: it writes an empty record under the
// minute's name first, which within the minute of the session's beginning is the session's own file.

import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

/** A minute that no session begins in any more. Sessions are found by what stands in them, whatever minute they name. */
const LONG_AGO = 'session-2000-01-01T00-00-'

/** Renames the session's files below the CLI's home; nothing there is fine. Runs in the sandbox of the agent. */
export function keepGeminiSession(home: string, sessionId: string): void {
  const projects = join(home, '.gemini/tmp')
  const ending = `-${sessionId.slice(0, 8)}.jsonl`
  for (const project of namesIn(projects)) {
    const chats = join(projects, project, 'chats')
    const files = namesIn(chats).filter((name) => name.startsWith('session-') && name.endsWith(ending))
    // Two of one session are told apart by their times: only a lone one may lose its own.
    if (files.length === 1) renameSync(join(chats, files[0] ?? ''), join(chats, `${LONG_AGO}${ending.slice(1)}`))
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
