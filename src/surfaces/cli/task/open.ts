import { UserError } from '../../../lib/errors.ts'
import { runProcess } from '../../../lib/process.ts'
import { defineCommand } from '../command.ts'
import { TASK_ID, needTaskId } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'

/** Openers hand over to another program and end; one that stays is left alone for no longer than this. */
const OPEN_MS = 15_000

export const command = defineCommand({
  summary: 'Open the page of a task, else its workspace',
  details: 'The page of its change or issue where the tracker has one, else the folder in which its agent works.',
  positionals: [TASK_ID],
  options: { print: { kind: 'flag', description: 'Only print where it is' } },
  examples: ['orch task open 1', 'cd "$(orch task open 1 --print)"'],
  mutates: false,
  async run({ positionals: [name = ''], values, json }, context) {
    const task = await needTaskId(name, context)
    const place = await (await context.app()).placeOf(task)
    if (!place)
      throw new UserError(
        EXIT.notFound,
        'no-place',
        `${task} has neither a page nor a workspace (any more): \`orch task show ${task}\` tells what is known`,
      )
    if (!values.print) await openOutside(place.target, context.env)
    if (json) printJson(context, { task, ...place })
    else if (values.print) printLines(context, [context.isTty ? sanitizeLine(place.target) : place.target])
    else printLines(context, [`Opened ${sanitizeLine(place.target)}`])
    return EXIT.ok
  },
})

/** Hands an address or a folder to the desktop. Throws UserError(6) when there is none that takes it. */
async function openOutside(target: string, environment: Record<string, string | undefined>): Promise<void> {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const env = Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const result = await runProcess({ argv: [opener, target], env, timeoutMs: OPEN_MS })
  if (result.outcome === 'exited' && result.exitCode === 0) return
  const why = result.outcome === 'exited' ? `ended with ${result.exitCode}` : result.outcome
  throw new UserError(EXIT.notReady, 'no-opener', `${opener} ${why}: open ${target} yourself, or use --print`)
}
