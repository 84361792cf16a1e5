// What the verbs of webhooks print, as schemas.

import { z } from 'zod'
import type { AuditView, DeliveryView, WebhooksView } from '../../../flow/app.ts'
import { describes } from './describes.ts'

const time = z.string().meta({ description: 'ISO 8601', format: 'date-time' })
const counts = { applied: z.int(), ignored: z.int(), rejected: z.int(), failed: z.int() }

export const webhooks = describes<WebhooksView>()(
  z.object({
    listening: z
      .object({ url: z.string(), signed: z.array(z.string()), unsigned: z.boolean() })
      .nullable()
      .meta({ description: 'Null when nobody listens' }),
    sources: z.array(
      z.object({
        name: z.string(),
        signed: z.boolean().meta({ description: 'The running service knows its secret' }),
        lastDeliveryAt: time.nullable(),
        last24h: z.object({ received: z.int(), ...counts, retried: z.int() }),
      }),
    ),
  }),
)

export const delivery = describes<DeliveryView>()(
  z.object({
    id: z.int(),
    source: z.string(),
    deliveryId: z.string().meta({ description: "The sender's own id of it" }),
    event: z.string(),
    state: z.enum(['received', 'applied', 'ignored', 'rejected', 'failed']),
    receivedAt: time,
    settledAt: time.nullable(),
    nextAt: time.nullable().meta({ description: 'When it is worked on, while it is received' }),
    failures: z.int(),
    replays: z.int(),
    note: z.string().nullable().meta({ description: 'What came of it, or what went wrong last' }),
  }),
)

export const audit = describes<AuditView & { over: string[] }>()(
  z.object({
    since: time,
    lines: z.int(),
    requests: z.int(),
    byStatus: z.record(z.string(), z.int()),
    rate5xx: z.number().meta({ description: 'In percent' }),
    settled: z.object(counts),
    retries: z.int(),
    reasons: z.array(z.object({ reason: z.string(), n: z.int() })),
    over: z.array(z.string()).meta({ description: 'Thresholds that were passed; the exit code is 1 then' }),
  }),
)
