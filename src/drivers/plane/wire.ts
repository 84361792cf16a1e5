// What Plane sends, as far as it is used. Nothing passes unparsed: fields that are not named here are dropped, one that is
// missing is an error with its name. Fixed by https://developers.plane.so/api-reference and Plane's own serializers.

import { z } from 'zod'
import { makeRead, text, time } from '../answers.ts'
import type { Issue } from '../driver.ts'

export const read = makeRead({ system: 'plane', vendor: 'Plane' })

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Ids come from stored origins and from deliveries; what is none reaches no address. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

export const uuid = z
  .string()
  .regex(UUID)
  .transform((value) => value.toLowerCase())
/** An id, or the whole thing where it was asked or sent expanded. */
const idOf = z.union([uuid, z.object({ id: uuid }).transform(({ id }) => id)])

export const page = z.object({
  results: z.array(z.unknown()),
  next_cursor: z
    .string()
    .regex(/^-?\d+(\.\d+)?:\d+:[01]$/)
    .nullish(),
  next_page_results: z.boolean(),
  total_count: z.number().int().nullish(),
})

const PRIORITIES = ['urgent', 'high', 'medium', 'low'] as const

export const workItem = z.object({
  id: uuid,
  name: z.string(),
  sequence_id: z.number().int().positive(),
  description_html: text,
  priority: z
    .string()
    .nullish()
    .transform((value): Issue['priority'] => PRIORITIES.find((one) => one === value) ?? null),
  state: idOf.nullish(),
  labels: z.array(idOf),
  assignees: z.array(idOf),
  project: idOf,
  created_by: idOf.nullish(),
  created_at: time,
  updated_at: time,
})
export type WorkItem = z.infer<typeof workItem>

export const state = z.object({
  id: uuid,
  name: z.string(),
  group: z.string(),
  sequence: z.number().nullish(),
  default: z.boolean().nullish(),
  project: idOf.nullish(),
})
export type WireState = z.infer<typeof state>

export const label = z.object({ id: uuid, name: z.string(), project: idOf.nullish() })
export type WireLabel = z.infer<typeof label>

export const member = z.object({
  id: uuid,
  display_name: text,
  role: z.number().nullish(),
  role_slug: z.string().nullish(),
})
export type WireMember = z.infer<typeof member>

export const me = z.object({ id: uuid, display_name: text })

export const comment = z.object({
  id: uuid,
  comment_html: text,
  actor: idOf.nullish(),
  created_at: time,
  updated_at: time,
  external_source: text,
  external_id: text,
})
export type WireComment = z.infer<typeof comment>

/** Of a pair of external ids that is there already. */
export const duplicate = z.object({ id: uuid })

/** Its SDK's types say that these are ids; the server sends objects. */
export const relations = z.object({
  blocked_by: z.array(
    z.union([
      uuid.transform((id) => ({ issue_id: id, project_id: null })),
      z.object({ issue_id: uuid, project_id: uuid.nullish() }),
    ]),
  ),
})

export const project = z.object({ id: uuid, name: z.string() })

/** Its state decides by its group, whatever it is called and whoever renamed it (C-99). */
export function stateOf(group: string | undefined): Issue['state'] {
  return group === 'completed' || group === 'cancelled' ? group : 'open'
}
