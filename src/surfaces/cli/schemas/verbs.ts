// The schema of what each verb prints with --json: one value, or one a line for verbs that go on.
// Invariant: every verb has one (a test holds it); `schemas/cli/` and `orch schema` are made from this alone.

import { z } from 'zod'
import {
  agent,
  agentTest,
  approvalRequest,
  backup,
  change,
  changeWithReviews,
  checks,
  conformance,
  demo,
  failure,
  initResult,
  onboarding,
  pipeline,
  problems,
  project,
  restore,
  source,
  syncResult,
} from './other.ts'
import { taskExport } from './export.ts'
import { board, diff, diffStat, event, inspection, line, node, run, runItem, task, why } from './task.ts'
import { audit, delivery, webhooks } from './webhook.ts'

const anySchema = z.record(z.string(), z.unknown()).meta({ description: 'A JSON Schema' })

/** By the words of the verb. */
export const OUTPUTS: Readonly<Record<string, z.ZodType>> = {
  demo,
  init: initResult,
  onboard: onboarding,
  sync: syncResult,
  doctor: checks,
  up: event.meta({ description: 'A line for each event as it is committed' }),
  status: board.meta({ description: 'With --watch a line for each change' }),
  why,
  stream: runItem.meta({ description: 'A line for each event of a run, or for each raw line' }),
  version: z.object({ version: z.string(), node: z.string() }),
  approve: task,
  reject: task,
  answer: task,
  backup,
  restore,
  export: z.union([
    taskExport,
    z.object({ task: z.string(), file: z.string(), bytes: z.int(), hidden: z.int(), missing: z.array(z.string()) }),
  ]).meta({ description: 'The export itself; with --output what was written' }),
  import: taskExport,
  completion: z.object({ shell: z.string(), script: z.string() }),
  schema: z.union([anySchema, z.array(z.string())]).meta({ description: 'Without arguments the commands' }),
  'task add': task,
  'task list': z.array(line),
  'task show': task,
  'task tree': z.array(node),
  'task runs': z.array(run),
  'task logs': runItem.meta({ description: 'A line for each event of a run, or for each raw line' }),
  'task diff': z.union([diff, diffStat]),
  'task events': z.array(event),
  'task inspect': inspection,
  'task open': z.object({ task: z.string(), kind: z.enum(['page', 'folder']), target: z.string() }),
  'task edit': task,
  'task retry': task,
  'task cancel': task,
  'task reopen': task,
  'task reroute': task,
  'task pause': task,
  'task resume': task,
  'task unblock': z.union([task, z.array(task), z.array(z.string())]).meta({
    description: 'With an ID the task, with all those that were unblocked, without either the ids of the blocked ones',
  }),
  'change request': approvalRequest,
  'change list': z.array(change),
  'change show': changeWithReviews,
  'change diff': diff,
  'project add': initResult,
  'project list': z.array(project),
  'project remove': z.object({
    id: z.string(),
    removed: z.boolean(),
    clone: z.enum(['untouched', 'removed', 'kept']).meta({ description: 'What became of its clone' }),
  }),
  'pipeline list': z.array(pipeline),
  'pipeline show': pipeline,
  'pipeline validate': problems,
  'agent list': z.array(agent),
  'agent test': agentTest,
  'agent conformance': conformance,
  'webhook status': webhooks,
  'webhook deliveries': z.array(delivery),
  'webhook replay': delivery,
  'webhook audit': audit,
  'webhook cleanup': z.object({ removed: z.int() }),
  'config check': problems,
  'config explain': z.array(source),
  'config schema': anySchema,
}

/** The JSON Schema (draft 2020-12) of a verb's output, null for what is no verb. Fields may be added to what it names. */
export function outputSchema(verb: string): Record<string, unknown> | null {
  const schema = verb === 'error' ? failure : Object.hasOwn(OUTPUTS, verb) ? OUTPUTS[verb] : undefined
  if (!schema) return null
  const title = verb === 'error' ? 'What a failing command prints to standard error with --json' : `orch ${verb} --json`
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return { $schema, title, ...rest }
}

/** The name of the file of a verb's schema in `schemas/cli/`. */
export const schemaFile = (verb: string): string => `${verb.replace(' ', '-')}.json`
