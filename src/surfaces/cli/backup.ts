import { resolve } from 'node:path'
import { UserError } from '../../lib/errors.ts'
import { backupLines } from './backup-lines.ts'
import { defineCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'

export const command = defineCommand({
  summary: 'Write everything that can’t be made anew into one file, also while `orch up` works',
  details:
    'In it: the database as it is at one moment, config.yml, handoffs and artifacts, saved work, prompts and logs of runs that ended, and the commits of tasks that are not at origin yet, as git bundles. It is read back and proved before it gets its name; what is damaged is never a backup.\n' +
    'Not in it: uncommitted files and logs of runs that work just then, what origin has (its commits), and logins of agents. Mirrors, workspaces and products of setup are made anew. It is not redacted, so keep it as you keep ORCH_HOME.\n' +
    'With --check nothing is written: the file is read whole and proved. Exit code 0: it can be restored; 1: damaged or no backup; 3: not there; 6: made by a newer orch.',
  positionals: [{ name: 'FILE', required: true, description: 'Where the backup is or will be', complete: 'file' }],
  options: {
    force: { kind: 'flag', description: 'Replace FILE when it exists, once the new backup is proved' },
    'no-logs': { kind: 'flag', description: 'Leave out what runs printed' },
    check: { kind: 'flag', description: 'Prove an existing backup instead' },
  },
  examples: [
    'orch backup ~/backups/orch.db',
    'orch backup --force /mnt/backup/orch-$(date +%u).db --json',
    'orch backup --check ~/backups/orch.db || mail -s "backup broken" me',
  ],
  mutates: false,
  async run({ positionals: [name = ''], values, json }, context) {
    if (name === '') throw new UserError(EXIT.usage, 'bad-value', 'FILE is empty')
    const { check, force } = values
    if (check && (force || values['no-logs']))
      throw new UserError(EXIT.usage, 'bad-value', '--check writes nothing: --force and --no-logs don’t go with it')
    const vault = await context.vault()
    const file = resolve(context.cwd, name)
    const view = check ? await vault.check(file) : await vault.backup({ file, force, logs: !values['no-logs'] })
    if (json) printJson(context, view)
    else printLines(context, [check ? 'It is whole and can be restored.' : 'Backed up.', ...backupLines(view, context)])
    return EXIT.ok
  },
})
