// GitHub's own description of the operations in use, as a judge of what the driver asks and of what the fake answers.
// scripts/slice-github-api.ts makes the file. A constraint that can't be compiled would let everything pass, so `nullable`
// is rewritten to what JSON Schema calls it, and the tests assert that each operation refuses a known-bad body.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'

type Json = Record<string, unknown>

interface Operation {
  parameters?: Json[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Json }> }
  responses: Record<string, Json>
}

export interface Description {
  /** `GET /repos/{owner}/{repo}` and the path's values; null: no operation in use. */
  find(method: string, path: string): { operation: string; values: Record<string, string> } | null
  operations(): string[]
  describes(operation: string, status: number): boolean
  /** What is wrong with a request; null where nothing is. */
  judgeRequest(operation: string, request: { query: string[]; body: unknown }): string | null
  judgeAnswer(operation: string, answer: { status: number; body: unknown }): string | null
  /** The least that the answer must hold, with the given values over it. */
  complete(operation: string, status: number, values: unknown): unknown
}

const ROOT = 'github'

export function readDescription(): Description {
  const file = join(import.meta.dirname, '__fixtures__/api.github.com.json')
  const whole = withNull(JSON.parse(readFileSync(file, 'utf8'))) as {
    paths: Record<string, Record<string, Operation>>
    components: Json
  }
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: false })
  ajv.addSchema({ $id: ROOT, ...whole })
  const operations = new Map<string, Operation>(
    Object.entries(whole.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
    ),
  )
  const compiled = new Map<string, ValidateFunction>()
  const judge = (name: string, schema: Json | null, value: unknown): string | null => {
    if (schema === null && name.endsWith(' 422')) return null
    if (schema === null) return value === undefined || value === null ? null : `${name}: no body is described`
    const check = compiled.get(name) ?? ajv.compile(absolute(schema) as Json)
    compiled.set(name, check)
    return check(value) ? null : `${name}: ${ajv.errorsText(check.errors)}`
  }
  const get = (name: string): Operation => {
    const operation = operations.get(name)
    if (!operation) throw new Error(`${name} is not described`)
    return operation
  }
  const answerSchema = (operation: string, status: number): Json | null => {
    const response = resolve(whole, get(operation).responses[String(status)])
    if (!response) throw new Error(`${operation} is not described to answer ${status}`)
    const content = response['content'] as Record<string, { schema: Json }> | undefined
    return content?.['application/json']?.schema ?? null
  }
  return {
    find: (method, path) => findOperation([...operations.keys()] as string[], method, path),
    operations: () => [...operations.keys()],
    describes: (name, status) => String(status) in get(name).responses,
    judgeRequest(name, { query, body }) {
      const operation = get(name)
      const known = (operation.parameters ?? []).map((parameter) => resolve(whole, parameter)?.['name'])
      const strange = query.find((parameter) => !known.includes(parameter))
      if (strange !== undefined) return `${name}: no query ${strange} is described`
      const schema = operation.requestBody?.content['application/json']?.schema ?? null
      const fields = schema && (resolve(whole, schema)?.['properties'] as Json | undefined)
      const extra = fields && isObject(body) ? Object.keys(body).find((key) => !(key in fields)) : undefined
      if (extra !== undefined) return `${name}: no field ${extra} is described`
      if (body === undefined && operation.requestBody?.required !== true) return null
      return judge(`${name} request`, schema, body)
    },
    judgeAnswer: (name, { status, body }) => judge(`${name} ${status}`, answerSchema(name, status), body),
    complete(name, status, values) {
      const schema = answerSchema(name, status)
      return schema === null ? values : fill(whole, schema, values)
    },
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function findOperation(names: string[], method: string, path: string) {
  const given = path.split('/')
  for (const operation of names) {
    const [verb, template = ''] = operation.split(' ')
    const parts = template.split('/')
    // A branch may have slashes; they come encoded, but for the last value of a path.
    if (verb !== method || parts.length !== given.length) continue
    const values: Record<string, string> = {}
    const fits = parts.every((part, index) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1]
      if (name === undefined) return part === given[index]
      values[name] = decodeURIComponent(given[index] ?? '')
      return values[name] !== ''
    })
    if (fits) return { operation, values }
  }
  return null
}

/** OpenAPI 3.0 says `nullable`, JSON Schema a type. */
function withNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNull)
  if (!isObject(value)) return value
  const { nullable, discriminator: _d, ...rest } = value
  const schema = Object.fromEntries(Object.entries(rest).map(([key, part]) => [key, withNull(part)]))
  if (nullable !== true)
    return nullable === undefined ? schema : nullable === false ? schema : { ...schema, nullable: withNull(nullable) }
  if (typeof schema['type'] !== 'string') return { anyOf: [schema, { type: 'null' }] }
  const choices = schema['enum']
  return { ...schema, type: [schema['type'], 'null'], ...(Array.isArray(choices) ? { enum: [...choices, null] } : {}) }
}

/** References that hold wherever the schema stands. */
function absolute(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(absolute)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      key === '$ref' && typeof part === 'string' ? `${ROOT}${part}` : absolute(part),
    ]),
  )
}

function resolve(whole: unknown, value: Json | undefined): Json | undefined {
  const ref = value?.['$ref']
  if (typeof ref !== 'string') return value
  const found = ref
    .split('/')
    .slice(1)
    .reduce<unknown>((at, key) => (at as Json)[key], whole)
  return resolve(whole, found as Json)
}

/** The values where they are given, else the plainest thing that fits. */
function fill(whole: unknown, schema: Json, given: unknown): unknown {
  const at = resolve(whole, schema) ?? {}
  const {
    allOf,
    anyOf,
    oneOf,
    properties,
    items,
    required,
    enum: choices,
  } = at as {
    allOf?: Json[]
    anyOf?: Json[]
    oneOf?: Json[]
    properties?: Record<string, Json>
    items?: Json
    required?: string[]
    enum?: unknown[]
  }
  if (given === null) return null
  if (Array.isArray(given)) return items ? given.map((item) => fill(whole, items, item)) : given
  const branch = (anyOf ?? oneOf)?.[0]
  if (branch && (given === undefined || isObject(given))) return fill(whole, branch, given)
  if (allOf) return allOf.reduce<unknown>((filled, part) => fill(whole, part, filled), given)
  if (properties && (given === undefined || isObject(given))) {
    const object = (given ?? {}) as Json
    const names = new Set([...Object.keys(object), ...(required ?? [])])
    const entries = [...names].map((name) => [
      name,
      properties[name] ? fill(whole, properties[name], object[name]) : object[name],
    ])
    return Object.fromEntries(entries) as Json
  }
  return given === undefined ? plainest(at, choices) : given
}

function plainest({ type, format, minItems }: Json, choices: unknown[] | undefined): unknown {
  if (choices) return choices[0]
  const first = Array.isArray(type) ? (type.includes('null') ? 'null' : (type[0] as string)) : type
  switch (first) {
    case 'string':
      return format === 'date-time' ? '2026-01-01T00:00:00Z' : 'x'
    case 'integer':
    case 'number':
      return 1
    case 'boolean':
      return false
    case 'array':
      return minItems ? ['x'] : []
    case 'object':
      return {}
    default:
      return null
  }
}
