import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { needProject } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'

export const command = defineCommand({
  summary: 'Forget a project that has no open tasks; its clone is not touched',
  positionals: [{ name: 'PREFIX', required: true, description: 'The project, such as `SHOP`', complete: 'project' }],
  options: {},
  examples: ['orch project remove SHOP'],
  mutates: true,
  async run({ positionals: [name = ''], json }, context) {
    const project = await needProject(name, context)
    const { openTasks, removed } = await (await context.app()).removeProject(project.id)
    if (!removed) {
      throw new UserError(
        EXIT.refused,
        'open-tasks',
        `${project.id} has ${openTasks} open task(s): cancel or finish them first (\`orch task list --project ${project.id}\`)`,
      )
    }
    if (json) printJson(context, { id: project.id, removed })
    else printLines(context, [`${project.id} is forgotten; ${project.path} was not touched`])
    return EXIT.ok
  },
})
