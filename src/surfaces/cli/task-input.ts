// Titles, bodies and labels as they come from a person, checked before anything is written.

import { open } from 'node:fs/promises'
import { UserError } from '../../lib/errors.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { hasControlCharacters } from './sanitize.ts'

/** Longest title, in characters (C-9, QG-0). */
const TITLE_MAX = 200
/** Largest body, in bytes of UTF-8. */
const BODY_MAX_BYTES = 256 * 1024
const LABEL_MAX = 100

/** The title without surrounding spaces. Throws UserError(2). */
export function checkTitle(text: string): string {
  const title = text.trim()
  if (title === '')
    throw new UserError(EXIT.usage, 'empty-title', 'the title is empty: say in one line what is to be done')
  if (hasControlCharacters(title)) {
    throw new UserError(
      EXIT.usage,
      'bad-title',
      'the title holds a line break or another control character: keep it to one plain line and put the rest into --body',
    )
  }
  const length = characters(title)
  if (length > TITLE_MAX)
    throw new UserError(
      EXIT.usage,
      'long-title',
      `the title has ${length} characters, the limit is ${TITLE_MAX}: put the rest into --body`,
    )
  return title
}

/** Labels without surrounding spaces, each once. Throws UserError(2). */
export function checkLabels(texts: readonly string[]): string[] {
  const labels = texts.map((text) => text.trim())
  for (const label of labels) {
    if (label === '' || hasControlCharacters(label) || characters(label) > LABEL_MAX) {
      throw new UserError(
        EXIT.usage,
        'bad-label',
        `--label: ${JSON.stringify(label)} is no label: one plain line of 1 to ${LABEL_MAX} characters`,
      )
    }
  }
  return [...new Set(labels)]
}

/** The body from `--body` or `--body-file` (`-`: standard input); undefined when neither is given. Throws UserError(2, 3). */
export async function readBody(
  values: { body: string | undefined; 'body-file': string | undefined },
  context: CliContext,
): Promise<string | undefined> {
  const file = values['body-file']
  if (file === undefined) return values.body === undefined ? undefined : checkText(values.body, '--body')
  if (values.body !== undefined) throw new UserError(EXIT.usage, 'two-bodies', 'give --body or --body-file, not both')
  const bytes = file === '-' ? await readUpTo(context.stdin) : await readFileUpTo(file, context)
  return checkText(decode(bytes, file), file === '-' ? 'standard input' : file)
}

/** A text of a person, within the limit of a body. Throws UserError(2). */
export function checkText(text: string, name: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes > BODY_MAX_BYTES) throw tooLong(name)
  if (text.includes('\0')) throw new UserError(EXIT.usage, 'bad-body', `${name} holds a NUL character: it is no text`)
  return text
}

function tooLong(name: string): UserError {
  return new UserError(
    EXIT.usage,
    'body-too-long',
    `${name} is over ${BODY_MAX_BYTES / 1024} KiB, the most a task's body may have: shorten it, or put the rest into the repository and name the file`,
  )
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UserError(EXIT.usage, 'bad-body', `${name} is not UTF-8 text`)
  }
}

async function readFileUpTo(file: string, context: CliContext): Promise<Uint8Array> {
  const { resolve } = await import('node:path')
  const path = resolve(context.cwd, file)
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT')
      throw new UserError(EXIT.notFound, 'no-such-file', `--body-file: there is no file ${path}`)
    throw new UserError(EXIT.usage, 'bad-file', `--body-file: ${path} can't be read (${error.code})`)
  })
  try {
    if ((await handle.stat()).isDirectory())
      throw new UserError(EXIT.usage, 'bad-file', `--body-file: ${path} is a folder`)
    return await readUpTo(handle.createReadStream({ autoClose: false }), path)
  } finally {
    await handle.close()
  }
}

/** Reads a stream, but never more than the limit: an endless one is refused, not swallowed. */
async function readUpTo(stream: AsyncIterable<Uint8Array>, name = 'standard input'): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > BODY_MAX_BYTES) throw tooLong(name)
  }
  return Buffer.concat(chunks)
}

/** Code points, as a person who writes a title's limit down means them; UTF-16 would count an emoji twice. */
function characters(text: string): number {
  return Array.from(text).length
}
