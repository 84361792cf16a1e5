// What a mutant is: the product with one safeguard taken out, by exact text, and the tests that must notice.

export interface Mutant {
  /** `part-safeguard`, unique. */
  name: string
  /** Lines of the invariants that no longer hold, such as S1. */
  breaks: readonly string[]
  edits: readonly [Edit, ...Edit[]]
  /**
   * Test files, the narrowest first: the next one runs only when the one before noticed nothing. `FILE#TEXT` runs the
   * tests of a slow file whose names hold the text.
   */
  killers: readonly [string, ...string[]]
  /** Where the safeguard's loss shows as an error and not as a failed assertion: a part of that error. */
  failsWith?: string
}

export interface Edit {
  file: string
  /** Occurs in the file exactly once; an edit whose text is gone is out of date, and that is a failure. */
  find: string
  replace: string
}

type OneEdit = Omit<Mutant, 'edits' | 'killers'> & Omit<Edit, 'file'> & { killers?: Mutant['killers'] }

/** Mutants of one file that mostly share their killers. */
export function inFile(file: string, killers: Mutant['killers'], mutants: readonly OneEdit[]): Mutant[] {
  return mutants.map(({ find, replace, ...mutant }) => ({ killers, ...mutant, edits: [{ file, find, replace }] }))
}

/** The text with the edit made. Throws when the text to find is not there exactly once. */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const found = text.split(find).length - 1
  if (found !== 1) throw new Error(`out of date: ${file} holds ${found} times, not once: ${find}`)
  return text.replace(find, () => replace)
}

/** A killer's file, and what the names of its tests hold. */
export function killerOf(text: string): { file: string; name: string | undefined } {
  const [file = '', name] = text.split('#', 2)
  return { file, name }
}

/** The part of vitest's JSON report that is read. */
export interface Report {
  testResults: {
    name: string
    status: string
    message?: string
    assertionResults: { fullName: string; status: string; failureMessages?: string[] | null }[]
  }[]
}

/** How a mutant ended. `void`: the tests could not tell, so it is not killed. */
export type Ending = { kind: 'killed'; by: string } | { kind: 'survived' } | { kind: 'void'; why: string }

/** Judges one run of tests on a mutant: only a test that ran and failed as it should has killed it. */
export function judgeRun(report: Report, failsWith?: string): Ending {
  const tests = report.testResults.flatMap((file) => file.assertionResults)
  const failed = tests.find((test) => test.status === 'failed')
  if (failed) {
    const message = failed.failureMessages?.[0] ?? ''
    const noticed = isAssertion(message) || (failsWith !== undefined && message.includes(failsWith))
    if (noticed) return { kind: 'killed', by: failed.fullName }
    return { kind: 'void', why: `"${failed.fullName}" failed, but by no assertion: ${firstLine(message)}` }
  }
  const unloaded = report.testResults.find((file) => file.status === 'failed')
  if (unloaded) return { kind: 'void', why: `${unloaded.name} could not be run: ${firstLine(unloaded.message ?? '')}` }
  if (!tests.some((test) => test.status === 'passed')) return { kind: 'void', why: 'no test ran' }
  return { kind: 'survived' }
}

/** How an assertion, one behind `rejects`, and a property's counterexample begin. */
const ASSERTIONS = ['AssertionError', 'Error: expected ', 'Error: promise ', 'Error: Property failed after'] as const

function isAssertion(message: string): boolean {
  return ASSERTIONS.some((beginning) => message.startsWith(beginning))
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]?.slice(0, 300) ?? ''
}
