import { makeActionCommand } from '../simple-action.ts'

export const command = makeActionCommand({
  type: 'resume',
  summary: 'Let a paused task go on',
  details: 'Takes back `orch task pause ID`.',
  done: () => 'resumed',
})
