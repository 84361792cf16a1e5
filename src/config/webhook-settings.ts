// Settings of the listener for webhooks: environment over the person's file over the default. They are one person's, and no
// project's: a repository must not say what is listened to.

import type { ConfigFile, ConfigProblem, ConfigSource, WebhookSettings } from './config.ts'
import { typed, variableOf } from './environment.ts'
import { parseFile, shapeProblems, withoutNulls } from './layers.ts'
import { hint } from './nearest.ts'
import { type LeafKind, type UserConfigInput, WEBHOOK_BYTES, userConfigSchema } from './schema.ts'

const KINDS: Record<keyof WebhookSettings, LeafKind> = {
  port: 'number',
  host: 'text',
  maxBytes: 'number',
  unsigned: 'truth',
}
const NAMES = Object.keys(KINDS) as (keyof WebhookSettings)[]
const DEFAULTS: WebhookSettings = { port: null, host: '127.0.0.1', maxBytes: WEBHOOK_BYTES.usual, unsigned: false }
const PREFIX = 'ORCH_WEBHOOKS_'

export type WebhookResolution =
  | { settings: WebhookSettings; sources: ConfigSource[]; problems: [] }
  | { settings: null; sources: []; problems: ConfigProblem[] }

/** What holds, and where each value comes from; or all that is wrong. */
export function webhookSettings(layers: {
  user: ConfigFile | null
  env: Record<string, string | undefined>
}): WebhookResolution {
  const file = ofFile(layers.user)
  const environment = ofEnvironment(layers.env)
  const problems = [...file.problems, ...environment.problems]
  if (problems.length > 0) return { settings: null, sources: [], problems }
  const sources = NAMES.map((name): ConfigSource => {
    const key = `webhooks.${name}`
    const value = environment.values[name] ?? file.values[name]
    if (value === undefined) return { key, value: DEFAULTS[name], source: 'default' }
    return { key, value, source: environment.values[name] === undefined ? file.locate(name) : variableOf(key) }
  })
  return { settings: { ...DEFAULTS, ...file.values, ...environment.values }, sources, problems: [] }
}

type Values = Partial<WebhookSettings>

function ofFile(user: ConfigFile | null): {
  values: Values
  problems: ConfigProblem[]
  locate: (name: string) => string
} {
  const raw = user && parseFile(user)
  if (!raw) return { values: {}, problems: [], locate: () => 'default' }
  if (Array.isArray(raw)) return { values: {}, problems: raw, locate: () => 'default' }
  const problems = shapeProblems(raw, userConfigSchema)
  const value = problems.length === 0 ? (withoutNulls(raw.value) as UserConfigInput | undefined) : undefined
  return {
    values: (value?.webhooks ?? {}) as Values,
    problems,
    locate: (name) => raw.locate(['webhooks', name]).source,
  }
}

function ofEnvironment(env: Record<string, string | undefined>): { values: Values; problems: ConfigProblem[] } {
  const byVariable = new Map(NAMES.map((name) => [variableOf(`webhooks.${name}`), name]))
  const given: Record<string, unknown> = {}
  const problems: ConfigProblem[] = []
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || !text?.trim()) continue
    const name = byVariable.get(variable)
    if (name) given[name] = typed(text, KINDS[name])
    else {
      const unknown = `unknown variable${hint(variable, [...byVariable.keys()])}`
      problems.push({ file: 'environment', line: null, key: variable, text: unknown })
    }
  }
  const locate = (path: readonly (string | number)[]) => {
    const variable = variableOf(`webhooks.${String(path[1])}`)
    return { source: variable, file: `environment (${variable})`, line: null }
  }
  problems.push(...shapeProblems({ value: { webhooks: given }, locate }, userConfigSchema))
  return { values: problems.length > 0 ? {} : (given as Values), problems }
}
