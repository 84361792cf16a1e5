// How a person is logged in to Gemini CLI, as far as files and variables tell, and what of it a run is lent.
// Invariant: a run gets the one login it works with; nothing here asks a server or opens a keychain.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type { AgentCommand, FoundAgent } from './agent.ts'
import { pickEnv } from './find-program.ts'
import { asObject, asText, type JsonObject, parseObject } from './json-fields.ts'

/** The CLI's variables that say who pays and where the model is. None that starts a program or moves its own folders. */
const LOGIN_NAMES = [
  'GEMINI_API_KEY',
  'GEMINI_API_KEY_AUTH_MECHANISM',
  'GEMINI_CLI_CUSTOM_HEADERS',
  'GEMINI_CLI_USE_COMPUTE_ADC',
  'GEMINI_FORCE_ENCRYPTED_FILE_STORAGE',
  'GEMINI_FORCE_FILE_STORAGE',
  'GEMINI_MODEL',
  'GOOGLE_API_KEY',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_CLOUD_ACCESS_TOKEN',
  'GOOGLE_CLOUD_LOCATION',
  'GOOGLE_CLOUD_PROJECT',
  'GOOGLE_CLOUD_PROJECT_ID',
  'GOOGLE_CLOUD_QUOTA_PROJECT',
  'GOOGLE_CLOUD_UNIVERSE_DOMAIN',
  'GOOGLE_GEMINI_BASE_URL',
  'GOOGLE_GENAI_API_VERSION',
  'GOOGLE_GENAI_USE_GCA',
  'GOOGLE_GENAI_USE_VERTEXAI',
  'GOOGLE_VERTEX_BASE_URL',
  'CLOUD_SHELL',
  'CODE_ASSIST_ENDPOINT',
]

/** Ways to log in, by the CLI's own names for them. */
type Way = 'oauth-personal' | 'vertex-ai' | 'gemini-api-key' | 'compute-default-credentials'

/** Where the CLI keeps what was typed into it, when the machine has no keychain that it can use. */
const STORED_KEY = 'gemini-credentials.json'

export interface Login {
  /** Null: there is none. */
  way: Way | null
  loggedIn: FoundAgent['loggedIn']
  /** What a person can do when there is none. */
  note: string
  /** The person's variables for it, those of the CLI's own `.env` included. */
  env: Record<string, string>
  credentials: AgentCommand['credentials']
  reads: string[]
}

/** The person's settings of the CLI; empty when there are none that can be read. Comments are allowed in them. */
export function userSettings(env: NodeJS.ProcessEnv): JsonObject {
  const text = readText(join(geminiFolder(env), 'settings.json')) ?? ''
  const bare = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string?: string) => string ?? ' ')
  return parseObject(bare) ?? {}
}

/** The login the CLI would take: the one selected in its settings when it is there, else the first that is. */
export function findLogin(env: NodeJS.ProcessEnv): Login {
  const known = { ...pickEnv(dotEnv(env), LOGIN_NAMES), ...pickEnv(env, LOGIN_NAMES) }
  const stored = (name: string): boolean => existsSync(join(geminiFolder(env), name))
  const selected = asText(asObject(asObject(userSettings(env)['security'])?.['auth'])?.['selectedType'])
  const there = waysThere(known, stored)
  const way = there.find((one) => one === selected) ?? inOrder(known).find((one) => there.includes(one)) ?? null
  const adc = way === 'vertex-ai' && !known['GOOGLE_API_KEY'] ? defaultCredentials(known, env) : null
  const unsure = way === 'compute-default-credentials' || (way === 'vertex-ai' && !known['GOOGLE_API_KEY'] && !adc)
  const loggedIn = unsure ? 'unknown' : 'yes'
  return {
    way,
    loggedIn: way === null ? 'no' : loggedIn,
    note: way === null ? loginNote(selected) : '',
    env: { ...known, ...(adc ? { GOOGLE_APPLICATION_CREDENTIALS: adc } : {}) },
    credentials: lentFiles(way, known).map((name) => ({ from: join(geminiFolder(env), name), to: `.gemini/${name}` })),
    reads: adc ? [adc] : [],
  }
}

/** The order in which the CLI looks when nothing is selected; files last, since a variable is the newer word. */
function inOrder(known: Record<string, string>): Way[] {
  return [
    ...(known['GOOGLE_GENAI_USE_GCA'] === 'true' ? (['oauth-personal'] as const) : []),
    ...(known['GOOGLE_GENAI_USE_VERTEXAI'] === 'true' ? (['vertex-ai'] as const) : []),
    ...(known['GEMINI_API_KEY'] ? (['gemini-api-key'] as const) : []),
    'compute-default-credentials',
    'oauth-personal',
    'gemini-api-key',
  ]
}

function waysThere(known: Record<string, string>, stored: (name: string) => boolean): Way[] {
  const encrypted = known['GEMINI_FORCE_ENCRYPTED_FILE_STORAGE'] === 'true'
  const token = Boolean(known['GOOGLE_GENAI_USE_GCA'] && known['GOOGLE_CLOUD_ACCESS_TOKEN'])
  const place = Boolean(known['GOOGLE_CLOUD_PROJECT'] && known['GOOGLE_CLOUD_LOCATION'])
  const there: Record<Way, boolean> = {
    'oauth-personal': token || stored(encrypted ? STORED_KEY : 'oauth_creds.json'),
    'vertex-ai': place || Boolean(known['GOOGLE_API_KEY']),
    'gemini-api-key': Boolean(known['GEMINI_API_KEY']) || stored(STORED_KEY),
    'compute-default-credentials': known['CLOUD_SHELL'] === 'true' || known['GEMINI_CLI_USE_COMPUTE_ADC'] === 'true',
  }
  return (Object.keys(there) as Way[]).filter((way) => there[way])
}

function lentFiles(way: Way | null, known: Record<string, string>): string[] {
  if (way === 'oauth-personal') return ['oauth_creds.json', 'google_accounts.json', STORED_KEY]
  return way === 'gemini-api-key' && !known['GEMINI_API_KEY'] ? [STORED_KEY] : []
}

/** Google's application default credentials: a file that is named, or the one `gcloud` leaves in HOME, which a run can't see. */
function defaultCredentials(known: Record<string, string>, env: NodeJS.ProcessEnv): string | null {
  const gcloud = env['CLOUDSDK_CONFIG'] || join(env['HOME'] || '/', '.config/gcloud')
  const path = known['GOOGLE_APPLICATION_CREDENTIALS'] ?? join(gcloud, 'application_default_credentials.json')
  return existsSync(path) ? path : null
}

function loginNote(selected: string | null): string {
  return selected === 'gemini-api-key'
    ? 'not logged in for runs: gemini keeps its API key in the keychain, where no run can reach it; set GEMINI_API_KEY'
    : 'not logged in: run `gemini` once and sign in, or set GEMINI_API_KEY'
}

/** The variables that the CLI would read from the person's own `.env`. */
function dotEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const text = readText(join(geminiFolder(env), '.env')) ?? readText(join(homeOf(env), '.env'))
  return text === null ? {} : parseEnv(text)
}

/** The person's own folder of the CLI. */
function geminiFolder(env: NodeJS.ProcessEnv): string {
  return join(homeOf(env), '.gemini')
}

function homeOf(env: NodeJS.ProcessEnv): string {
  return env['GEMINI_CLI_HOME'] || env['HOME'] || '/'
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
