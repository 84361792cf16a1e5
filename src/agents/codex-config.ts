// What of a person's codex configuration their runs work by: the model, its provider and how it thinks; never their
// MCP servers, hooks, notify programs, sandbox or approvals. Invariant: only statements of an allowlist come through,
// each with its source text, and none that can't be read.

/** One assignment of a TOML file: its whole path, tables included, and its value as written. */
export interface Setting {
  path: string[]
  value: string
}

/** The settings that choose and reach a model. All else of the person's configuration stays with the person. */
const KEPT = new Set([
  'model',
  'model_provider',
  'model_providers',
  'model_reasoning_effort',
  'model_reasoning_summary',
  'model_verbosity',
  'model_supports_reasoning_summaries',
  'model_context_window',
  'model_auto_compact_token_limit',
  'tool_output_token_limit',
  'service_tier',
  'personality',
  'web_search',
  'openai_base_url',
  'chatgpt_base_url',
  'forced_login_method',
  'forced_chatgpt_workspace_id',
  'oss_provider',
])

/** Those of a person's settings that runs work by, in their order. */
export function keptOf(settings: readonly Setting[]): Setting[] {
  return settings.filter(({ path }) => KEPT.has(path[0] ?? ''))
}

/** The text of a string setting, or null when it isn't there or isn't a plain string. */
export function textAt(settings: readonly Setting[], path: readonly string[]): string | null {
  const found = settings.find((setting) => setting.path.join('\0') === path.join('\0'))
  return found ? plainText(found.value) : null
}

/** The settings as a TOML file of assignments. */
export function tomlOf(settings: readonly Setting[]): string {
  return settings.map(({ path, value }) => `${path.map(quoted).join('.')} = ${value}\n`).join('')
}

/** A value in TOML. JSON's strings are TOML's basic strings. */
export const quoted = (text: string): string => JSON.stringify(text)

function plainText(value: string): string | null {
  if (/^'[^'\n]*'$/.test(value)) return value.slice(1, -1)
  try {
    const read: unknown = JSON.parse(value)
    return typeof read === 'string' ? read : null
  } catch {
    return null
  }
}

/** All assignments of a TOML file, but those in arrays of tables. Never throws: what it can't read it leaves out. */
export function settingsOf(toml: string): Setting[] {
  const found: Setting[] = []
  // Null within an array of tables: nothing of that form is kept.
  let table: string[] | null = []
  let at = 0
  while (at < toml.length) {
    at = skip(toml, at, /\s*(?:#[^\n]*\s*)*/y)
    if (at >= toml.length) break
    if (toml[at] === '[') {
      const isArray = toml.startsWith('[[', at)
      table = isArray ? null : (keyAt(toml, at + 1)?.path ?? null)
      at = lineEnd(toml, at)
      continue
    }
    const key = keyAt(toml, at)
    if (!key || toml[key.end] !== '=') {
      at = lineEnd(toml, at)
      continue
    }
    const end = valueEnd(toml, key.end + 1)
    if (table) found.push(...flat([...table, ...key.path], toml.slice(key.end + 1, end).trim()))
    at = end
  }
  return found
}

/** An inline table as one setting for each of its values, so that others can be added beside them. */
function flat(path: string[], value: string): Setting[] {
  if (!value.startsWith('{')) return value === '' ? [] : [{ path, value }]
  const inner = value.slice(1, -1)
  const found: Setting[] = []
  let at = 0
  while (at < inner.length) {
    const key = keyAt(inner, skip(inner, at, /[\s,]*/y))
    if (!key || inner[key.end] !== '=') break
    const end = valueEnd(inner, key.end + 1, ',')
    found.push(...flat([...path, ...key.path], inner.slice(key.end + 1, end).trim()))
    at = end
  }
  return found
}

const KEY_PART = /[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([\w-]+))[ \t]*/y

/** A dotted key, and where it ends. */
function keyAt(text: string, start: number): { path: string[]; end: number } | null {
  const path: string[] = []
  for (let at = start; ; at += 1) {
    KEY_PART.lastIndex = at
    const part = KEY_PART.exec(text)
    if (!part) return null
    path.push(part[1] === undefined ? (part[2] ?? part[3] ?? '') : (plainText(`"${part[1]}"`) ?? part[1]))
    at = KEY_PART.lastIndex
    if (text[at] !== '.') return { path, end: at }
  }
}

/** Strings first, so that what looks like a bracket or a comment in one is none. */
const VALUE_PART = /"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[^]/y

/** Where a value ends: at the line's end, a comment, or `stop`, outside of its own brackets. */
function valueEnd(text: string, start: number, stop = '\n'): number {
  let depth = 0
  for (let at = start; at < text.length; at = VALUE_PART.lastIndex) {
    VALUE_PART.lastIndex = at
    const part = VALUE_PART.exec(text)?.[0] ?? ''
    if (depth === 0 && (part === stop || part === '\n' || part.startsWith('#'))) return at
    if (part === '[' || part === '{') depth += 1
    if (part === ']' || part === '}') depth -= 1
  }
  return text.length
}

function skip(text: string, at: number, pattern: RegExp): number {
  pattern.lastIndex = at
  pattern.exec(text)
  return Math.max(at, pattern.lastIndex)
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end + 1
}
