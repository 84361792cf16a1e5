// Ties a schema to the type of what is printed: a field that only one of them knows does not compile.

import type { z } from 'zod'

/** The same with nothing optional, so that a field which is missing on one side shows. */
type Whole<T> = T extends readonly (infer Item)[]
  ? Whole<Item>[]
  : T extends object
    ? { [Key in keyof T]-?: Whole<T[Key]> }
    : T

type Both<A, B> = [A, B, Whole<A>, Whole<B>] extends [B, A, Whole<B>, Whole<A>] ? unknown : never

/** `describes<View>()(schema)` is the schema; its type must be the view's. */
export function describes<View>() {
  return <Schema extends z.ZodType>(schema: Schema & Both<View, z.output<Schema>>): Schema => schema
}

/** A row as scripts get it: the times named are ISO 8601. */
export type WithTimes<Row, Times extends keyof Row> = Omit<Row, Times> & {
  [Key in Times]: null extends Row[Key] ? string | null : string
}
