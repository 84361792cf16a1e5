import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'retry',
  summary: 'Try a held or waiting task again, with a fresh budget of attempts',
  details:
    'It goes on at the step where it was held; its work so far is kept. What was put aside beside its steps, such as cleaning up after a finished task, is tried again too.',
  done: () => 'will be tried again',
})
