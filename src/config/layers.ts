// One layer of the cascade: from a file's text, the environment or flags to leaf values, each knowing where it stands.
// Invariant: a layer with a problem gives no values at all: half a configuration is nobody's wish.

import { parsePlainYaml } from '../lib/plain-yaml.ts'
import type { ConfigFile, ConfigProblem, PollIntervals } from './config.ts'
import { type Path, checkShape, keyOf } from './problems.ts'
import {
  type ConfigInput,
  type UserConfigInput,
  MAX_CONFIG_ALIASES,
  MAX_CONFIG_BYTES,
  POLL_SECONDS,
  VERIFY_TIMEOUT_SECONDS,
  configSchema,
  durationSeconds,
  userConfigSchema,
} from './schema.ts'

export interface Leaf {
  value: unknown
  /** `.orch.yml:12`, `ORCH_APPROVAL`, `--approval`. */
  source: string
  /** For problems that show only when all layers are together. */
  at: { file: string; line: number | null }
}

export interface Layer {
  leaves: Map<string, Leaf>
  problems: ConfigProblem[]
}

/** A value to check, and how to say where a path of it stands. */
export interface RawLayer {
  value: unknown
  locate(path: Path): { source: string; file: string; line: number | null }
}

const EMPTY: Layer = { leaves: new Map(), problems: [] }

/** Reads a project's file; null is an absent one. */
export function fileLayer(file: ConfigFile | null): Layer {
  const raw = file && parseFile(file)
  if (!raw) return EMPTY
  return Array.isArray(raw) ? { leaves: new Map(), problems: raw } : readLayer(raw)
}

/** A person's file as layers, lower first: what it says of every project, and what it says of this one. */
export function userLayers(file: ConfigFile | null, projectId: string | null): Layer[] {
  const raw = file && parseFile(file)
  if (!raw) return []
  const problems = Array.isArray(raw) ? raw : shapeProblems(raw, userConfigSchema)
  if (Array.isArray(raw) || problems.length > 0) return [{ leaves: new Map(), problems }]
  const { projects, webhooks: _webhooks, poll: _poll, ...general } = (withoutNulls(raw.value) ?? {}) as UserConfigInput
  const own = projectId === null ? undefined : projects?.[projectId]
  return [
    layerOf(general, raw.locate),
    ...(own === undefined ? [] : [layerOf(own, (path) => raw.locate(['projects', projectId ?? '', ...path]))]),
  ]
}

/** How often a person wants trackers and forges asked; the defaults where the file has problems. */
export function pollIntervals(file: ConfigFile | null): PollIntervals {
  const { value, problems } = readUser(file)
  const said = problems.length === 0 ? value?.poll : undefined
  const ms = (name: keyof typeof POLL_SECONDS): number =>
    (durationSeconds(said?.[name] ?? POLL_SECONDS[name]) ?? POLL_SECONDS[name]) * 1_000
  return { healthyMs: ms('healthy'), unhealthyMs: ms('unhealthy'), ciMs: ms('ci') }
}

function readUser(file: ConfigFile | null): { value: UserConfigInput | undefined; problems: ConfigProblem[] } {
  const raw = file && parseFile(file)
  const problems = Array.isArray(raw) ? raw : raw ? shapeProblems(raw, userConfigSchema) : []
  const isGood = problems.length === 0 && raw !== null && !Array.isArray(raw)
  return { value: isGood ? (withoutNulls(raw.value) as UserConfigInput | undefined) : undefined, problems }
}

/** The file's value, or why it can't be read at all. */
export function parseFile(file: ConfigFile): RawLayer | ConfigProblem[] {
  const parsed = parsePlainYaml(file.text, {
    maxBytes: MAX_CONFIG_BYTES,
    maxAliases: MAX_CONFIG_ALIASES,
    scalars: 'typed',
  })
  if (!parsed.ok) return parsed.problems.map(({ line, text }) => ({ file: file.name, line, key: '(file)', text }))
  return {
    value: parsed.value,
    locate: (path) => {
      const line = parsed.lineOf(path)
      return { source: `${file.name}:${line}`, file: file.name, line }
    },
  }
}

/** Flags as configuration keys, nested or dotted (`limits.attempts`). Undefined ones are absent. */
export function flagLayer(flags: Record<string, unknown>): Layer {
  const value: Record<string, unknown> = {}
  for (const [key, given] of Object.entries(flags)) {
    if (given !== undefined) setAt(value, key.split('.'), given)
  }
  return readLayer({ value, locate: (path) => ({ source: `--${keyOf(path)}`, file: 'command line', line: null }) })
}

/** Checks a raw layer against the schema and takes its leaves. */
export function readLayer(raw: RawLayer): Layer {
  const problems = shapeProblems(raw, configSchema)
  if (problems.length > 0) return { leaves: new Map(), problems }
  return layerOf((withoutNulls(raw.value) ?? {}) as ConfigInput, raw.locate)
}

/** What of a raw layer has not the schema's shape. */
export function shapeProblems(raw: RawLayer, schema: typeof configSchema | typeof userConfigSchema): ConfigProblem[] {
  const value = withoutNulls(raw.value)
  if (value === undefined) return []
  return checkShape(schema, value).map(({ path, text }) => {
    const { file, line } = raw.locate(path)
    return { file, line, key: keyOf(path), text }
  })
}

/** The leaves of a value that has the schema's shape. */
function layerOf(value: ConfigInput, locate: RawLayer['locate']): Layer {
  const leaves = new Map<string, Leaf>()
  for (const [path, leaf] of leavesOf(value)) {
    const { source, file, line } = locate(path)
    leaves.set(path.join('.'), { value: leaf, source, at: { file, line } })
  }
  return { leaves, problems: [] }
}

/** Sets a value at a path of keys, making groups on the way. */
export function setAt(target: Record<string, unknown>, path: string[], value: unknown): void {
  const [key, ...rest] = path
  if (key === undefined || key === '__proto__') return
  if (rest.length === 0) {
    target[key] = value
    return
  }
  const inner = target[key]
  const group =
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Record<string, unknown>) : {}
  target[key] = group
  setAt(group, rest, value)
}

/** `key:` with nothing after it is an empty place, not a value that erases a default. */
export function withoutNulls(value: unknown): unknown {
  if (value === null || value === undefined) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      inner === null || inner === undefined ? [] : [[key, withoutNulls(inner)]],
    ),
  )
}

function leavesOf(value: unknown, path: Path = []): [Path, unknown][] {
  if (path.length === 1 && path[0] === 'verify')
    return [[path, verifyCommands(value as NonNullable<ConfigInput['verify']>)]]
  if (path[0] === 'env' && path[1] === 'set' && path.length === 3) return [[path, String(value)]]
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [[path, typeof value === 'string' ? value.trim() : value]]
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
}

function verifyCommands(verify: NonNullable<ConfigInput['verify']>): unknown {
  if (verify === 'none') return verify
  return verify.map((item) => {
    const command = typeof item === 'string' ? { run: item } : item
    return {
      run: command.run.trim(),
      timeoutSeconds:
        command.timeout === undefined
          ? VERIFY_TIMEOUT_SECONDS
          : (durationSeconds(command.timeout) ?? VERIFY_TIMEOUT_SECONDS),
      cwd: command.cwd?.trim() ?? '.',
      paths: command.paths ?? [],
    }
  })
}
