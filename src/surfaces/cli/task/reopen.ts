import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'reopen',
  summary: 'Start the issue of a cancelled task afresh, as a new task',
  details:
    'The new task has an id, a branch and a budget of its own; the cancelled one stays as it is, with its runs and artifacts. An issue that is closed in its tracker may stay closed: only a closing that comes later ends the new task.',
  done: () => 'starts the issue afresh',
})
