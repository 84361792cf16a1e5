// Commands in comments: a line that begins with `/orch`, of the comment's own text. What is quoted, stands in code or in a
// hidden HTML comment is somebody else's word or an example, and is never obeyed.

export const COMMENT_VERBS = [
  'retry',
  'stop',
  'pause',
  'resume',
  'approve',
  'reject',
  'answer',
  'reroute',
  'why',
  'help',
] as const
export type CommentVerb = (typeof COMMENT_VERBS)[number]

export type CommentCommand =
  | { ok: true; verb: CommentVerb; text: string }
  /** It was meant for us and can't be read: `problem` is a sentence for whoever wrote it. */
  | { ok: false; problem: string }

/** What a verb takes after it. */
const WANTS_TEXT: Partial<Record<CommentVerb, string>> = {
  reject: 'what to change',
  answer: 'your answer',
  reroute: 'the name of an agent',
}

/** More than one person would write; a comment that holds more is no set of wishes. */
const MOST_COMMANDS = 5

/** The commands of one comment, in order. Empty for a comment that has none. */
export function readCommands(body: string): CommentCommand[] {
  const lines = ownLines(body)
  const commands: CommentCommand[] = []
  for (const [index, line] of lines.entries()) {
    const match = /^\/orch(?:\s+(\S+))?(?:\s+(.*))?$/i.exec(line.trim())
    if (match) commands.push(readCommand(match[1] ?? '', match[2] ?? '', lines.slice(index + 1)))
  }
  if (commands.length <= MOST_COMMANDS) return commands
  return [
    { ok: false, problem: `there are ${commands.length} commands in one comment; at most ${MOST_COMMANDS} are obeyed` },
  ]
}

function readCommand(word: string, rest: string, following: string[]): CommentCommand {
  const verb = COMMENT_VERBS.find((known) => known === word.toLowerCase())
  if (verb === undefined) {
    const what = word === '' ? '`/orch` alone says nothing' : `\`${word.slice(0, 40)}\` is no command`
    return { ok: false, problem: `${what}; try one of ${COMMENT_VERBS.join(', ')}` }
  }
  // An answer or a reason may go on below its line, up to the next command.
  const more = following.slice(0, Math.max(0, next(following)))
  const text = (verb === 'answer' || verb === 'reject' ? [rest, ...more].join('\n') : rest).trim()
  const wanted = WANTS_TEXT[verb]
  if (wanted !== undefined && text === '') return { ok: false, problem: `\`/orch ${verb}\` needs ${wanted} after it` }
  return { ok: true, verb, text }
}

function next(lines: string[]): number {
  const index = lines.findIndex((line) => /^\/orch\b/i.test(line.trim()))
  return index < 0 ? lines.length : index
}

/** What whoever wrote it says: without what they quote, show as code or hide. */
export function ownText(body: string): string {
  return ownLines(body).join('\n')
}

/** Lines of the comment itself: no quotes, no fenced or indented code, no hidden comments. */
function ownLines(body: string): string[] {
  const visible = body.replaceAll(/<!--[\s\S]*?(?:-->|$)/g, '')
  const lines: string[] = []
  let fence: string | null = null
  for (const line of visible.split(/\r?\n/)) {
    const mark: string | undefined = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1]
    if (fence !== null) {
      if (mark !== undefined && mark[0] === fence[0] && mark.length >= fence.length) fence = null
      continue
    }
    if (mark !== undefined) {
      fence = mark
      continue
    }
    if (/^( {4}|\t| {0,3}>)/.test(line) || /^\s*<(pre|code|blockquote)\b/i.test(line)) {
      lines.push('')
      continue
    }
    lines.push(line)
  }
  return lines
}
