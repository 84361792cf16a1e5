// The shape of a pipeline file. What the shape can't say (order, cycles, who judges what) is core's `validatePipeline`.

import { z } from 'zod'
import { type GateName, GATES, STAGE_KINDS } from '../core/pipeline.ts'

const NAME = /^[a-z][a-z0-9-]{0,39}$/
const GATE_NAMES = Object.keys(GATES) as GateName[]

function name(what: string): z.ZodString {
  const error = 'must be lower-case letters, digits and dashes, a letter first, at most 40'
  return z.string({ error }).regex(NAME, { error }).describe(what)
}

const stageSchema = z
  .strictObject(
    {
      name: name('Name of the stage, unique in the pipeline.'),
      kind: z.enum(STAGE_KINDS, { error: `must be one of ${STAGE_KINDS.join(', ')}` }).describe('What the stage does.'),
      role: name('For agent stages: whose instructions are used and which agent is chosen.').optional(),
      independent: z
        .boolean({ error: 'must be true or false' })
        .describe('Never the session that wrote the change; another agent when there is one.')
        .optional(),
      gates: z
        .array(z.enum(GATE_NAMES, { error: `must be a gate: ${GATE_NAMES.join(', ')}` }), {
          error: 'must be a list of gates',
        })
        .describe('All must pass before the stage is left.')
        .optional(),
      onFail: name(
        'Stage that a failure sends the task back to. Default: the nearest agent stage, this one included.',
      ).optional(),
      timeoutMinutes: z
        .number({ error: 'must be a number of minutes' })
        .gt(0, { error: 'must be above zero' })
        .max(1440, { error: 'must be at most a day (1440)' })
        .describe('Time limit of one run at this stage. Default: limits.runMinutes.')
        .optional(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a group of keys' : undefined) },
  )
  .describe('A stage.')

export const pipelineSchema = z
  .strictObject(
    {
      name: name('Name of the pipeline. Default: the name of the file.').optional(),
      description: z.string({ error: 'must be text' }).describe('One sentence.').optional(),
      stages: z
        .array(stageSchema, { error: 'must be a list of stages' })
        .min(1, { error: 'must have at least one stage' })
        .max(50, { error: 'must have at most 50 stages' })
        .describe('In order.'),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a group of keys' : undefined) },
  )
  .describe('Orch: a pipeline (.orch/pipelines/NAME.yml).')

export type PipelineInput = z.infer<typeof pipelineSchema>
