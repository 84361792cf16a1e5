import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { needProject } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'

const CLONE: Record<'untouched' | 'removed' | 'kept', (path: string) => string> = {
  untouched: (path) => `${path} was not touched`,
  removed: (path) => `its clone ${path}, which Orch had made, is removed`,
  kept: (path) => `its clone ${path} holds work of yours and was kept`,
}

export const command = defineCommand({
  summary: 'Forget a project that has no open tasks; a clone of yours is not touched',
  details:
    'A clone that Orch made itself (`orch project add owner/name`) goes with it, unless it holds work of yours. Nothing is changed at its tracker or forge.',
  positionals: [{ name: 'PREFIX', required: true, description: 'The project, such as `SHOP`', complete: 'project' }],
  options: {},
  examples: ['orch project remove SHOP'],
  mutates: true,
  async run({ positionals: [name = ''], json }, context) {
    const project = await needProject(name, context)
    const { openTasks, removed, clone } = await (await context.app()).removeProject(project.id)
    if (!removed) {
      throw new UserError(
        EXIT.refused,
        'open-tasks',
        `${project.id} has ${openTasks} open task(s): cancel or finish them first (\`orch task list --project ${project.id}\`)`,
      )
    }
    if (json) printJson(context, { id: project.id, removed, clone })
    else printLines(context, [`${project.id} is forgotten; ${CLONE[clone](project.path)}`])
    return EXIT.ok
  },
})
