import { resolve } from 'node:path'
import { UserError } from '../../lib/errors.ts'
import { backupLines } from './backup-lines.ts'
import { defineCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

export const command = defineCommand({
  summary: 'Put a backup in the place of the present state, which is moved aside',
  details:
    'Refused while `orch up` runs on this ORCH_HOME or an agent is at work there. The file is proved first; a damaged one, a newer one and one that isn’t ours change nothing.\n' +
    'The state from before is kept in ORCH_HOME/before-restore-…; nothing is deleted. To go back: `orch restore --force` with the orch.db in there.\n' +
    'The next `orch up` first looks at what happened since: a task that main holds is done, work from the backup that the mirror lacks is taken in, a run the books think live is found or begun anew. What was cancelled or added after the backup was made is not known to it: cancelled tasks are open again, numbers are not given twice.',
  positionals: [{ name: 'FILE', required: true, description: 'A file made by `orch backup`', complete: 'file' }],
  options: { force: { kind: 'flag', description: 'Also where there is a database already' } },
  examples: ['orch restore ~/backups/orch.db', 'orch restore --force ~/backups/orch.db && orch up'],
  mutates: true,
  needs: [],
  async run({ positionals: [name = ''], values: { force }, json }, context) {
    if (name === '') throw new UserError(EXIT.usage, 'bad-value', 'FILE is empty')
    const view = await (await context.vault()).restore({ file: resolve(context.cwd, name), force })
    if (json) {
      printJson(context, view)
      return EXIT.ok
    }
    printLines(context, [
      'Restored.',
      ...backupLines(view, context),
      ...(view.before === null ? [] : [sanitizeLine(`The state from before is kept in ${view.before}`)]),
      ...view.moved.map((file) => sanitizeLine(`  ${file} differed and was moved there`)),
      '`orch up` looks first at what has happened since.',
    ])
    return EXIT.ok
  },
})
