import type { TaskView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { act, callerOf, needTaskId } from '../common.ts'
import type { CliContext } from '../context.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'

export const command = defineCommand({
  summary: 'Let blocked tasks start without waiting for others',
  details: 'With an ID that task, with `all` every blocked one; without either it only lists them.',
  positionals: [{ name: 'ID|all', required: false, description: 'A task, or `all`', complete: 'task' }],
  options: {},
  examples: ['orch task unblock', 'orch task unblock 3', 'orch task unblock all'],
  mutates: true,
  async run({ positionals: [name], json }, context) {
    if (name === undefined) return listBlocked({ json, context })
    const tasks =
      name === 'all'
        ? await unblockAll(context)
        : [await act({ type: 'unblock', task: await needTaskId(name, context) }, context)]
    if (json) printJson(context, name === 'all' ? tasks : tasks[0])
    else
      printLines(
        context,
        tasks.length === 0
          ? ['No task is blocked.']
          : tasks.map((task) => `${task.id}: unblocked, now ${describeStatus(task)} at ${task.stage}`),
      )
    return EXIT.ok
  },
})

async function listBlocked({ json, context }: { json: boolean; context: CliContext }): Promise<number> {
  const ids = (await context.app()).blockedTasks()
  if (json) printJson(context, ids)
  else printLines(context, ids.length === 0 ? ['No task is blocked.'] : ids)
  return EXIT.ok
}

/** A task that was freed by someone else meanwhile is no error: it is what was asked for. */
async function unblockAll(context: CliContext): Promise<TaskView[]> {
  const app = await context.app()
  const tasks: TaskView[] = []
  for (const task of app.blockedTasks()) {
    const answer = await app.act({ type: 'unblock', task }, callerOf(context))
    if (answer.ok) tasks.push(answer.value)
  }
  return tasks
}
