// What vendors send is read with schemas: nothing passes unparsed, and what is wrong is told by its name.

import { z } from 'zod'
import { ExternalError } from '../lib/errors.ts'

export type Schema<T> = z.ZodType<T>

export type Read = <T>(schema: Schema<T>, json: unknown, doing: string) => T

/** Makes the one reader of a vendor's answers. It throws `rejected` with the names of what is wrong. */
export function makeRead({ system, vendor }: { system: string; vendor: string }): Read {
  return (schema, json, doing) => {
    const parsed = schema.safeParse(json)
    if (parsed.success) return parsed.data
    const message = `could not ${doing}: the answer is not what ${vendor}'s is: ${problems(parsed.error)}`
    throw new ExternalError({ system, kind: 'rejected', message })
  }
}

/** Path and reason of the first few; values are left out: they may be anything. An error of another kind as it is. */
export function problems(error: unknown): string {
  if (!(error instanceof z.ZodError)) return String(error)
  return error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`)
    .join('; ')
}

/** Missing and null are no text. */
export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')

/** ms since 1970. */
export const time = z.iso.datetime({ offset: true }).transform((value) => Date.parse(value))

/** SHA-1, or SHA-256 where the repository has that. */
export const sha = z.string().regex(/^[0-9a-f]{40,64}$/)
