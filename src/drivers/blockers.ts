// Which issues a text says it waits for: task lists, and lines such as "Blocked by #12". Pure.

interface Place {
  /** `owner/name` of the project: other projects' issues are not ours to wait for. */
  ref: string
  /** The issue's own number. */
  self: number
}

const REFERENCE = String.raw`(?:#(?<number>\d{1,9})|(?<repository>[\w.-]+\/[\w.-]+)#(?<other>\d{1,9})|https?:\/\/[^\s/]+\/(?<linked>[\w.-]+\/[\w.-]+)\/issues\/(?<target>\d{1,9}))`
/** An item that is not ticked and begins with a reference; elsewhere in it a number is only spoken of. */
const TASK = new RegExp(String.raw`^\s*[-*+]\s+\[ \]\s+${REFERENCE}(?![\w-])`)
const WAITS = /^\s*(?:[-*+]\s+)?[*_]{0,2}(?:blocked by|depends on)[*_]{0,2}\s*:?[*_]{0,2}\s*(?<rest>.+)$/i
const LISTED = new RegExp(String.raw`^(?:\s*(?:,|and|&)\s*|\s+)?${REFERENCE}(?![\w-])`, 'i')
const FENCE = /^\s{0,3}(`{3,}|~{3,})/

/** Numbers in the order they stand, each once. Code, quotes and HTML comments say nothing. */
export function parseBlockers(body: string, place: Place): number[] {
  const found = new Set<number>()
  let fence: string | null = null
  for (const line of body.replaceAll(/<!--[\s\S]*?(?:-->|$)/g, '').split(/\r?\n/)) {
    const mark = FENCE.exec(line)?.[1]
    if (mark !== undefined) {
      if (fence === null) fence = mark
      else if (mark.startsWith(fence)) fence = null
      continue
    }
    if (fence !== null || /^\s{0,3}>/.test(line) || /^(?: {4}|\t)\s*(?![-*+])\S/.test(line)) continue
    for (const number of readLine(line, place)) found.add(number)
  }
  found.delete(place.self)
  return [...found]
}

function readLine(line: string, place: Place): number[] {
  const task = TASK.exec(line)
  if (task) return numberOf(task, place)
  let rest = WAITS.exec(line)?.groups?.['rest'] ?? ''
  const found: number[] = []
  for (let match = LISTED.exec(rest); match; match = LISTED.exec(rest)) {
    found.push(...numberOf(match, place))
    rest = rest.slice(match[0].length)
  }
  return found
}

function numberOf({ groups }: RegExpExecArray, { ref }: Place): number[] {
  const number = Number(groups?.['number'] ?? groups?.['other'] ?? groups?.['target'])
  const repository = groups?.['repository'] ?? groups?.['linked']
  const ours = repository === undefined || repository.toLowerCase() === ref.toLowerCase()
  return ours && number > 0 ? [number] : []
}
