import { expect, test } from 'vitest'
import { parsePs } from './process-tree.ts'

test('where there is no /proc, the marker is read from what ps shows, as a whole word', () => {
  const text = [
    '    1     0 Ss   /sbin/launchd',
    '  501     1 S    tail -f /dev/null PATH=/bin ORCH_RUN_FOLDER=/runs/run-1',
    '  502   501 S    sh -c x ORCH_RUN_FOLDER=/runs/run-12 HOME=/',
    '  503   501 Z    (sh) ORCH_RUN_FOLDER=/runs/run-1',
  ].join('\n')
  expect(parsePs(text, '/runs/run-1')).toEqual([
    { pid: 1, parent: 0, marked: false },
    { pid: 501, parent: 1, marked: true },
    { pid: 502, parent: 501, marked: false },
  ])
})
