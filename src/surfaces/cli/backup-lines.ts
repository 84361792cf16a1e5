// What a backup holds, in lines, for the verbs that make, prove and restore one.

import type { BackupView } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { pairs } from './print.ts'

export function backupLines(view: BackupView, context: CliContext): string[] {
  const { tasks, events, projects, files, bundles } = view
  return pairs(
    [
      ['File', view.file],
      ['Size', bytesText(view.bytes)],
      ['Made', view.madeAt ?? 'a plain copy of a database, without the files beside it'],
      ['Holds', `${count(tasks, 'task')} of ${projects.join(', ') || 'no project'}, ${count(events, 'event')}`],
      ['Files', files + bundles === 0 ? null : `${count(files, 'file')}, ${count(bundles, 'bundle')} of unpushed work`],
      ['Live runs', view.liveRuns === 0 ? null : `${view.liveRuns}, without their logs and uncommitted files`],
      ['Took', `${(view.durationMs / 1_000).toFixed(1)} s`],
    ],
    context,
  )
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

export function bytesText(bytes: number): string {
  if (bytes < 1 << 10) return `${bytes} bytes`
  return bytes < 1 << 20 ? `${(bytes / (1 << 10)).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`
}
