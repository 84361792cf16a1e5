// Takes secrets out of what leaves the machine: what looks like one, and the values known to be one.
// Invariant: applied twice it changes nothing more; a line of JSON stays a line of JSON.

import { isSecret, PEM_HEADER, SECRET_KINDS } from './secret-patterns.ts'

export interface Redactor {
  text(text: string): string
  /** The same value with every text in it redacted; keys too. */
  value<T>(value: T): T
  /** How many were taken out so far. */
  hidden(): number
}

/** Shorter values are words that stand in every text. */
const SHORTEST = 8
const SECRET_NAME = /TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL/i

/** Values of an environment whose names say that they are secret. */
export function secretsIn(env: Record<string, string | undefined>): string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    value && value.length >= SHORTEST && SECRET_NAME.test(name) && !value.startsWith('/') ? [value] : [],
  )
}

/** `known` are taken out wherever they stand. */
export function makeRedactor(known: readonly string[]): Redactor {
  let hidden = 0
  const hide = (what: string): string => {
    hidden += 1
    return `[hidden: ${what}]`
  }
  // The longest first: one may hold another.
  const values = known.filter((value) => value.length >= SHORTEST).toSorted((a, b) => b.length - a.length)

  function line(text: string): string {
    let clean = text
    for (const value of values) if (clean.includes(value)) clean = clean.replaceAll(value, () => hide('known secret'))
    for (const kind of SECRET_KINDS) {
      clean = clean.replace(kind.pattern, (match: string, ...found: unknown[]) => {
        const last = found.at(-1)
        const groups = typeof last === 'object' ? (last as Record<string, string | undefined>) : {}
        const secret = groups['secret'] ?? match
        if (!isSecret(kind, { secret, host: groups['host'] })) return match
        return match.replaceAll(secret, () => hide(kind.name))
      })
    }
    return clean
  }

  /** A key's body is on the lines behind its header, to its footer; one that was cut off has none. */
  function withoutKeys(text: string): string {
    if (!PEM_HEADER.test(text)) return text
    return text
      .split(/(?=-----BEGIN )/)
      .map((part) => {
        if (part.search(PEM_HEADER) !== 0) return part
        const footer = /-----END [A-Z0-9 ]{0,40}-----/.exec(part)
        const rest = footer
          ? part.slice(footer.index + footer[0].length)
          : part.replace(/^[^\n]*(?:\n[A-Za-z0-9+/=\s]*)?/, '')
        const body = footer ? part.slice(0, footer.index) : part
        return /[A-Za-z0-9+/]{40}/.test(body) ? hide('private key') + rest : part
      })
      .join('')
  }

  function jsonLine(text: string): string {
    if (!/^\s*[{[]/.test(text)) return line(text)
    try {
      const before = hidden
      const clean = JSON.stringify(value(JSON.parse(text)))
      // Left as it was written where nothing is to be hidden.
      return hidden === before ? text : clean
    } catch {
      return line(text)
    }
  }

  const text = (whole: string): string => withoutKeys(whole).split('\n').map(jsonLine).join('\n')

  function value<T>(given: T): T {
    const inside = (part: unknown): unknown => {
      if (typeof part === 'string') return text(part)
      if (Array.isArray(part)) return part.map(inside)
      if (typeof part !== 'object' || part === null) return part
      return Object.fromEntries(
        Object.entries(part).map(([key, one]) => [line(key), typeof one === 'string' ? named(key, one) : inside(one)]),
      )
    }
    return inside(given) as T
  }

  /** In JSON a secret's name stands in the key, and the patterns need both. */
  function named(key: string, one: string): string {
    const clean = text(one)
    if (clean !== one || one.length > 200 || !SECRET_NAME.test(key)) return clean
    return line(`${key}: "${one}"`) === `${key}: "${one}"` ? one : hide('password or key')
  }

  return { text, value, hidden: () => hidden }
}
