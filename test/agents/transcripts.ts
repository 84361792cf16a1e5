// Keeps a run's raw output as a fixture for the parsers' tests: SAVE_TRANSCRIPTS=1 npm run test:agents.
// Invariant: what is kept holds no path of the machine it was made on, no id and no time.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIXTURES = new URL('../../src/agents/__fixtures__/', import.meta.url)

export interface Transcript {
  /** Below the fixtures' folder. */
  folder: string
  name: string
  /** The run's output. */
  log: string
  /** Paths, by the words that stand for them. */
  places: Record<string, string>
}

/** Saves a scrubbed copy of a log when that was asked for. */
export function saveTranscript({ folder, name, log, places }: Transcript): void {
  if (!process.env['SAVE_TRANSCRIPTS']) return
  const file = fileURLToPath(new URL(`${folder}/${name}.jsonl`, FIXTURES))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, scrub(readFileSync(log, 'utf8'), places))
}

/** Ids, each with what stands for the nth one: the same id stays the same. */
const IDS: readonly [RegExp, (n: number, id: string) => string][] = [
  [
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
    (n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  ],
  // A word for the kind, then letters and digits: ses_…, msg_…, prt_…, toolu_…
  [
    /\b(?:ses|msg|prt|evt|toolu|call|resp|item|chatcmpl)[_-][0-9A-Za-z_-]{16,}/g,
    (n, id) => `${id.replace(/[_-].*/, '')}_${n}`,
  ],
  // Git objects.
  [/\b[0-9a-f]{40}\b/g, (n) => String(n).padStart(40, '0')],
]

function scrub(text: string, places: Record<string, string>): string {
  let clean = text
  // The longest first: one place may lie in another.
  const byLength = Object.entries(places).sort(([, a], [, b]) => b.length - a.length)
  for (const [word, path] of byLength) {
    clean = clean.replaceAll(path, `/${word}`).replaceAll(path.replaceAll('/', '-'), `-${word}`)
  }
  for (const [pattern, standIn] of IDS) {
    const ids = new Map<string, string>()
    clean = clean.replaceAll(pattern, (id) => {
      const known = ids.get(id) ?? standIn(ids.size + 1, id)
      ids.set(id, known)
      return known
    })
  }
  return (
    clean
      .replaceAll(homedir(), '/home')
      .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g, '2026-01-01T00:00:00.000Z')
      // Milliseconds and seconds since 1970, of this decade and the next.
      .replaceAll(/\b(?:1[7-9]|2[0-2])\d{11}\b/g, '1767225600000')
      .replaceAll(/\b(?:1[7-9]|2[0-2])\d{8}\b/g, '1767225600')
      .split('\n')
      .map(shortInit)
      .join('\n')
  )
}

/** claude's first line lists every command and skill of the CLI: no reader of ours needs them. */
function shortInit(line: string): string {
  if (!line.includes('"subtype":"init"')) return line
  const { type, subtype, session_id, model, cwd, claude_code_version, permissionMode, apiKeySource } = JSON.parse(
    line,
  ) as Record<string, unknown>
  return JSON.stringify({ type, subtype, cwd, session_id, model, permissionMode, apiKeySource, claude_code_version })
}
