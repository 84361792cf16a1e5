// A verdict judges one gate from evidence the engine collected. One judge per shape of evidence.
// Invariant: what can't be read is never a pass; infrastructure trouble is `unknown`, never `fail` (S13).

import type { GateName } from './pipeline.ts'

export type Severity = 'P0' | 'P1' | 'P2' | 'P3'

/** Something a developer can act on, handed back word for word. */
export interface Finding {
  gate: string
  severity: Severity
  text: string
  file?: string
  line?: number
}

export type VerdictResult = 'pass' | 'fail' | 'wait' | 'unknown'

export interface Verdict {
  gate: GateName
  stage: string
  result: VerdictResult
  /** The head this was judged on. */
  sha: string
  configHash: string
  /** One sentence: what was seen. */
  note: string
  findings: Finding[]
  /** For `wait`: whom. */
  waitFor?: 'approval' | 'answers' | 'ci' | 'review'
  /** For `unknown`: a reason code, and whether trying again can help. */
  reason?: string
  retryable?: boolean
}

/** What a gate's judge says before it is bound to a stage and a sha. */
export type Judgement = Pick<Verdict, 'result' | 'note' | 'findings' | 'waitFor' | 'reason' | 'retryable'>

export const passed = (note: string): Judgement => ({ result: 'pass', note, findings: [] })

export const failed = (note: string, findings: Finding[]): Judgement => ({ result: 'fail', note, findings })

export const waitsFor = (
  waitFor: NonNullable<Verdict['waitFor']>,
  note: string,
  findings: Finding[] = [],
): Judgement => ({
  result: 'wait',
  note,
  findings,
  waitFor,
})

export const unknown = (reason: string, note: string, options: { retryable: boolean }): Judgement => ({
  result: 'unknown',
  note,
  findings: [],
  reason,
  retryable: options.retryable,
})

/** One command the engine ran itself. */
export interface CommandEvidence {
  run: string
  outcome: 'exited' | 'timed-out' | 'killed' | 'could-not-start'
  exitCode: number | null
  signal?: string
  durationMs: number
  /** Output trimmed to what matters. */
  output: string
}

/** Shape "exit codes": all commands exited 0. A known failure counts as passed and is named. */
export function judgeCommands(commands: CommandEvidence[], knownFailures: string[] = []): Judgement {
  const known = knownFailures.map((pattern) => new RegExp(pattern))
  const notes: string[] = []
  for (const command of commands) {
    if (command.outcome === 'timed-out') {
      return unknown(
        'verify-timeout',
        `\`${command.run}\` ran past its time limit (${Math.round(command.durationMs / 1000)} s)`,
        { retryable: true },
      )
    }
    // A shell reports a child ended by SIGKILL or SIGTERM as 137 or 143: someone stopped it, the code did not fail.
    if (command.outcome === 'killed' || command.exitCode === 137 || command.exitCode === 143) {
      return unknown('verify-killed', `\`${command.run}\` was ended by ${command.signal ?? 'a signal'}`, {
        retryable: true,
      })
    }
    // 126 and 127 are the shell's words for "can't execute" and "not found" (POSIX sh, exit status of commands).
    if (command.outcome === 'could-not-start' || command.exitCode === 127 || command.exitCode === 126) {
      return unknown('verify-missing', `\`${command.run}\` could not be started: ${lastLine(command.output)}`, {
        retryable: false,
      })
    }
    if (command.exitCode === 0) continue
    if (known.some((pattern) => pattern.test(command.output))) {
      notes.push(`\`${command.run}\` failed as it is known to`)
      continue
    }
    return failed(`\`${command.run}\` exited ${command.exitCode}`, [
      { gate: 'verify', severity: 'P0', text: `\`${command.run}\` exited ${command.exitCode}:\n${command.output}` },
    ])
  }
  return passed(notes.length > 0 ? notes.join('; ') : `${commands.length} command(s) passed`)
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}

export interface Measure {
  name: string
  value: number
  max: number
}

/** Shape "numbers": none is above its limit. */
export function judgeMeasures(gate: string, measures: Measure[]): Judgement {
  const over = measures.filter((measure) => measure.value > measure.max)
  if (over.length === 0) return passed(measures.map((m) => `${m.name} ${m.value} of ${m.max}`).join(', '))
  return failed(
    over.map((m) => `${m.name} ${m.value}, limit ${m.max}`).join('; '),
    over.map((m) => ({
      gate,
      severity: 'P1',
      text: `The change has ${m.value} ${m.name}; the limit is ${m.max}. Make it smaller.`,
    })),
  )
}

/** Shape "findings": any finding of the given kind fails, none passes. */
export function judgeFindings(findings: Finding[], cleanNote: string): Judgement {
  if (findings.length === 0) return passed(cleanNote)
  return failed(`${findings.length} finding(s)`, findings)
}

// Words of a verdict key (C-12, C-13). A negative one in any key wins; prose never counts.
const POSITIVE = new Set(['pass', 'passed', 'approve', 'approved', 'done', 'green', 'ok', 'success', 'ready-to-deploy'])
const NEGATIVE = new Set([
  'fail',
  'failed',
  'blocked',
  'reject',
  'rejected',
  'request_changes',
  'request-changes',
  'changes_requested',
  'red',
  'error',
  'needs_input',
  'needs-input',
])
const VERDICT_KEYS = ['verdict', 'result', 'status'] as const

export type KeyVerdict = { word: 'positive' | 'negative'; value: string } | { word: 'none'; problem: string }

/** Shape "keys": reads verdict, result and status of a handoff's front matter. Unknown words are a problem, not a pass. */
export function readVerdictKeys(keys: Record<string, unknown>): KeyVerdict {
  let positive: string | undefined
  let strange: string | undefined
  for (const name of VERDICT_KEYS) {
    const raw = keys[name]
    if (raw === undefined || raw === null) continue
    if (typeof raw !== 'string') {
      strange = `${name} is not text`
      continue
    }
    const value = raw.trim().toLowerCase()
    if (NEGATIVE.has(value)) return { word: 'negative', value }
    if (POSITIVE.has(value)) positive ??= value
    else strange = `${name}: "${raw}" is no known verdict`
  }
  if (strange) return { word: 'none', problem: strange }
  if (positive) return { word: 'positive', value: positive }
  return { word: 'none', problem: `none of ${VERDICT_KEYS.join(', ')} is set` }
}

/** The verdict of a whole stage: fail over unknown over wait over pass. */
export function combine(verdicts: Pick<Verdict, 'result'>[]): VerdictResult {
  for (const result of ['fail', 'unknown', 'wait'] as const) {
    if (verdicts.some((verdict) => verdict.result === result)) return result
  }
  return 'pass'
}
