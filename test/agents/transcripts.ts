// Keeps a run's raw output as a fixture for the parser's tests: SAVE_TRANSCRIPTS=1 npm run test:agents.
// Invariant: what is kept holds no path of the machine it was made on, no id and no time.

import { readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'

const FOLDER = new URL('../../src/agents/__fixtures__/claude/', import.meta.url)

/** Saves a scrubbed copy of a log when that was asked for. `places` are replaced by their names. */
export function saveTranscript(name: string, log: string, places: Record<string, string>): void {
  if (!process.env['SAVE_TRANSCRIPTS']) return
  writeFileSync(fileURLToPath(new URL(`${name}.jsonl`, FOLDER)), scrub(readFileSync(log, 'utf8'), places))
}

function scrub(text: string, places: Record<string, string>): string {
  let clean = text
  for (const [word, path] of Object.entries(places)) {
    clean = clean.replaceAll(path, `/${word}`).replaceAll(path.replaceAll('/', '-'), `-${word}`)
  }
  const ids = new Map<string, string>()
  clean = clean.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
    const known = ids.get(id) ?? `00000000-0000-4000-8000-${String(ids.size + 1).padStart(12, '0')}`
    ids.set(id, known)
    return known
  })
  return clean
    .replaceAll(homedir(), '/home')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g, '2026-01-01T00:00:00.000Z')
    .split('\n')
    .map(shortInit)
    .join('\n')
}

/** The first line lists every command and skill of the CLI: no reader of ours needs them. */
function shortInit(line: string): string {
  if (!line.includes('"subtype":"init"')) return line
  const { type, subtype, session_id, model, cwd, claude_code_version, permissionMode, apiKeySource } = JSON.parse(
    line,
  ) as Record<string, unknown>
  return JSON.stringify({ type, subtype, cwd, session_id, model, permissionMode, apiKeySource, claude_code_version })
}
