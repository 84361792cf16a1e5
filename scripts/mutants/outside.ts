// The safeguards towards trackers and forges: whose word is taken, how often, about which head, and who is written to.

import { inFile, type Mutant } from './mutant.ts'

const ISSUE = 'src/flow/follow-issue.test.ts'
const CHANGE = 'src/flow/follow-change.test.ts'
const COMMENT = 'src/flow/follow-comment.test.ts'
const COMMANDS = 'src/flow/comment-commands.test.ts'
const GATES = 'src/gates/await-gates.test.ts'
const CORE = 'src/core/outside.test.ts'
const POLL = 'src/flow/poll.test.ts'
const TELL = 'src/flow/tell-order.test.ts'
const PROOF = 'src/flow/prove-merge.test.ts'
const HTTP = 'src/lib/http.test.ts'

export const outsideMutants: Mutant[] = [
  ...inFile(
    'src/flow/reopened.ts',
    ['src/flow/reopened.test.ts'],
    [
      {
        name: 'reopened-outlives-its-old-closing',
        breaks: ['S7'],
        find: "isOldClosing: standing !== 'open' && standing === known",
        replace: 'isOldClosing: false',
      },
      {
        name: 'reopened-ends-by-a-new-closing',
        breaks: ['L4'],
        find: "standing !== 'open' && standing === known",
        replace: "standing !== 'open' && known !== 'open'",
      },
      {
        name: 'reopened-was-seen-open',
        breaks: ['L4'],
        find: "if (standing === 'open' && known !== 'open') await noteReopened(store, of)",
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/flow/follow-issue.ts',
    [ISSUE],
    [
      {
        name: 'issue-author-has-rights',
        breaks: ['S15'],
        find: "if (!isTrusted && at.settings.intake.strangers === 'ignore')",
        replace: "if (!isTrusted && at.settings.intake.strangers === 'park')",
      },
      {
        name: 'issue-of-a-stranger-waits',
        breaks: ['S15'],
        find: 'if (!isTrusted) {',
        replace: "if (!isTrusted && issue.title === '') {",
      },
      {
        name: 'issue-older-snapshot-is-no-news',
        breaks: ['S7'],
        find: 'if (before && before.updatedAt > issue.updatedAt)',
        replace: 'if (before && before.updatedAt < 0)',
      },
      {
        name: 'issue-ended-task-not-begun-again',
        breaks: ['S7', 'S12'],
        find: 'if (ended && !isAnew && before && before.data.open && before.data.wanted)',
        replace: 'if (ended && !isAnew && before && before.data.open && !before.data.wanted)',
      },
      {
        name: 'issue-own-labels-left-out',
        breaks: ['S7'],
        find: 'return labels.filter((one) => !OWN_LABELS.has(one.toLowerCase()))',
        replace: 'return labels',
      },
    ],
  ),
  ...inFile(
    'src/flow/issue-links.ts',
    [ISSUE],
    [
      {
        name: 'issue-circle-refused',
        breaks: ['L6'],
        find: 'dependsOn.filter((id) => reaches(store, id, task.id))',
        replace: "dependsOn.filter((id) => reaches(store, id, ''))",
      },
    ],
  ),
  ...inFile(
    'src/flow/follow-comment.ts',
    [COMMENT],
    [
      {
        name: 'comment-of-a-bot-is-no-command',
        breaks: ['S15'],
        find: 'comment.author.isBot || comment.isOwn',
        replace: 'comment.isOwn',
      },
      {
        name: 'comment-of-our-own-is-no-command',
        breaks: ['S15'],
        find: 'comment.author.isBot || comment.isOwn',
        replace: 'comment.author.isBot',
      },
      {
        name: 'comment-of-those-with-rights-alone',
        breaks: ['S15'],
        find: 'if (!(await place.trustOf(comment.author.login))) {',
        replace: "if (comment.author.login === '') {",
      },
      {
        name: 'comment-obeyed-once',
        breaks: ['S7'],
        find: "if (deps.store.mark({ project: project.id, what }) !== null) return 'it was obeyed before'",
        replace: '',
      },
      {
        name: 'comment-obeyed-once-after-a-crash',
        breaks: ['S7'],
        find: '    idempotencyKey: key,\n',
        replace: '',
      },
      {
        name: 'comment-approves-what-was-seen',
        breaks: ['S8'],
        find: 'headSince(store, task) > writtenAt',
        replace: 'headSince(store, task) < 0',
        killers: [CHANGE],
      },
    ],
  ),
  ...inFile(
    'src/flow/comment-commands.ts',
    [COMMANDS],
    [
      {
        name: 'comment-quotes-and-code-ignored',
        breaks: ['S15'],
        find: '/^( {4}|\\t| {0,3}>)/.test(line) ||',
        replace: '',
      },
      {
        name: 'comment-fences-ignored',
        breaks: ['S15'],
        find: 'if (mark !== undefined) {',
        replace: "if (mark === '') {",
      },
      {
        name: 'comment-hidden-text-ignored',
        breaks: ['S15'],
        find: "body.replaceAll(/<!--[\\s\\S]*?(?:-->|$)/g, '')",
        replace: 'body',
      },
    ],
  ),
  ...inFile(
    'src/flow/follow-change.ts',
    [CHANGE],
    [
      {
        name: 'change-merged-when-main-holds-it',
        breaks: ['S4'],
        find: '|| !(await mirror.isAncestor(sha, base.sha))',
        replace: '',
      },
      {
        name: 'change-label-names-a-head',
        breaks: ['S8'],
        find: "if (seenAt !== '' && seenAt !== change.head)",
        replace: "if (seenAt === '-')",
      },
      {
        name: 'change-label-of-those-with-rights-alone',
        breaks: ['S8', 'S15'],
        find: 'if (!(await trusts({ tracker: at.forge, settings }, by.login)))',
        replace: "if (by.login === '')",
        killers: ['src/flow/follow-change-heads.test.ts#a label counts by whoever set it'],
      },
    ],
  ),
  ...inFile(
    'src/flow/closed-change.ts',
    ['src/flow/publish.test.ts#a person closed'],
    [
      {
        name: 'change-closed-is-not-opened-again',
        breaks: ['S12'],
        find: "if (change?.state !== 'closed') return",
        replace: "if (change?.state !== 'merged') return",
      },
    ],
  ),
  ...inFile(
    'src/flow/land.ts',
    ['src/flow/landing.test.ts#a person closed'],
    [
      {
        name: 'flow-closed-change-heard-before-landing',
        breaks: ['S12'],
        find: 'await heedClosed(deps.capabilities, landing)',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/flow/prove-merge.ts',
    [PROOF],
    [
      {
        name: 'merge-proved-on-main-itself',
        breaks: ['S5'],
        find: 'const since = (await mirror.mainline(onto, tip)).slice(0, MOST_COMMITS)',
        replace: 'const since = (await mirror.commitsBetween(onto, tip)).map(({ sha }) => sha)',
      },
      {
        name: 'merge-of-an-untested-tree-is-none',
        breaks: ['S5'],
        find: "return { kind: 'untested', at: sha }",
        replace: "return { kind: 'merged', mergedSha: sha }",
      },
    ],
  ),
  ...inFile(
    'src/flow/forge-merge.ts',
    ['src/flow/forge-merge.test.ts#that says merged while'],
    [
      {
        name: 'merge-of-the-forge-is-looked-for',
        breaks: ['S4'],
        find: '    const settled = await look(landing, merge)\n    if (settled) return settled\n    const text = `the forge says',
        replace:
          '    if (answer.ok) return confirm(landing, merge.mergeSha, merge.mergeSha)\n    const text = `the forge says',
      },
      {
        name: 'merge-untested-is-tested',
        breaks: ['S5'],
        find: 'if ((await isGreen(proof.at)) || (now.sha !== proof.at && (await isGreen(now.sha))))',
        replace: 'if (proof.at)',
        killers: ['src/flow/forge-merge.test.ts#main moved before'],
      },
    ],
  ),
  {
    name: 'merge-github-head-pinned',
    breaks: ['S8'],
    killers: ['src/drivers/github/github.test.ts#a head that has moved'],
    edits: [
      { file: 'src/drivers/github/merge.ts', find: 'sha: order.head,', replace: 'sha: before.head.sha,' },
      {
        file: 'src/drivers/github/merge.ts',
        find: 'if (wire.head.sha === head) return null',
        replace: "if (wire.head.sha !== '') return null",
      },
    ],
  },
  ...inFile(
    'src/gates/reviews.ts',
    [GATES],
    [
      {
        name: 'gate-reviews-of-this-head',
        breaks: ['S8'],
        find: 'const current = latestWords(words.filter((review) => review.sha === headSha))',
        replace: 'const current = latestWords(words)',
      },
      {
        name: 'gate-reviews-of-a-person',
        breaks: ['S8', 'S15'],
        find: 'if (!review.author.isBot && (await forge.isTrusted(review.author.login)))',
        replace: 'if (await forge.isTrusted(review.author.login))',
      },
      {
        name: 'gate-reviews-of-those-with-rights',
        breaks: ['S8', 'S15'],
        find: 'if (!review.author.isBot && (await forge.isTrusted(review.author.login)))',
        replace: 'if (!review.author.isBot)',
      },
    ],
  ),
  ...inFile(
    'src/gates/ci.ts',
    [GATES],
    [
      {
        name: 'gate-ci-silent-is-not-green',
        breaks: ['S8'],
        find: "if (state === 'passed') return",
        replace: "if (state === 'passed' || state === 'none') return",
      },
      {
        name: 'gate-ci-pending-is-not-red',
        breaks: ['S13'],
        find: "checks.filter((check) => check.state === 'failed')",
        replace: "checks.filter((check) => check.state === 'failed' || check.state === 'pending')",
      },
    ],
  ),
  ...inFile(
    'src/core/decide.ts',
    [CORE],
    [
      {
        name: 'core-token-needed',
        breaks: ['S8'],
        find: "if (request.sha !== task.headSha || request.tokenHash !== command.tokenHash) return 'wrong-token'",
        replace: "if (request.sha !== task.headSha) return 'wrong-token'",
      },
      {
        name: 'core-token-names-a-head',
        breaks: ['S8'],
        find: "if (request.sha !== task.headSha || request.tokenHash !== command.tokenHash) return 'wrong-token'",
        replace: "if (request.tokenHash !== command.tokenHash) return 'wrong-token'",
      },
      {
        name: 'core-token-expires',
        breaks: ['S8'],
        find: "if (request.expiresAt <= now) return 'token-expired'",
        replace: '',
      },
      {
        name: 'core-confirmed-too',
        breaks: ['S8'],
        find: "return command.confirmed === true ? null : 'not-confirmed'",
        replace: 'return null',
      },
      {
        name: 'core-waits-anew-on-retry',
        breaks: ['L6'],
        find: "before.kind === 'await' ? { ...before, since: draft.now } : before",
        replace: 'before',
      },
    ],
  ),
  ...inFile(
    'src/flow/tell.ts',
    [TELL],
    [
      {
        name: 'tell-in-line',
        breaks: ['S9'],
        find: 'return inLine(effect.task, () => tellOnce(effect.task))',
        replace: 'return tellOnce(effect.task)',
      },
      {
        name: 'tell-nothing-after-the-end',
        breaks: ['S12'],
        find: 'if (before?.startsWith(LAST)) return null',
        replace: '',
      },
      {
        name: 'tell-of-the-newest-task-alone',
        breaks: ['S12'],
        find: 'if (store.tasksOfOrigin({ project: project.id, origin: task.origin }).at(-1) !== task.id) return null',
        replace: '',
      },
      {
        name: 'tell-each-state-once',
        breaks: ['S9'],
        find: 'let before = store.mark(mark)',
        replace: 'let before = store.mark(mark)?.startsWith(LAST) ? LAST : null',
      },
      {
        name: 'tell-what-is-so-last',
        breaks: ['S12'],
        find: '      before = present.value\n',
        replace: '      return null\n',
      },
    ],
  ),
  ...inFile(
    'src/flow/poll.ts',
    [POLL],
    [
      {
        name: 'poll-leaves-a-reserve',
        breaks: ['L3'],
        find: 'quota.remaining < quota.limit * RESERVE',
        replace: 'quota.remaining < 0',
      },
      {
        name: 'poll-asks-nobody-when-idle',
        breaks: ['L3'],
        find: 'return queued + running + waiting + blocked + held > 0',
        replace: 'return queued + running + waiting + blocked + held >= 0',
      },
      {
        name: 'poll-first-look-of-nothing-is-one',
        breaks: ['S7'],
        find: 'Math.max(time, updatedAt), newest ?? first)',
        replace: 'Math.max(time, updatedAt), newest ?? startedAt)',
      },
      {
        name: 'poll-reads-each-comment',
        breaks: ['S7'],
        find: 'const since = sinceOf(deps, { project, what, updatedAt: issue.updatedAt })',
        replace:
          "const isSeen = deps.store.seenIssue({ project: project.id, issue: issue.id })?.updatedAt === issue.updatedAt\n  const since = isSeen ? 'followed' : sinceOf(deps, { project, what, updatedAt: issue.updatedAt })",
      },
      {
        name: 'poll-broken-look-made-again',
        breaks: ['S7'],
        find: 'if (unchanged && !again) return',
        replace: 'if (unchanged) return',
      },
    ],
  ),
  ...inFile(
    'src/lib/http.ts',
    [HTTP],
    [
      {
        name: 'http-tests-write-to-no-real-host',
        breaks: ['S15'],
        find: 'if (!options.fetch) refuseInTests(options, request, url)',
        replace: '',
        killers: ['src/lib/http.test.ts#speaks to this machine only'],
        failsWith: 'not an ExternalError',
      },
      {
        name: 'http-credential-stays-at-its-host',
        breaks: ['S14'],
        find: 'if (next.origin !== origin) for (const name of Object.keys(own)) headers.delete(name)',
        replace: '',
        killers: ['src/lib/http.test.ts#no credential goes to another host'],
      },
      {
        name: 'http-credential-not-told',
        breaks: ['S14'],
        find: "return secrets.reduce((hidden, secret) => hidden.replaceAll(secret, '***'), text)",
        replace: 'return text',
      },
      {
        name: 'http-page-of-a-proxy-is-no-answer',
        breaks: ['S13'],
        find: 'if (!json.ok && status !== 401 && status !== 429)',
        replace: 'if (!json.ok && status === 418)',
        failsWith: 'not an ExternalError',
      },
    ],
  ),
]
