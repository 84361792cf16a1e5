// The safeguards of looking at trackers and forges: in line, as often as it helps, and what is seen is taken for what it is.

import { inFile, type Mutant } from './mutant.ts'

const CHANGE = 'src/flow/follow-change.test.ts'
const POLL = 'src/flow/poll.test.ts'

export const lookMutants: Mutant[] = [
  ...inFile(
    'src/flow/happenings.ts',
    [CHANGE],
    [
      {
        name: 'change-merged-is-not-cancelled-by-its-issue',
        breaks: ['S4', 'S12'],
        find: "const merged = issue.state === 'completed' ? await closedByMerge(deps, at) : null",
        replace: 'const merged: string | null = null',
      },
      {
        name: 'change-open-is-not-merged-by-its-issue',
        breaks: ['S4', 'S12'],
        find: "if ((await forge.findChange(task))?.state !== 'merged') return null",
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/flow/happenings.ts',
    ['src/flow/happenings-comments.test.ts#at once is answered once'],
    [
      {
        name: 'comment-in-line',
        breaks: ['S7', 'S9'],
        find: 'return deps.inLine(`${project.id}/comment/${comment.id}`, () => follow(comment))',
        replace: 'return follow(comment)',
      },
    ],
  ),
  ...inFile(
    'src/drivers/github/comments.ts',
    ['src/drivers/github/github.test.ts#carried out late'],
    [
      {
        name: 'comment-once-though-late-at-github',
        breaks: ['S9'],
        find: 'for (const { id } of doubles) {',
        replace: 'for (const { id } of doubles.slice(0, 0)) {',
      },
    ],
  ),
  ...inFile(
    'src/drivers/gitea/comments.ts',
    ['src/drivers/gitea/gitea.test.ts#carried out late'],
    [
      {
        name: 'comment-once-though-late-at-gitea',
        breaks: ['S9'],
        find: 'for (const { id } of doubles) {',
        replace: 'for (const { id } of doubles.slice(0, 0)) {',
      },
    ],
  ),
  ...inFile(
    'src/flow/await.ts',
    ['src/flow/await.test.ts'],
    [
      {
        name: 'await-ready-only-on-green',
        breaks: ['S8'],
        find: "if (verdicts.every(({ gate, result }) => gate === 'reviews' || result === 'pass'))",
        replace: 'if (verdicts.length > 0)',
        killers: ['src/flow/await.test.ts#people are asked when CI is green'],
      },
      {
        name: 'await-ready-though-a-review-is-missing',
        breaks: ['L6'],
        find: "if (verdicts.every(({ gate, result }) => gate === 'reviews' || result === 'pass'))",
        replace: "if (verdicts.every(({ result }) => result === 'pass'))",
        killers: ['src/flow/await.test.ts#people are asked when CI is green'],
      },
      {
        name: 'await-looks-in-line',
        breaks: ['S9'],
        find: 'return inLine(effect.task, () => lookOnce(effect, context))',
        replace: 'return lookOnce(effect, context)',
        killers: ['src/flow/await.test.ts#two looks at once'],
      },
    ],
  ),
  ...inFile(
    'src/flow/publish.ts',
    ['src/flow/await.test.ts#people are asked when CI is green'],
    [
      {
        name: 'publish-opens-a-draft',
        breaks: ['S8'],
        find: '    draft,\n    labels,',
        replace: '    draft: false,\n    labels,',
      },
      {
        name: 'publish-asks-nobody-of-a-draft',
        breaks: ['S8'],
        find: 'reviewers: draft ? [] : reviewers,',
        replace: 'reviewers,',
      },
    ],
  ),
  ...inFile(
    'src/flow/in-line.ts',
    ['src/flow/in-line.test.ts'],
    [
      {
        name: 'in-line-one-after-the-other',
        breaks: ['S9'],
        find: 'const mine = (last.get(key) ?? Promise.resolve()).then(work)',
        replace: 'const mine = Promise.resolve().then(work)',
      },
      {
        name: 'in-line-goes-on-after-a-failure',
        breaks: ['L2'],
        find: 'const ended = mine.catch(() => undefined)',
        replace: 'const ended: Promise<unknown> = mine',
      },
    ],
  ),
  ...inFile(
    'src/flow/poll.ts',
    [POLL],
    [
      {
        name: 'poll-same-second-looked-at-again',
        breaks: ['S7'],
        find: 'return seen === updatedAt && updatedAt + SETTLED_MS < lookedAt',
        replace: 'return seen === updatedAt',
      },
      {
        name: 'poll-what-changed-is-not-known',
        breaks: ['S7'],
        find: 'return seen === updatedAt && updatedAt + SETTLED_MS < lookedAt',
        replace: 'return seen !== null && updatedAt + SETTLED_MS < lookedAt',
      },
    ],
  ),
  ...inFile(
    'src/flow/forge-merge.ts',
    ['src/flow/forge-merge.test.ts#C-42'],
    [
      {
        name: 'merge-repeats-what-passes-alone',
        breaks: ['S13'],
        find: 'const passes = error instanceof ExternalError && PASSING.includes(error.kind)',
        replace: 'const passes = error instanceof ExternalError',
      },
      {
        name: 'merge-repeats-what-passes',
        breaks: ['S13'],
        find: 'const passes = error instanceof ExternalError && PASSING.includes(error.kind)',
        replace: "const passes = error instanceof ExternalError && error.message === ''",
      },
      {
        name: 'merge-of-what-is-ready',
        breaks: ['L6'],
        find: 'if (row) await forge.ensureChange(readyChange(task, project, row))',
        replace: '',
        killers: ['src/flow/forge-merge.test.ts#S4, S9'],
      },
      {
        name: 'merge-repeats-are-bounded',
        breaks: ['L5'],
        find: 'if (!passes || repeat === REPEATS.n ||',
        replace: 'if (!passes ||',
      },
      {
        name: 'merge-repeats-back-off',
        breaks: ['L5'],
        find: 'await timers.sleep(Math.min(error.retryAfterMs ?? REPEATS.baseMs * 2 ** repeat, REPEATS.maxMs))',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/drivers/github/forge.ts',
    ['src/drivers/github/github.test.ts#own changes'],
    [
      {
        name: 'change-of-another-branch-is-not-ours-at-github',
        breaks: ['S15'],
        find: 'return wire !== null && isOurs(wire, row)',
        replace: 'return wire !== null',
      },
    ],
  ),
  ...inFile(
    'src/drivers/gitea/forge.ts',
    ['src/drivers/gitea/gitea.test.ts#own changes'],
    [
      {
        name: 'change-of-another-branch-is-not-ours-at-gitea',
        breaks: ['S15'],
        find: 'return wire !== null && wire.head.ref === row.branch && isOurs(wire, row)',
        replace: 'return wire !== null',
      },
    ],
  ),
  ...inFile(
    'src/drivers/own-changes.ts',
    ['src/drivers/github/github.test.ts#own changes'],
    [
      {
        name: 'change-remembered-from-elsewhere-is-asked-about',
        breaks: ['S15'],
        find: 'if (!(await deps.confirm(row))) return false',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/drivers/plane/tracker.ts',
    ['src/drivers/plane/tracker.test.ts#is over by its group'],
    [
      {
        name: 'plane-over-by-group-not-by-name',
        breaks: ['S12'],
        find: 'state: stateOf(state?.group),',
        replace: 'state: stateOf(state?.name.toLowerCase()),',
      },
      {
        name: 'plane-ended-by-group-not-by-name',
        breaks: ['S12'],
        find: 'const fits = (one: WireState): boolean => stateOf(one.group) === target',
        replace: 'const fits = (one: WireState): boolean => stateOf(one.name.toLowerCase()) === target',
        killers: ['src/drivers/plane/tracker.test.ts', 'src/drivers/plane/plane.test.ts'],
      },
      {
        name: 'plane-over-stays-over',
        breaks: ['S12'],
        find: 'const group = stateOf(current?.group)',
        replace: "const group = stateOf('')",
        killers: ['src/drivers/plane/tracker.test.ts', 'src/drivers/plane/plane.test.ts'],
      },
    ],
  ),
]
