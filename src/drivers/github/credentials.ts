// Who Orch is at GitHub: a token that was configured, an App, a token of the environment, or the one that gh keeps. The
// first that is there is used, and its source is told; a credential itself is in no message.

import { createPrivateKey, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ExternalError, messageOf } from '../../lib/errors.ts'
import type { ProcessRequest, ProcessResult } from '../../lib/process.ts'

export interface GithubAuth {
  token?: string
  app?: {
    /** Its number or its client id. */
    id: string
    /** Absolute path of the key as GitHub gave it (PEM). */
    privateKeyFile: string
    /** Where it is installed; found by the repository where absent. */
    installation?: string
  }
  env: Readonly<Record<string, string | undefined>>
  /** For `gh auth token`; without it gh is not asked. */
  runProcess?: (request: ProcessRequest) => Promise<ProcessResult>
}

export type Credential =
  | {
      kind: 'token'
      source: string
      /** `fresh`: the one given before was refused. */
      token(fresh: boolean): Promise<string>
      /** Whether asking afresh may give another. */
      renewable: boolean
    }
  | { kind: 'app'; source: string; appToken(): Promise<string>; installation: string | null }

/** A keyring that asks its person something must not hold the engine. */
const GH_TIMEOUT_MS = 10_000
/** What gh needs to find its configuration and the keyring. Not GITHUB_TOKEN: it would say that one back. */
const GH_ENV = ['PATH', 'HOME', 'GH_CONFIG_DIR', 'XDG_CONFIG_HOME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS']
/** GitHub takes a claim of at most 10 minutes, and none from its future: clocks differ. */
const CLAIM_S = 540
const CLOCK_DRIFT_S = 60

/** Chooses by what is there; calls nothing. `host` is the web host, such as github.com. */
export function chooseCredential(auth: GithubAuth, host: string, now: () => number): Credential {
  if (auth.token) return fixed('configuration', auth.token)
  if (auth.app) return appCredential(auth.app, now)
  for (const name of ['GITHUB_TOKEN', 'GH_TOKEN']) {
    const token = auth.env[name]
    if (token) return fixed(name, token)
  }
  return ghCredential(auth, host)
}

function fixed(source: string, token: string): Credential {
  return { kind: 'token', source, token: () => Promise.resolve(token.trim()), renewable: false }
}

function ghCredential({ env, runProcess }: GithubAuth, host: string): Credential {
  let known: Promise<string> | null = null
  const ask = async (): Promise<string> => {
    const result = await runProcess?.({
      argv: ['gh', 'auth', 'token', '--hostname', host],
      env: Object.fromEntries(GH_ENV.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
      timeoutMs: GH_TIMEOUT_MS,
    })
    const token = result?.outcome === 'exited' && result.exitCode === 0 ? result.stdout.trim() : ''
    if (token) return token
    throw new ExternalError({
      system: 'github',
      kind: 'auth',
      message: `there is no credential for ${host}: set GITHUB_TOKEN, configure a GitHub App, or run gh auth login`,
    })
  }
  const token = (fresh: boolean): Promise<string> => {
    if (fresh || !known) {
      known = ask()
      // A failure is not remembered: the person may log in meanwhile.
      known.catch(() => (known = null))
    }
    return known
  }
  return { kind: 'token', source: 'gh auth token', token, renewable: true }
}

function appCredential(app: NonNullable<GithubAuth['app']>, now: () => number): Credential {
  const appToken = async (): Promise<string> => {
    try {
      return signClaim(app.id, await readFile(app.privateKeyFile, 'utf8'), now())
    } catch (error) {
      // node:crypto quotes nothing of a key that it can't read.
      const message = `could not use the private key of GitHub App ${app.id}, ${app.privateKeyFile}: ${messageOf(error)}`
      throw new ExternalError({ system: 'github', kind: 'auth', message })
    }
  }
  return { kind: 'app', source: `GitHub App ${app.id}`, appToken, installation: app.installation ?? null }
}

/** A JSON Web Token, RS256 (RFC 7519): says for some minutes that we hold the App's key. */
function signClaim(appId: string, pem: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1_000)
  const claim = { iat: seconds - CLOCK_DRIFT_S, exp: seconds + CLAIM_S - CLOCK_DRIFT_S, iss: appId }
  const text = [{ alg: 'RS256', typ: 'JWT' }, claim].map((part) => base64url(JSON.stringify(part))).join('.')
  return `${text}.${base64url(sign('RSA-SHA256', Buffer.from(text), createPrivateKey(pem)))}`
}

function base64url(value: string | Buffer): string {
  return Buffer.from(value).toString('base64url')
}
