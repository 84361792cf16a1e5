// The words of which the configuration's schemas are made: each says what is wrong in a sentence of its own.

import { z } from 'zod'

export function whole(min: number, max: number, what: string): z.ZodNumber {
  const error = `must be a whole number from ${min} to ${max}`
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error }).describe(what)
}

export function text(what: string): z.ZodString {
  const error = 'must be text, not empty'
  return z
    .string({ error })
    .trim()
    .min(1, { error })
    .regex(/^[^\0]*$/, { error: 'must not hold a NUL character' })
    .describe(what)
}

export function truth(what: string): z.ZodBoolean {
  return z.boolean({ error: 'must be true or false' }).describe(what)
}

export function list<T extends z.ZodType>(item: T, what: string): z.ZodArray<T> {
  return z.array(item, { error: 'must be a list' }).max(1000, { error: 'must have at most 1000 items' }).describe(what)
}

export function group<T extends z.ZodRawShape>(shape: T, what: string): z.ZodObject<T, z.core.$strict> {
  return z
    .strictObject(shape, { error: (issue) => (issue.code === 'invalid_type' ? 'must be a group of keys' : undefined) })
    .describe(what)
}
