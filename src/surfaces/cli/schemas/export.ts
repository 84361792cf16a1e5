// What `orch export` writes and `orch import` reads, as a schema: also the judge of files from elsewhere.

import { z } from 'zod'
import { EXPORT_FORMAT } from '../../../flow/app.ts'
import { change, review } from './other.ts'
import { diffFile, event, inspection, runItem } from './task.ts'

const count = z.int().nonnegative()
const keptText = z.object({
  text: z.string(),
  bytes: count.meta({ description: 'Of the whole' }),
  cut: z.boolean().meta({ description: 'Only its end is here' }),
})

export const taskExport = z.object({
  format: z.literal(EXPORT_FORMAT),
  exportedAt: z.string(),
  project: z.object({ id: z.string(), name: z.string(), remote: z.string() }),
  inspection,
  events: z.array(event),
  change: change.nullable(),
  reviews: z.array(review),
  runs: z.array(
    z.object({
      id: z.string(),
      agent: z.string(),
      prompt: keptText.nullable(),
      output: keptText.nullable(),
      stderr: keptText.nullable(),
      events: z.array(runItem),
      eventsCut: z.boolean(),
    }),
  ),
  diffs: z.array(
    z.object({ run: z.string(), base: z.string(), head: z.string(), files: z.array(diffFile), diff: keptText }),
  ),
  artifacts: z.array(
    z.object({
      name: z.string(),
      run: z.string().nullable(),
      bytes: count,
      encoding: z.enum(['utf8', 'base64']),
      content: z.string(),
      cut: z.boolean(),
    }),
  ),
  costs: z.object({
    usd: z.number(),
    runs: z.array(
      z.object({ run: z.string(), role: z.string(), agent: z.string(), usd: z.number(), tokens: z.number() }),
    ),
  }),
  missing: z.array(z.string()).meta({ description: 'What could not be put in' }),
  hidden: count.meta({ description: 'Secrets that were taken out' }),
})
