// Reads added lines out of a unified diff. Hunk counts decide what is content, so that a line of a file
// which looks like a header is never taken for one.

export interface AddedLine {
  file: string
  /** 1-based, in the new file. */
  line: number
  text: string
}

/** Every added line of a diff as `git diff` prints it, in order. Pure. */
export function addedLines(diff: string): AddedLine[] {
  const added: AddedLine[] = []
  let file = ''
  let line = 0
  let oldLeft = 0
  let newLeft = 0
  for (const text of diff.split('\n')) {
    if (oldLeft > 0 || newLeft > 0) {
      if (text.startsWith('+')) {
        added.push({ file, line, text: text.slice(1) })
        line += 1
        newLeft -= 1
      } else if (text.startsWith('-')) {
        oldLeft -= 1
      } else if (!text.startsWith('\\')) {
        line += 1
        oldLeft -= 1
        newLeft -= 1
      }
      continue
    }
    const hunk = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(text)
    if (hunk) {
      oldLeft = Number(hunk[1] ?? 1)
      line = Number(hunk[2])
      newLeft = Number(hunk[3] ?? 1)
    } else if (text.startsWith('+++ ')) {
      file = newPath(text.slice(4))
    }
  }
  return added
}

/** `b/src/x.ts`, or git's quoted form of a name with odd bytes. */
function newPath(text: string): string {
  // Git ends a name that holds a space with a tab.
  const name = text.replace(/\t$/, '')
  const plain = name.startsWith('"') && name.endsWith('"') ? unquote(name.slice(1, -1)) : name
  return plain.replace(/^b\//, '')
}

const ESCAPES: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 }

/** Undoes git's C-style quoting: octal bytes of UTF-8 and the usual letters. */
function unquote(text: string): string {
  const bytes: Buffer[] = []
  for (const match of text.matchAll(/\\([0-7]{3})|\\(.)|[^\\]+/gs)) {
    const [whole, octal, letter] = match
    if (octal !== undefined) bytes.push(Buffer.from([Number.parseInt(octal, 8)]))
    else if (letter !== undefined)
      bytes.push(ESCAPES[letter] === undefined ? Buffer.from(letter) : Buffer.from([ESCAPES[letter]]))
    else bytes.push(Buffer.from(whole))
  }
  return Buffer.concat(bytes).toString('utf8')
}
