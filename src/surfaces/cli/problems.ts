// Problems of configuration and pipelines, one line each, as compilers write them.

import type { ConfigProblem } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

function problemLine(problem: ConfigProblem): string {
  const place = problem.line === null ? problem.file : `${problem.file}:${problem.line}`
  return sanitizeLine([place, problem.key, problem.text].filter((part) => part !== '').join(': '))
}

/** Prints them all (problems are the result, so on stdout) and gives 1 if there are any. */
export function printProblems(
  problems: ConfigProblem[],
  to: { json: boolean; context: CliContext; fine: string },
): number {
  if (to.json) printJson(to.context, { ok: problems.length === 0, problems })
  else printLines(to.context, problems.length === 0 ? [to.fine] : problems.map(problemLine))
  return problems.length === 0 ? EXIT.ok : EXIT.failed
}
