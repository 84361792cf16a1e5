// The audit of webhooks: a JSON line for each request and each thing that came of one, in ORCH_HOME/webhooks.jsonl. It says
// who knocked and what was done; the deliveries themselves are in the store. No body and no secret is written here.

import { appendFile, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Timer, Timers } from '../lib/clock.ts'
import type { DeliveryState } from '../store/deliveries.ts'
import type { AuditView } from './webhooks.ts'

export type AuditLine =
  | { what: 'request'; source: string | null; status: number; delivery?: string; event?: string; reason?: string }
  | { what: 'settled'; source: string; id: number; event: string; state: DeliveryState; note: string }
  | { what: 'retry'; source: string; id: number; event: string; failures: number; note: string; nextAt: string }
  | { what: 'poll'; note: string }

export interface Audit {
  /** Written within a moment; a crash may lose the last lines. Never throws. */
  add(line: AuditLine): void
  /** Resolves when all lines are written. */
  flush(): Promise<void>
}

/** Lines of so long are written together: a busy listener must not wait for each. */
const WRITE_EVERY_MS = 200
/** Lines that are made into text in one turn of the loop: a fraction of a millisecond, in which nobody is answered. */
const LINES_AT_ONCE = 200
/** Some 50,000 requests; with the older files at most four times that. */
const MAX_BYTES = 10 << 20
const OLDER_FILES = 3
/** Names in headers are the sender's. */
const MAX_TEXT = 300
/** What was not written yet; when the disk takes nothing, lines are lost and said so. */
const MAX_WAITING = 20_000

export function makeAudit(deps: {
  home: string
  now: () => number
  timers: Timers
  onError: (error: unknown) => void
  maxBytes?: number
}): Audit {
  const path = auditPath(deps.home)
  const textOf = makeTextOf()
  let waiting: { at: number; line: AuditLine }[] = []
  let lost = 0
  let timer: Timer | null = null
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    timer = null
    let lines = waiting
    waiting = []
    if (lines.length === 0) return
    try {
      await rotate(path, deps.maxBytes ?? MAX_BYTES)
      while (lines.length > 0) {
        await appendFile(path, lines.slice(0, LINES_AT_ONCE).map(textOf).join(''), { mode: 0o600 })
        lines = lines.slice(LINES_AT_ONCE)
      }
    } catch (error) {
      lost += lines.length
      deps.onError(new Error(`${path} can't be written, ${lost} line(s) are lost`, { cause: error }))
    }
  }
  const flush = (): Promise<void> => {
    timer?.cancel()
    writing = writing.then(write)
    return writing
  }
  return {
    add: (line) => {
      if (waiting.length >= MAX_WAITING) {
        lost += 1
        return
      }
      waiting.push({ at: deps.now(), line })
      timer ??= deps.timers.after(WRITE_EVERY_MS, () => void flush())
    },
    flush,
  }
}

/** Lines of one moment share its text; JSON of an object as it is costs half of one that is copied first. */
function makeTextOf(): (noted: { at: number; line: AuditLine }) => string {
  let last = { at: Number.NaN, text: '' }
  return ({ at, line }) => {
    if (at !== last.at) last = { at, text: new Date(at).toISOString() }
    return `{"at":"${last.text}",${JSON.stringify(shortened(line)).slice(1)}\n`
  }
}

function shortened(line: AuditLine): Record<string, unknown> {
  const values: Record<string, unknown> = line
  for (const key in values) {
    const value = values[key]
    if (typeof value === 'string' && value.length > MAX_TEXT)
      return shortened({ ...line, [key]: `${value.slice(0, MAX_TEXT - 1)}…` })
  }
  return values
}

export const auditPath = (home: string): string => join(home, 'webhooks.jsonl')

const older = (path: string, n: number): string => path.replace(/\.jsonl$/, `.${n}.jsonl`)

async function rotate(path: string, maxBytes: number): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (!found || found.size < maxBytes) return
  for (let n = OLDER_FILES - 1; n >= 1; n--) await rename(older(path, n), older(path, n + 1)).catch(() => undefined)
  await rename(path, older(path, 1))
}

/** Sums up the newest lines since then. A line that is cut or not ours counts for nothing. */
export async function readAudit(home: string, of: { since: number; maxLines: number }): Promise<AuditView> {
  const lines = await newestLines(home, of)
  const view: AuditView = {
    since: new Date(of.since).toISOString(),
    lines: lines.length,
    requests: 0,
    byStatus: {},
    rate5xx: 0,
    settled: { applied: 0, ignored: 0, rejected: 0, failed: 0 },
    retries: 0,
    reasons: [],
  }
  const reasons = new Map<string, number>()
  for (const line of lines) count(view, reasons, line)
  const errors = Object.entries(view.byStatus).reduce((sum, [status, n]) => sum + (status.startsWith('5') ? n : 0), 0)
  view.rate5xx = view.requests === 0 ? 0 : Math.round((errors / view.requests) * 10_000) / 100
  view.reasons = [...reasons].map(([reason, n]) => ({ reason, n })).toSorted((a, b) => b.n - a.n)
  view.reasons.splice(10)
  return view
}

type Read = Partial<Record<string, unknown>> & { at: number }

async function newestLines(home: string, of: { since: number; maxLines: number }): Promise<Read[]> {
  const newestFirst: Read[] = []
  const path = auditPath(home)
  for (const file of [path, ...Array.from({ length: OLDER_FILES }, (_, n) => older(path, n + 1))]) {
    const text = await readFile(file, 'utf8').catch(() => null)
    if (text === null) break
    for (const line of text.split('\n').toReversed()) {
      const read = parse(line)
      if (!read) continue
      if (read.at < of.since || newestFirst.length >= of.maxLines) return newestFirst
      newestFirst.push(read)
    }
  }
  return newestFirst
}

function parse(line: string): Read | null {
  try {
    const value = JSON.parse(line) as Record<string, unknown> | null
    const at = Date.parse(String(value?.['at']))
    return value === null || Number.isNaN(at) ? null : { ...value, at }
  } catch {
    return null
  }
}

function count(view: AuditView, reasons: Map<string, number>, line: Read): void {
  const note = (text: unknown): void => {
    if (typeof text === 'string') reasons.set(text, (reasons.get(text) ?? 0) + 1)
  }
  if (line['what'] === 'request') {
    view.requests += 1
    const status = String(line['status'])
    view.byStatus[status] = (view.byStatus[status] ?? 0) + 1
    if (Number(line['status']) >= 400) note(line['reason'])
  } else if (line['what'] === 'settled') {
    const state = line['state'] as keyof AuditView['settled']
    if (Object.hasOwn(view.settled, state)) view.settled[state] += 1
    if (state === 'rejected' || state === 'failed') note(line['note'])
  } else if (line['what'] === 'retry') view.retries += 1
}
