// Turns what the schema refuses into sentences a person can act on, each with its key.

import { z } from 'zod'
import { hint } from './nearest.ts'

export type Path = (string | number)[]

export interface SchemaProblem {
  path: Path
  text: string
}

/** `verify[0].run` of a path; `(file)` for the whole. */
export function keyOf(path: Path): string {
  const key = path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  )
  return key || '(file)'
}

/** Every problem of a value, none when it has the schema's shape. Pure. */
export function checkShape(schema: z.ZodType, value: unknown): SchemaProblem[] {
  const result = schema.safeParse(value)
  if (result.success) return []
  const known = knownKeys(schema)
  return result.error.issues.flatMap((issue) => explain(issue, { base: [], value, known }))
}

interface Context {
  /** Path of the value that the issue's own path starts at. */
  base: Path
  value: unknown
  known: string[]
}

function explain(issue: z.core.$ZodIssue, context: Context): SchemaProblem[] {
  const path = [...context.base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      text: `unknown key${suggestKey(key, path, context.known)}`,
    }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branch = deepest(issue.errors)
    if (branch) return branch.flatMap((inner) => explain(inner, { ...context, base: path }))
  }
  if (issue.code === 'invalid_key') {
    return [{ path, text: issue.issues[0]?.message ?? issue.message }]
  }
  return [{ path, text: `${issue.message}, not ${shown(valueAt(context.value, path))}` }]
}

/** The branch of a union that came nearest: one that complains about something inside, not about the value itself. */
function deepest(branches: z.core.$ZodIssue[][]): z.core.$ZodIssue[] | null {
  const inside = branches.filter((issues) =>
    issues.every(
      (issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys' || issue.code === 'invalid_union',
    ),
  )
  return inside[0] ?? null
}

function suggestKey(key: string, at: Path, known: string[]): string {
  const parent = keyOf(at)
    .replaceAll(/\[\d+\]/g, '[]')
    .replace(/^projects\.[^.]+/, 'projects.*')
    .replace(/(^|\.)agents\..*$/, '$1agents.*')
  const prefix = at.length > 0 ? `${parent}.` : ''
  const siblings = known
    .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('.'))
    .map((name) => name.slice(prefix.length))
  const near = hint(key, siblings)
  if (near) return near
  // A key at the wrong level: `attempts` for `limits.attempts`.
  const elsewhere = known.find((name) => name.split('.').at(-1) === key && !name.includes('[]') && !name.includes('*'))
  if (elsewhere) return ` (did you mean "${elsewhere}"?)`
  return siblings.length > 0 ? `; known here: ${siblings.join(', ')}` : ''
}

/** Dotted names of all keys of a schema; `[]` stands for any list item, `*` for any name. */
function knownKeys(schema: z.ZodType, prefix = ''): string[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, value]) => {
      const name = prefix ? `${prefix}.${key}` : key
      return [name, ...knownKeys(value as z.ZodType, name)]
    })
  }
  if (inner instanceof z.ZodArray) return knownKeys(inner.element as z.ZodType, `${prefix}[]`)
  if (inner instanceof z.ZodRecord) return knownKeys(inner.valueType as z.ZodType, `${prefix}.*`)
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((option) => knownKeys(option as z.ZodType, prefix))
  return []
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap() as z.ZodType) : schema
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, part) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string | number, unknown>)[part] : undefined,
    value,
  )
}

function shown(value: unknown): string {
  if (value === undefined) return 'absent'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
