import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { printProblems } from '../problems.ts'

export const command = defineCommand({
  summary: 'Check a pipeline file: shape, stages, gates, ways back',
  details: 'Exit code 1 when it has problems; each is told with file, line and key.',
  positionals: [{ name: 'FILE', required: true, description: 'A YAML file', complete: 'file' }],
  options: {},
  examples: ['orch pipeline validate .orch/pipelines/careful.yml'],
  mutates: false,
  async run({ positionals: [name = ''], json }, context) {
    const file = resolve(context.cwd, name)
    if (!existsSync(file)) throw new UserError(EXIT.notFound, 'no-such-file', `there is no file ${file}`)
    const problems = await (await context.app()).validatePipeline(file)
    return printProblems(problems, { json, context, fine: `${name}: fine` })
  },
})
