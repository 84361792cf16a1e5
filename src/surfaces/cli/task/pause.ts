import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'pause',
  summary: 'Let nothing new start for a task',
  details: 'A run under way goes on to its end; `orch task resume ID` takes it back.',
  done: () => 'paused',
})
