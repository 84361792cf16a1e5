// Reads untrusted YAML as plain data: bounded in size and aliases, no tags of its own, no key twice, one document.
// Never throws: what can't be read is a list of problems with lines. Users: configuration, pipelines, handoffs.

import { type Document, LineCounter, isAlias, isMap, isPair, isSeq, parseDocument } from 'yaml'

export type YamlPath = readonly (string | number)[]

export interface YamlProblem {
  /** 1-based. */
  line: number
  text: string
}

export type PlainYaml =
  | {
      ok: true
      value: unknown
      /** Line of the key or list item at a path, of its nearest parent when it isn't there. */ lineOf(
        path: YamlPath,
      ): number
    }
  | { ok: false; problems: YamlProblem[] }

export interface YamlLimits {
  maxBytes: number
  /** How many times aliases may be followed, all together; 0 refuses them. */
  maxAliases: number
  /** `text` reads every scalar as text: no number, date or truth value is guessed. */
  scalars: 'typed' | 'text'
}

/** Nesting past this is nobody's configuration, and a recursive reader would run out of stack somewhere above it. */
const MAX_DEPTH = 64

/** Parses one YAML document into plain data; an empty one is null. Pure. */
export function parsePlainYaml(text: string, limits: YamlLimits): PlainYaml {
  const bytes = Buffer.byteLength(text)
  if (bytes > limits.maxBytes) return oneProblem(`the text has ${bytes} bytes; at most ${limits.maxBytes} are read`)
  const lines = new LineCounter()
  try {
    if (nestsTooDeep(text)) return oneProblem(`the values are nested more than ${MAX_DEPTH} deep`)
    const document = parseDocument(text, {
      lineCounter: lines,
      schema: limits.scalars === 'text' ? 'failsafe' : 'core',
      uniqueKeys: true,
      prettyErrors: false,
      stringKeys: true,
      resolveKnownTags: false,
    })
    // A warning is a tag nobody knows; plain data has none.
    const faults = [...document.errors, ...document.warnings]
    if (faults.length > 0) {
      // What is missing at the end is missing in the last line that says something.
      const end = Math.max(0, text.trimEnd().length - 1)
      return {
        ok: false,
        problems: faults
          .slice(0, 10)
          .map((fault) => ({ line: lines.linePos(Math.min(fault.pos[0], end)).line, text: fault.message })),
      }
    }
    const value: unknown = document.toJS({ maxAliasCount: limits.maxAliases })
    return { ok: true, value, lineOf: (path) => lineOf(document, lines, path) }
  } catch (error) {
    return oneProblem(error instanceof RangeError ? 'the values are nested too deep' : reasonOf(error))
  }
}

function oneProblem(text: string): PlainYaml {
  return { ok: false, problems: [{ line: 1, text }] }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return /alias/i.test(text) ? 'aliases (*name) are not allowed here, or there are too many of them' : text
}

/** A cheap bound before the recursive parser sees the text: opened brackets, and list dashes or indentation per line. */
function nestsTooDeep(text: string): boolean {
  let open = 0
  for (const char of text) {
    if (char === '[' || char === '{') open += 1
    else if (char === ']' || char === '}') open = Math.max(0, open - 1)
    if (open > MAX_DEPTH * 8) return true
  }
  return text.split('\n').some((line) => {
    const lead = /^(?:[ \t]*[-?:][ \t])*/.exec(line)?.[0] ?? ''
    return lead.replaceAll(/[ \t]/g, '').length > MAX_DEPTH
  })
}

function lineOf(document: Document, lines: LineCounter, path: YamlPath): number {
  let node: unknown = document.contents
  let offset = offsetOf(node) ?? 0
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document)
    let next: unknown
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && keyText(item.key) === String(part))
      offset = offsetOf(pair?.key) ?? offset
      next = pair?.value
    } else if (isSeq(node) && typeof part === 'number') {
      next = node.items[part]
      offset = offsetOf(next) ?? offset
    }
    if (next === undefined || next === null) break
    node = next
  }
  return lines.linePos(offset).line || 1
}

function keyText(key: unknown): string {
  return typeof key === 'object' && key !== null && 'value' in key ? String(key.value) : String(key)
}

function offsetOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined
  const { range } = node
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined
}
