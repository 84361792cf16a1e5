// What the conformance checks say, and to whom.

export interface ConformanceCheck {
  name: string
  status: 'ok' | 'warning' | 'failed'
  /** What was seen. */
  text: string
  /** What to do, for anything but ok. */
  fix: string | null
}

/** Where checks are told. */
export interface Report {
  ok(name: string, text: string): void
  warn(name: string, text: string, fix: string): void
  fail(name: string, text: string, fix: string): void
}

/** What the checks of a protocol are given. */
export interface Trial {
  report: Report
  /** Whether the command is given prompts, which the user's login pays for. */
  prompts: boolean
}

/** A report that hands each check on as it is told. */
export function makeReport(onCheck: (check: ConformanceCheck) => void): Report {
  return {
    ok: (name, text) => onCheck({ name, status: 'ok', text, fix: null }),
    warn: (name, text, fix) => onCheck({ name, status: 'warning', text, fix }),
    fail: (name, text, fix) => onCheck({ name, status: 'failed', text, fix }),
  }
}
