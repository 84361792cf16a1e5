// Trims a command's output to what matters: the first failing region and the end, without colours and progress bars.

/** About 200 lines: what an agent can act on without drowning its context. */
const LIMIT_BYTES = 8 * 1024
/** Share of the limit for the first failing region; the rest is the end, where runners sum up. */
const REGION_BYTES = 3 * 1024
const LINES_BEFORE = 4

const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]/g
const FAILING =
  /\bFAIL(?:ED|URE|S)?\b|^not ok\b|\bnot ok \d|\bError:|\berror(?:\[\w+\])?:|AssertionError|Traceback \(most recent|\bpanic(?:ked)?\b|^E {3}|✗|✘|✖|×|\bERR!|\bfatal:|Exception\b/

/** Takes colours, cursor moves, overwritten progress and other control characters out. */
export function plainOutput(text: string): string {
  return text
    .replace(ESCAPES, '')
    .split('\n')
    .map((line) => line.replace(/\r+$/, ''))
    .map((line) => line.slice(line.lastIndexOf('\r') + 1))
    .join('\n')
    .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '')
}

/** The output as it should be read, at most `limitBytes` long. */
export function trimOutput(text: string, limitBytes: number = LIMIT_BYTES): string {
  const plain = plainOutput(text).trimEnd()
  if (Buffer.byteLength(plain) <= limitBytes) return plain
  const lines = plain.split('\n')
  const first = lines.findIndex((line) => FAILING.test(line))
  const regionBytes = Math.min(REGION_BYTES, Math.floor(limitBytes / 2))
  const from = first < 0 ? 0 : Math.max(0, first - LINES_BEFORE)
  const region = takeWhile(lines.slice(from), regionBytes)
  const tail = takeWhile(lines.slice(from + region.length).reverse(), limitBytes - regionBytes - 120).reverse()
  const tailFrom = lines.length - tail.length
  const parts = [gap(from), ...region, gap(tailFrom - from - region.length), ...tail]
  return parts.filter((part) => part !== null).join('\n')
}

function gap(lines: number): string | null {
  return lines > 0 ? `[… ${lines} lines left out …]` : null
}

/** As many whole lines as fit; at least one, cut when it is too long. */
function takeWhile(lines: string[], bytes: number): string[] {
  const taken: string[] = []
  let used = 0
  for (const line of lines) {
    const size = Buffer.byteLength(line) + 1
    if (used + size > bytes) {
      if (taken.length === 0) taken.push(`${Buffer.from(line).subarray(0, bytes).toString('utf8')}…`)
      break
    }
    taken.push(line)
    used += size
  }
  return taken
}
