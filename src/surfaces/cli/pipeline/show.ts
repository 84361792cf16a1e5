import type { PipelineView } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { paint, printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { nearest } from '../suggest.ts'

export const command = defineCommand({
  summary: 'Draw a pipeline: its stages, gates and ways back',
  positionals: [{ name: 'NAME', required: true, description: 'Its name, such as `direct`', complete: 'pipeline' }],
  options: {},
  examples: ['orch pipeline show direct'],
  mutates: false,
  async run({ positionals: [name = ''], json }, context) {
    const pipelines = await (await context.app()).pipelines(context.cwd)
    const pipeline = pipelines.find((candidate) => candidate.name === name)
    if (!pipeline) {
      const names = pipelines.map((candidate) => candidate.name)
      const near = nearest(name, names)
      throw new UserError(
        EXIT.notFound,
        'no-such-pipeline',
        `there is no pipeline "${name}"${near ? `; did you mean ${near}?` : ''} (known: ${names.join(', ')})`,
      )
    }
    if (json) printJson(context, pipeline)
    else printLines(context, drawPipeline(pipeline, context))
    return EXIT.ok
  },
})

/** Top to bottom; gates stand where they must pass before the stage is left. */
export function drawPipeline(pipeline: PipelineView, context: Pick<CliContext, 'color'>): string[] {
  const last = pipeline.stages.length - 1
  const stages = pipeline.stages.flatMap((stage, index) => {
    const kind = stage.role ? `${stage.kind}, role ${stage.role}` : stage.kind
    const rail = index === last ? ' ' : '│'
    return [
      `${paint(context, 'bold', `● ${sanitizeLine(stage.name)}`)}  ${sanitizeLine(kind)}`,
      ...stage.gates.map((gate) => `${rail}   ◇ ${sanitizeLine(gate)}`),
      ...(stage.onFail ? [`${rail}   ↩ a failure goes back to ${sanitizeLine(stage.onFail)}`] : []),
      ...(index === last ? [] : ['│']),
    ]
  })
  return [
    `${paint(context, 'bold', sanitizeLine(pipeline.name))}  ${sanitizeLine(pipeline.description)}`,
    paint(
      context,
      'dim',
      sanitizeLine(pipeline.source === 'built-in' ? 'built-in' : `${pipeline.source}, ${pipeline.file}`),
    ),
    '',
    ...stages,
    ...pipeline.problems.map((problem) =>
      paint(context, 'red', sanitizeLine(`${problem.file}:${problem.line ?? '?'}: ${problem.key}: ${problem.text}`)),
    ),
  ]
}
