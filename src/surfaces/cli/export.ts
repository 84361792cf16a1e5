import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { InspectView, TaskExport } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { bytesText } from './backup-lines.ts'
import { defineCommand } from './command.ts'
import { TASK_ID, needTaskId } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

export const command = defineCommand({
  summary: 'Write one task with all that is known of it as one file, for another machine',
  details:
    'In it: the task, its events, runs with their prompts and logs (the last 1 MiB of each), evidence and verdicts, intents, jobs, what each run changed (at most 4 MiB), costs and kept files (at most 1 MiB each). What was cut says so.\n' +
    'Texts that look like secrets, and values of your environment whose names say that they are secret, are taken out first. No redactor knows every secret: look before you publish.\n' +
    'JSON, packed with gzip when the name ends in .gz; to standard output without --output. `orch import FILE` shows it, anywhere.',
  positionals: [TASK_ID],
  options: {
    output: { kind: 'text', value: 'FILE', short: 'o', description: 'Write to this file', complete: 'file' },
    force: { kind: 'flag', description: 'Replace FILE when it exists' },
  },
  examples: [
    'orch export 1 --output task-1.json.gz',
    'orch export SHOP-1 | jq .costs',
    'orch export SHOP-1 | ssh other orch import -',
  ],
  mutates: false,
  async run({ positionals: [name = ''], values, json }, context) {
    const { output, force } = values
    if (output === '') throw new UserError(EXIT.usage, 'bad-value', '--output: the name is empty')
    if (output === undefined && context.isTty)
      throw new UserError(
        EXIT.usage,
        'no-file',
        'an export is too long for a terminal: name a file with --output FILE, or use a pipe',
      )
    const id = await needTaskId(name, context)
    const exported = await (await context.app()).exportTask(id)
    if (!exported) throw new UserError(EXIT.notFound, 'no-such-task', `there is no task ${id}`)
    if (output === undefined) {
      printJson(context, exported)
      return EXIT.ok
    }
    const file = resolve(context.cwd, output)
    const bytes = await write(file, { exported, force })
    report({ task: id, file, bytes, hidden: exported.hidden, missing: exported.missing }, { json, context })
    return EXIT.ok
  },
})

/** Whole or not at all; nobody else may read it. */
async function write(
  file: string,
  { exported, force }: { exported: TaskExport<InspectView>; force: boolean },
): Promise<number> {
  const text = Buffer.from(`${JSON.stringify(exported, null, 1)}\n`)
  const bytes = file.endsWith('.gz') ? (await import('node:zlib')).gzipSync(text) : text
  const draft = `${file}.part-${process.pid}`
  let handle: FileHandle
  try {
    handle = await open(draft, 'w', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new UserError(EXIT.notFound, 'no-folder', `can't write ${file}: its folder is not there; make it first`)
  }
  try {
    await handle.writeFile(bytes)
    await handle.sync()
    await handle.close()
    // A link never replaces a file.
    if (force) await rename(draft, file)
    else await link(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new UserError(EXIT.refused, 'file-exists', `${file} exists already; name another file, or add --force`)
  } finally {
    await rm(draft, { force: true })
  }
  return bytes.length
}

function report(
  done: { task: string; file: string; bytes: number; hidden: number; missing: string[] },
  { json, context }: { json: boolean; context: CliContext },
): void {
  if (json) {
    printJson(context, done)
    return
  }
  const { task, file, bytes, hidden, missing } = done
  printLines(context, [
    sanitizeLine(`${task} is in ${file} (${bytesText(bytes)})`),
    ...(hidden > 0 ? [`${hidden} text(s) that look like secrets were taken out`] : []),
    ...missing.map((one) => sanitizeLine(`missing: ${one}`)),
    sanitizeLine(`Anywhere else: \`orch import ${file}\``),
  ])
}
