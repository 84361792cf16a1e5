// Cuts bytes into lines, across chunk borders, with bounded memory.
// Invariant: no line is ever kept longer than the limit; a longer one comes out cut, its rest is dropped.

/** Longest line a parser gets to see. */
const MAX_LINE_BYTES = 4 << 20

export interface LineSplitter {
  /** The whole lines that this chunk completes. */
  push(chunk: Buffer): string[]
  /** What stood after the last line break, if anything. */
  end(): string[]
}

/** Makes a splitter at "\n"; bytes are decoded a line at a time, so a character is never split. */
export function makeLineSplitter(maxBytes: number = MAX_LINE_BYTES): LineSplitter {
  let parts: Buffer[] = []
  let kept = 0
  const keep = (part: Buffer): void => {
    const room = part.subarray(0, Math.max(0, maxBytes - kept))
    if (room.length === 0) return
    parts.push(room)
    kept += room.length
  }
  const take = (): string => {
    const line = Buffer.concat(parts).toString('utf8')
    parts = []
    kept = 0
    return trimReturn(line)
  }
  return {
    push(chunk) {
      const lines: string[] = []
      let from = 0
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        // Most lines lie whole in one chunk: decoded in place, without a copy.
        if (kept === 0 && at - from <= maxBytes) lines.push(trimReturn(chunk.toString('utf8', from, at)))
        else {
          keep(chunk.subarray(from, at))
          lines.push(take())
        }
        from = at + 1
      }
      // A copy: the reader reuses its buffer.
      if (from < chunk.length) keep(Buffer.from(chunk.subarray(from)))
      return lines
    },
    end() {
      return kept > 0 ? [take()] : []
    },
  }
}

const trimReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line)
