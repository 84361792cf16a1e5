// What secrets look like. Each pattern runs in linear time on one line; what stands for a secret in an example is no hit.

export interface SecretKind {
  name: string
  /** Global. Group `secret` is what to hide; the whole match when there is none. */
  pattern: RegExp
  /** A pattern that also matches much that is no secret: it needs randomness, and generated files are left out. */
  guess?: boolean
}

export const SECRET_KINDS: readonly SecretKind[] = [
  { name: 'GitHub token', pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{60,251})\b/g },
  { name: 'GitLab token', pattern: /\bgl(?:pat|ptt|dt|rt|soat)-[A-Za-z0-9_-]{20,}/g },
  { name: 'Slack token', pattern: /\bxox[abeoprs]-[A-Za-z0-9-]{20,}|\bxapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{30,}/g },
  { name: 'Slack webhook', pattern: /https:\/\/hooks\.slack\.com\/(?:services|workflows)\/[A-Za-z0-9/_-]{30,}/g },
  { name: 'npm token', pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { name: 'npm token', pattern: /\/:_authToken=(?<secret>[A-Za-z0-9_-]{20,})/g },
  { name: 'PyPI token', pattern: /\bpypi-AgE[A-Za-z0-9_-]{50,}/g },
  { name: 'AWS access key', pattern: /\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b/g },
  {
    name: 'AWS secret key',
    pattern: /aws_?secret_?(?:access_?)?key["']?\s{0,5}[:=]\s{0,5}["']?(?<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])/gi,
  },
  { name: 'Google API key', pattern: /\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g },
  { name: 'Google OAuth secret', pattern: /\bGOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])/g },
  { name: 'Anthropic key', pattern: /\bsk-ant-[a-z0-9]{2,10}-[A-Za-z0-9_-]{32,}/g },
  {
    name: 'OpenAI key',
    pattern: /\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{32,}|\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b/g,
  },
  { name: 'Stripe key', pattern: /\b(?:sk|rk)_live_[A-Za-z0-9]{20,}|\bwhsec_[A-Za-z0-9+/=]{32,}/g },
  { name: 'Telegram bot token', pattern: /\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])/g },
  { name: 'Plane token', pattern: /\bplane_(?:api|oauth)_[a-f0-9]{32,}\b/g },
  { name: 'SendGrid key', pattern: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g },
  { name: 'Twilio key', pattern: /\bSK[0-9a-f]{32}\b/g, guess: true },
  // Gitea's and Forgejo's tokens are 40 hexadecimal digits, as any sha is: only the name beside them tells.
  {
    name: 'Gitea token',
    pattern: /(?:gitea|forgejo)[A-Za-z0-9_.-]{0,30}["']?\s{0,5}[:=]\s{0,5}(?:["']|token\s)?(?<secret>[0-9a-f]{40})\b/gi,
  },
  {
    name: 'password in a URL',
    pattern:
      /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@"'<>]{1,100}:(?<secret>[^\s:/@"'<>]{3,200})@(?<host>[^\s/:"'<>?]{1,200})/gi,
  },
  {
    name: 'authorization header',
    pattern:
      /\bauthorization["']?\s{0,5}[:=]\s{0,5}["']?(?:bearer|basic|token)\s{1,5}(?<secret>[A-Za-z0-9._~+/=-]{20,})/gi,
    guess: true,
  },
  {
    name: 'password or key',
    pattern:
      /(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?["']?\]?\s{0,5}(?::=|=>|=|:)\s{0,5}["'`](?<secret>[^\s"'`]{12,200})["'`]/gi,
    guess: true,
  },
  // The same without quotes, as in .env files and shell: only at a line's beginning and in capitals.
  {
    name: 'password or key',
    pattern:
      /^\s{0,20}(?:export\s{1,5})?[A-Z0-9_]{0,60}(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY)\s{0,5}=\s{0,5}(?<secret>[^\s"'`#]{12,200})\s{0,5}$/g,
    guess: true,
  },
]

export const PEM_HEADER = /-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----/

const PLACEHOLDER =
  /example|placeholder|change[-_]?me|change[-_]?this|your[-_]|dummy|fake|redacted|replace|insert|sample|not[-_]?(?:a[-_]?)?(?:real|secret)|x{4,}|\*{3,}|\.{3}|^<.*>$|\$\{|\$\(|\{\{|^\$[A-Za-z_]|^%[A-Za-z_]+%$|1234567|abcdef0?1?2?3?$/i
/** Passwords that people give a database on their own machine; they protect nothing. */
const COMMON = new Set([
  'password',
  'passwd',
  'pass',
  'secret',
  'postgres',
  'root',
  'admin',
  'user',
  'test',
  'guest',
  'mysql',
  'pw',
  'pwd',
  'token',
  'x-access-token',
  'app',
  'dev',
  'orch',
])
const OWN_HOST =
  /^(?:localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal|.+\.(?:local|test|example|invalid)|example\.(?:com|org|net))$/i

/** Bits of Shannon entropy per character. */
function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1)
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0)
}

/** False for what only stands in a secret's place. `host` is that of a URL. */
export function isSecret(kind: SecretKind, found: { secret: string; host: string | undefined }): boolean {
  const { secret, host } = found
  if (PLACEHOLDER.test(secret)) return false
  if (kind.name === 'password in a URL') {
    return !COMMON.has(secret.toLowerCase()) && !(host && OWN_HOST.test(host)) && !/^[$%{<:]/.test(secret)
  }
  // Below 2.5 bits a string of this length is made of four or five different characters: typed, not drawn.
  if (entropy(secret) < 2.5) return false
  return !kind.guess || looksRandom(secret)
}

/**
 * Random text of 12 characters has about 3.3 bits or more; words and paths have that too, but seldom digits and both
 * cases among letters. A dotted or slashed name, a call and a template are code.
 */
function looksRandom(secret: string): boolean {
  if (entropy(secret) < 3.2) return false
  if (/[(){}[\]<>]|^[./~]|:\/\/|^[A-Za-z_]+([.:/-][A-Za-z_]+)+$/.test(secret)) return false
  const classes = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(secret)).length
  return /\d/.test(secret) && classes >= 2
}
