// An exported task in the place of an ORCH_HOME: verbs that look at a task look at it, and no other has anything here.
// Invariant: a file from elsewhere is only read; what it says is checked against the schema before anything is made of it.

import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { App, InspectView, JournalEntry, Reader, TaskExport } from '../../flow/app.ts'
import { UserError, messageOf } from '../../lib/errors.ts'
import type { CliContext } from './context.ts'
import { eventSentence } from './event-lines.ts'
import { EXIT } from './exit-codes.ts'

export type Exported = TaskExport<InspectView>

/** An export's bounds allow for some hundred runs; more is a mistake or an attack. */
const FILE_BYTES = 128 << 20
const TEXT_BYTES = 512 << 20

/** The context with an exported task instead of ORCH_HOME. Throws UserError: 3 no file, 1 no export, 6 of a newer orch. */
export async function lookingAt(file: string, context: CliContext): Promise<CliContext> {
  const exported = await readExport(file, context)
  const reader = readerOf(exported, file)
  const app = appOf(exported, { reader, file })
  return { ...context, reader: async () => reader, app: async () => app }
}

/** Reads an export from a file, or from standard input for `-`. */
export async function readExport(file: string, context: Pick<CliContext, 'cwd' | 'stdin'>): Promise<Exported> {
  const bad = (why: string): UserError =>
    new UserError(EXIT.failed, 'bad-export', `${file} is no task that \`orch export\` wrote: ${why}`)
  const bytes = await readBytes(file, context)
  const text = await unpacked(bytes).catch((error: unknown) => {
    throw bad(`it can't be unpacked (${messageOf(error)})`)
  })
  let value: unknown
  try {
    value = JSON.parse(text.toString('utf8'))
  } catch {
    throw bad('it is not JSON, or was cut off')
  }
  const format = typeof value === 'object' && value !== null && 'format' in value ? String(value.format) : ''
  const { taskExport } = await import('./schemas/export.ts')
  if (/^orch-task\/\d+$/.test(format) && format !== taskExport.shape.format.value)
    throw new UserError(
      EXIT.notReady,
      'newer-export',
      `${file} is of another version (${format}); use the orch that made it`,
    )
  const parsed = taskExport.safeParse(value)
  const [issue] = parsed.error?.issues ?? []
  if (!parsed.success) throw bad(`${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not as it should be'}`)
  // The policy is only shown, so the schema leaves it open; the schema's type says the rest.
  const exported = parsed.data as unknown as Exported
  const policy = exported.inspection.policy as { pipeline?: { name?: unknown } } | null
  if (policy && typeof policy.pipeline?.name !== 'string') throw bad('inspection.policy.pipeline: it has no name')
  for (const event of entriesOf(exported)) {
    try {
      eventSentence(event)
    } catch {
      throw bad(`event ${event.seq}: its data is not that of ${event.type}`)
    }
  }
  return exported
}

async function readBytes(file: string, { cwd, stdin }: Pick<CliContext, 'cwd' | 'stdin'>): Promise<Buffer> {
  const tooLarge = (): UserError =>
    new UserError(
      EXIT.failed,
      'bad-export',
      `${file} is too large to be an exported task (more than ${FILE_BYTES >> 20} MiB)`,
    )
  if (file !== '-') {
    const handle = await open(resolve(cwd, file), 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      throw new UserError(EXIT.notFound, 'no-such-file', `there is no ${file}`)
    })
    await using opened = handle
    const found = await opened.stat()
    if (!found.isFile()) throw new UserError(EXIT.usage, 'not-a-file', `${file} is no plain file`)
    if (found.size > FILE_BYTES) throw tooLarge()
    return opened.readFile()
  }
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of stdin) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > FILE_BYTES) throw tooLarge()
  }
  return Buffer.concat(pieces)
}

async function unpacked(bytes: Buffer): Promise<Buffer> {
  // The first two bytes of gzip (RFC 1952), whatever the file is called.
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  return (await import('node:zlib')).gunzipSync(bytes, { maxOutputLength: TEXT_BYTES })
}

const entriesOf = (exported: Exported): JournalEntry[] =>
  exported.events.map((event) => ({ ...event, at: Date.parse(event.at) }))

function readerOf(exported: Exported, file: string): Reader {
  const { task, why } = exported.inspection
  const { project } = exported
  return only<Reader>(file, {
    task: (id) => (id === task.id ? task : null),
    events: (id) => (id === task.id ? entriesOf(exported) : []),
    why: (id) => (id === task.id ? why : null),
    projects: () => [{ ...project, path: '', createdAt: 0 }],
    projectAt: () => ({ ...project, path: '', createdAt: 0 }),
    resolveTaskId: (text) =>
      task.id === (/^\d+$/.test(text) ? `${project.id}-${Number(text)}` : text.toUpperCase()) ? task.id : null,
  })
}

function appOf(exported: Exported, at: { reader: Reader; file: string }): App {
  const { diffs, inspection } = exported
  const last = diffs.findLast((one) => one.head === inspection.task.headSha) ?? diffs.at(-1)
  return only<App>(at.file, {
    reader: at.reader,
    inspect: async (_task, { logTails }) => (logTails ? { ...inspection, runs: withTails(exported) } : inspection),
    logs: ({ runId, of, raw }) => logs(exported, { runId, of, raw }),
    changeDiff: async () => last?.diff.text ?? null,
    changeStat: async () =>
      last
        ? {
            base: last.base,
            head: last.head,
            files: last.files,
            addedLines: last.files.reduce((sum, one) => sum + one.addedLines, 0),
            deletedLines: last.files.reduce((sum, one) => sum + one.deletedLines, 0),
          }
        : null,
  })
}

/** Lines of each log that `task inspect` shows as its end. */
const TAIL_LINES = 40

function withTails(exported: Exported): InspectView['runs'] {
  const tail = (text: string | undefined): string[] => linesOf(text).slice(-TAIL_LINES)
  return exported.inspection.runs.map((run) => {
    const found = exported.runs.find((one) => one.id === run.id)
    return { ...run, tails: { output: tail(found?.output?.text), stderr: tail(found?.stderr?.text) } }
  })
}

function logs(
  exported: Exported,
  request: { runId: string | undefined; of: 'output' | 'stderr' | 'prompt'; raw: boolean },
): ReturnType<App['logs']> {
  const run = request.runId === undefined ? exported.runs.at(-1) : exported.runs.find((one) => one.id === request.runId)
  if (!run) return null
  const asEvents = request.of === 'output' && !request.raw
  const items = asEvents
    ? run.events.map((item) => ('line' in item ? item.line : item))
    : linesOf(run[request.of]?.text)
  return { runId: run.id, lines: each(items) }
}

const linesOf = (text = ''): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

/** What an export can't tell is refused by name, and never answered by accident from elsewhere. */
function only<T extends object>(file: string, given: Partial<T>): T {
  return new Proxy(given as T, {
    get(target, key) {
      if (key in target) return target[key as keyof T]
      // A promise resolves to a value only after it was asked for `then`.
      if (key === 'then') return undefined
      throw new UserError(EXIT.usage, 'not-in-export', `${file} is an exported task and can only be looked at`)
    },
  })
}
