// What of the person's own OpenCode configuration a run gets: providers, models, keys. And which providers' keys it may see.
// Invariant: nothing that starts a program of the person's (MCP servers, plugins, commands, agents) is taken over.

import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { asObject, asObjects, asText, type JsonObject, parseObject } from './json-fields.ts'

/** Keys of `opencode.json` that say who answers, and nothing else. */
const TAKEN = ['model', 'small_model', 'provider', 'disabled_providers', 'enabled_providers']

/** The CLI's own folders, by the environment of the person. */
export function foldersOf(env: NodeJS.ProcessEnv): { config: string; data: string; state: string; cache: string } {
  const home = env['HOME'] ?? '/'
  const at = (name: string, usual: string): string => join(env[name] || join(home, usual), 'opencode')
  return {
    config: at('XDG_CONFIG_HOME', '.config'),
    data: at('XDG_DATA_HOME', '.local/share'),
    state: at('XDG_STATE_HOME', '.local/state'),
    cache: at('XDG_CACHE_HOME', '.cache'),
  }
}

/** The person's settings about models, of all their files and variables, the later one winning. A broken file counts as none, as for the CLI. */
export function readSettings(env: NodeJS.ProcessEnv): JsonObject {
  const { config } = foldersOf(env)
  const own = env['OPENCODE_CONFIG_DIR']
  const files = [
    ...['config.json', 'opencode.json', 'opencode.jsonc'].map((name) => join(config, name)),
    ...(env['OPENCODE_CONFIG'] ? [env['OPENCODE_CONFIG']] : []),
    ...(own ? [join(own, 'opencode.json'), join(own, 'opencode.jsonc')] : []),
  ]
  const layers = files.map((file) => settingsIn(readText(file), { folder: dirname(file), env }))
  layers.push(settingsIn(env['OPENCODE_CONFIG_CONTENT'] ?? '', { folder: '/', env }))
  return layers.reduce(merge, {})
}

/** The models last used in the CLI's own screen: without a configured one the CLI takes the first that it has. */
export function readRecentModels(env: NodeJS.ProcessEnv): JsonObject[] {
  const state = parseObject(readText(join(foldersOf(env).state, 'model.json')))
  return asObjects(state?.['recent']).flatMap(({ providerID, modelID }) =>
    asText(providerID) && asText(modelID) ? [{ providerID, modelID }] : [],
  )
}

/** Variables that a provider's key or address is read from where its name doesn't say it (as the CLI's list of models has it). */
const KEYS: Record<string, string[]> = {
  alibaba: ['DASHSCOPE_API_KEY'],
  'amazon-bedrock': ['AWS_*'],
  azure: ['AZURE_RESOURCE_NAME', 'AZURE_API_KEY'],
  'azure-cognitive-services': ['AZURE_COGNITIVE_SERVICES_RESOURCE_NAME', 'AZURE_COGNITIVE_SERVICES_API_KEY'],
  'cloudflare-ai-gateway': ['CLOUDFLARE_API_TOKEN', 'CLOUDFLARE_ACCOUNT_ID', 'CLOUDFLARE_GATEWAY_ID'],
  'cloudflare-workers-ai': ['CLOUDFLARE_ACCOUNT_ID', 'CLOUDFLARE_API_KEY'],
  databricks: ['DATABRICKS_HOST', 'DATABRICKS_TOKEN'],
  'fireworks-ai': ['FIREWORKS_API_KEY'],
  // Their keys are a forge's: an agent gets none. The CLI's own login serves them.
  'github-copilot': [],
  gitlab: [],
  google: ['GOOGLE_GENERATIVE_AI_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_API_KEY'],
  'google-vertex': ['GOOGLE_*'],
  'google-vertex-anthropic': ['GOOGLE_*'],
  huggingface: ['HF_TOKEN'],
  moonshotai: ['MOONSHOT_API_KEY'],
  'ollama-cloud': ['OLLAMA_API_KEY'],
  'opencode-go': ['OPENCODE_API_KEY'],
  'sap-ai-core': ['AICORE_*'],
  togetherai: ['TOGETHER_API_KEY'],
  vercel: ['AI_GATEWAY_API_KEY'],
  zai: ['ZHIPU_API_KEY'],
  'zai-coding-plan': ['ZHIPU_API_KEY'],
  zhipuai: ['ZHIPU_API_KEY'],
}
/** Providers whose key a run may see while nobody has said which model it uses. A cloud's account is none of them. */
const USUAL = [
  'opencode',
  'anthropic',
  'openai',
  'google',
  'openrouter',
  'groq',
  'mistral',
  'xai',
  'deepseek',
  'cerebras',
  'togetherai',
  'fireworks-ai',
  'moonshotai',
  'zai',
  'vercel',
]

/** Names in the environment that hold the keys and addresses of the providers a run may need. `model` is `provider/model`. */
export function keyNames(settings: JsonObject, asked: { model: string | null; env: NodeJS.ProcessEnv }): string[] {
  const { model, env } = asked
  const configured = Object.keys(asObject(settings['provider']) ?? {})
  const named = [model, settings['model'], settings['small_model']].flatMap((one) => asText(one)?.split('/')[0] ?? [])
  const providers = new Set([...named, ...(model ? [] : [...USUAL, ...configured])])
  const patterns = [...providers].flatMap((id) => {
    const prefix = id.toUpperCase().replaceAll(/\W/g, '_')
    return [...(KEYS[id] ?? [`${prefix}_API_KEY`]), `${prefix}_BASE_URL`]
  })
  const found = patterns.flatMap((pattern) =>
    pattern.endsWith('*') ? Object.keys(env).filter((name) => name.startsWith(pattern.slice(0, -1))) : [pattern],
  )
  return [...new Set([...found, ...namesIn(settings)])]
}

/** True when a provider of the settings holds a key, whichever way it is given. */
export function hasKey(settings: JsonObject, env: NodeJS.ProcessEnv): boolean {
  return Object.values(asObject(settings['provider']) ?? {}).some((provider) => {
    const key = asText(asObject(asObject(provider)?.['options'])?.['apiKey'])
    return key !== null && key.replaceAll(/\{env:([^}]+)\}/g, (_, name: string) => env[name.trim()] ?? '') !== ''
  })
}

/** Variables that the settings name themselves: `{env:NAME}`, and a provider's list of its key's names. */
function namesIn(settings: JsonObject): string[] {
  const written = [...JSON.stringify(settings).matchAll(/\{env:([^}"]+)\}/g)].map((match) => (match[1] ?? '').trim())
  const listed = Object.values(asObject(settings['provider']) ?? {}).flatMap((provider) => {
    const names = asObject(provider)?.['env']
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  })
  return [...written, ...listed]
}

function settingsIn(text: string, at: { folder: string; env: NodeJS.ProcessEnv }): JsonObject {
  const all = parseObject(withoutComments(text)) ?? {}
  const taken = Object.fromEntries(TAKEN.flatMap((key) => (all[key] === undefined ? [] : [[key, all[key]]])))
  return asObject(withFiles(taken, at)) ?? {}
}

/** JSON with comments and trailing commas, as plain JSON. */
function withoutComments(text: string): string {
  return text
    .replaceAll(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '$1')
    .replaceAll(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, '$1')
}

/** `{file:PATH}` replaced by what is in the file: a run sees neither the person's folders nor this one. */
function withFiles(value: unknown, at: { folder: string; env: NodeJS.ProcessEnv }): unknown {
  if (typeof value === 'string')
    return value.replaceAll(/\{file:([^}]+)\}/g, (_, path: string) => {
      const home = at.env['HOME'] ?? homedir()
      return readText(path.startsWith('~/') ? join(home, path.slice(2)) : resolve(at.folder, path)).trim()
    })
  if (Array.isArray(value)) return value.map((item) => withFiles(item, at))
  const object = asObject(value)
  return object ? Object.fromEntries(Object.entries(object).map(([key, item]) => [key, withFiles(item, at)])) : value
}

function merge(under: JsonObject, over: JsonObject): JsonObject {
  const result = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const [below, above] = [asObject(result[key]), asObject(value)]
    result[key] = below && above ? merge(below, above) : value
  }
  return result
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
