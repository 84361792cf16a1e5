// What `init` and `project add` tell: what was registered, what was written, what is still missing.

import type { InitResult } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { printJson, printLines } from './print.ts'
import { projectJson, remoteText } from './project/project-json.ts'
import { sanitizeLine } from './sanitize.ts'

export function printInit(result: InitResult, to: { json: boolean; context: CliContext }): void {
  if (to.json) {
    printJson(to.context, { ...result, project: projectJson(result.project) })
    return
  }
  const { project } = result
  printLines(to.context, [
    sanitizeLine(
      `${project.id}: ${project.path} ${result.alreadyRegistered ? 'was registered already' : 'is registered'} (origin ${remoteText(project.remote)})`,
    ),
    ...(result.wroteConfig
      ? ['Wrote .orch.yml: look it over, commit it and push it, since the base branch is what counts.']
      : []),
    ...result.setup.map((command) => sanitizeLine(`  setup:  ${command}`)),
    ...result.verify.map((command) => sanitizeLine(`  verify: ${command}`)),
    ...result.notes.map(sanitizeLine),
    'Next: `orch doctor`, then `orch task add "…"` and `orch up`.',
  ])
}
