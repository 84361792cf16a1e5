import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'retry',
  summary: 'Try a held or waiting task again, with a fresh budget of attempts',
  details: 'It goes on at the step where it was held; its work so far is kept.',
  done: () => 'will be tried again',
})
