import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'cancel',
  summary: 'Cancel a task and stop its run',
  details:
    'Uncommitted work is saved under ORCH_HOME/saved. A cancelled task can’t be taken up again; `orch task reopen` starts its issue afresh.',
  done: (task) => (task.status === 'cancelled' ? 'cancelled' : 'will be cancelled as soon as its current step ends'),
})
