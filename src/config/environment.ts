// The environment's layer: ORCH_<KEY> with the key's words in capitals, such as ORCH_LIMITS_RUN_MINUTES.
// Invariant: an empty variable never erases a default; only ORCH_* names are looked at.

import { parsePlainYaml } from '../lib/plain-yaml.ts'
import { type Layer, readLayer, setAt } from './layers.ts'
import { hint } from './nearest.ts'
import { type Path, keyOf } from './problems.ts'
import { AGENT_FIELDS, LEAVES, type LeafKind } from './schema.ts'

/** ORCH_LIMITS_RUN_MINUTES of `limits.runMinutes`. */
export function variableOf(key: string): string {
  return `ORCH_${key
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll(/[.-]/g, '_')
    .toUpperCase()}`
}

const BY_VARIABLE = new Map(Object.entries(LEAVES).map(([key, { kind }]) => [variableOf(key), { key, kind }]))
const AGENT_VARIABLE = new RegExp(
  `^ORCH_AGENTS_([A-Z0-9_]+)_(${Object.keys(AGENT_FIELDS)
    .map((field) => field.toUpperCase())
    .join('|')})$`,
)
const SET_PREFIX = 'ORCH_ENV_SET_'
/** Names that begin like a group of keys can only be meant for us; others (ORCH_HOME …) belong to other parts. */
const GROUPS = [
  'ORCH_LIMITS_',
  'ORCH_AGENTS_',
  'ORCH_DIFF_BUDGET_',
  'ORCH_SANDBOX_',
  'ORCH_LAND_',
  'ORCH_COMMITS_',
  'ORCH_ENV_',
  'ORCH_APPROVAL_BY_',
  'ORCH_CHANGE_',
  'ORCH_INTAKE_',
  'ORCH_TRACKER_',
]

/** Reads the layer. Lists are one item, or several as `[a, b]`. */
export function environmentLayer(env: Record<string, string | undefined>): Layer {
  const value: Record<string, unknown> = {}
  const variables = new Map<string, string>()
  const problems: Layer['problems'] = []
  for (const [name, given] of Object.entries(env)) {
    if (!name.startsWith('ORCH_') || !given?.trim()) continue
    const target = targetOf(name)
    if (target) {
      setAt(value, target.path, typed(given, target.kind))
      variables.set(target.path.join('.'), name)
    } else if (GROUPS.some((group) => name.startsWith(group))) {
      problems.push({
        file: 'environment',
        line: null,
        key: name,
        text: `unknown variable${hint(name, [...BY_VARIABLE.keys()])}`,
      })
    }
  }
  const variableAt = (path: Path): string => {
    const key = keyOf(path)
    return (
      [...variables].find(
        ([known]) => key === known || key.startsWith(`${known}[`) || key.startsWith(`${known}.`),
      )?.[1] ?? variableOf(key)
    )
  }
  const layer = readLayer({
    value,
    locate: (path) => ({ source: variableAt(path), file: `environment (${variableAt(path)})`, line: null }),
  })
  return { leaves: layer.leaves, problems: [...problems, ...layer.problems] }
}

function targetOf(name: string): { path: string[]; kind: LeafKind } | null {
  const fixed = BY_VARIABLE.get(name)
  if (fixed) return { path: fixed.key.split('.'), kind: fixed.kind }
  const agent = AGENT_VARIABLE.exec(name)
  if (agent?.[1] && agent[2]) {
    const field = agent[2].toLowerCase() as keyof typeof AGENT_FIELDS
    return { path: ['agents', agent[1].toLowerCase().replaceAll('_', '-'), field], kind: AGENT_FIELDS[field] }
  }
  if (name.startsWith(SET_PREFIX) && name.length > SET_PREFIX.length)
    return { path: ['env', 'set', name.slice(SET_PREFIX.length)], kind: 'text' }
  return null
}

/** The variable's text as its key wants it; what doesn't fit stays text, and the schema says what is wrong. */
export function typed(text: string, kind: LeafKind): unknown {
  const trimmed = text.trim()
  switch (kind) {
    case 'text':
      return trimmed
    case 'number':
      return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed
    case 'truth':
      return (
        ({ true: true, '1': true, yes: true, on: true, false: false, '0': false, no: false, off: false } as const)[
          trimmed.toLowerCase()
        ] ?? trimmed
      )
    case 'list': {
      if (trimmed === 'none') return trimmed
      if (!trimmed.startsWith('[')) return [trimmed]
      const parsed = parsePlainYaml(trimmed, { maxBytes: 64 << 10, maxAliases: 0, scalars: 'typed' })
      return parsed.ok ? parsed.value : trimmed
    }
    default:
      return kind satisfies never
  }
}
