// The gates' safeguards: what is no pass, whatever an agent wrote.

import { inFile, type Mutant } from './mutant.ts'

const FRONT = 'src/gates/front-matter.test.ts'
const REVIEW = 'src/gates/review.test.ts'
const CHANGES = 'src/gates/changes.test.ts'
const PROTECTED = 'src/gates/protected.test.ts'
const SECRETS = 'src/gates/secrets-branch.test.ts'

export const gateMutants: Mutant[] = [
  ...inFile(
    'src/gates/front-matter.ts',
    [FRONT],
    [
      {
        name: 'gate-prose-never-counts',
        breaks: ['S16'],
        find: "if (!/^---[ \\t]*$/.test(lines[0] ?? '')) {",
        replace: "if (!lines.some((line) => line.startsWith('---'))) {",
      },
      {
        name: 'gate-front-matter-ends',
        breaks: ['S16'],
        find: 'if (end < 0) return broken(',
        replace: 'if (end < -1) return broken(',
      },
      {
        name: 'gate-no-key-twice',
        breaks: ['S16'],
        find: 'if (twice !== undefined) return broken(',
        replace: "if (twice === '') return broken(",
      },
      {
        name: 'gate-broken-keys-fail',
        breaks: ['S16'],
        find: 'if (!parsed.ok) {',
        replace: 'if (!parsed.ok && parsed.problems.length === 0) {',
        failsWith: 'undefined',
      },
      {
        name: 'gate-handoff-no-hard-link',
        breaks: ['S16'],
        find: 'if (file.nlink > 1) return broken(',
        replace: 'if (file.nlink > 99) return broken(',
      },
      {
        name: 'gate-handoff-no-linked-directory',
        breaks: ['S16'],
        find: 'if (!folder.isDirectory())',
        replace: 'if (folder.isFIFO())',
      },
      {
        name: 'gate-handoff-is-text',
        breaks: ['S16'],
        find: '{ fatal: true }',
        replace: '{ fatal: false }',
      },
    ],
  ),
  {
    name: 'gate-handoff-bounded',
    breaks: ['L2'],
    killers: [FRONT],
    edits: [
      {
        file: 'src/gates/front-matter.ts',
        find: 'if (file.size > MAX_HANDOFF_BYTES)',
        replace: 'if (file.size > MAX_HANDOFF_BYTES * 99)',
      },
      {
        file: 'src/gates/front-matter.ts',
        find: 'if (bytes.length > MAX_HANDOFF_BYTES) return broken(',
        replace: 'if (bytes.length > MAX_HANDOFF_BYTES * 99) return broken(',
      },
    ],
  },
  {
    name: 'gate-handoff-no-link',
    breaks: ['S15', 'S16'],
    killers: [FRONT],
    edits: [
      {
        file: 'src/gates/front-matter.ts',
        find: "if (file.isSymbolicLink()) return broken('handoff.md is a link; write a regular file')",
        replace: '',
      },
      {
        file: 'src/gates/front-matter.ts',
        find: "if (!file.isFile()) return broken('handoff.md is not a regular file')",
        replace: '',
      },
      {
        file: 'src/gates/front-matter.ts',
        find: 'constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK',
        replace: 'constants.O_RDONLY | constants.O_NONBLOCK',
      },
    ],
  },
  ...inFile(
    'src/gates/review.ts',
    [REVIEW],
    [
      {
        name: 'gate-unreadable-review-is-no-pass',
        breaks: ['S8', 'S16'],
        find: 'if (!handoff.ok) return unreadable(handoff.problem)',
        replace: 'if (!handoff.ok) return approved([])',
      },
      {
        name: 'gate-undecided-review-is-no-pass',
        breaks: ['S8', 'S16'],
        find: "if (verdict.word === 'none') return unreadable(verdict.problem)",
        replace: "if (verdict.word === 'none') return approved([])",
      },
      {
        name: 'gate-review-names-a-sha',
        breaks: ['S8'],
        find: "if (!/^[0-9a-f]+$/.test(sha) || sha.length < MIN_SHA) return unreadable('it does not name the sha that was judged')",
        replace: '',
      },
      {
        name: 'gate-review-of-this-head',
        breaks: ['S8'],
        find: 'if (!headSha.toLowerCase().startsWith(sha)) {',
        replace: 'if (headSha === sha.slice(0, 1)) {',
      },
      {
        name: 'gate-grave-finding-wins',
        breaks: ['S8'],
        find: 'if (grave.length > 0) return failed(',
        replace: 'if (grave.length > 99) return failed(',
        failsWith: 'Maximum call stack size exceeded',
      },
      {
        name: 'gate-broken-finding-is-no-pass',
        breaks: ['S16'],
        find: 'if (!read.ok) return unreadable(read.problem)',
        replace: 'if (!read.ok) return approved([])',
      },
      {
        name: 'gate-review-could-not-judge',
        breaks: ['S13'],
        find: "if (verdict.word === 'negative' && UNDECIDED.has(verdict.value)) {",
        replace: "if (verdict.word === 'negative' && verdict.value === '') {",
      },
    ],
  ),
  ...inFile(
    'src/gates/handoff.ts',
    ['src/gates/handoff.test.ts'],
    [
      {
        name: 'gate-missing-handoff-fails',
        breaks: ['S16'],
        find: 'if (!handoff.ok) return failed(',
        replace: 'if (!handoff.ok) return passed(handoff.problem)\n  if (!handoff.ok) return failed(',
      },
      {
        name: 'gate-status-is-needed',
        breaks: ['S16'],
        find: "if (keys['status'] === undefined) return failed(",
        replace: "if (keys['status'] === '') return failed(",
      },
      {
        name: 'gate-blocked-agent-holds',
        breaks: ['S13', 'L6'],
        find: "if (word === 'blocked')",
        replace: "if (word === '')",
      },
    ],
  ),
  ...inFile(
    'src/gates/changes.ts',
    [CHANGES],
    [
      {
        name: 'gate-same-head-is-no-answer',
        breaks: ['S8'],
        find: 'if (headSha === sentBackSha) {',
        replace: "if (headSha === '') {",
      },
      {
        name: 'gate-empty-change-fails',
        breaks: ['S8'],
        find: 'if (files.length === 0) {',
        replace: 'if (files.length < 0) {',
      },
    ],
  ),
  ...inFile(
    'src/gates/verify.ts',
    ['src/gates/verify.test.ts'],
    [
      {
        name: 'gate-no-command-is-no-pass',
        breaks: ['S5', 'S8'],
        find: 'if (verify.length === 0) {',
        replace: 'if (verify.length < 0) {',
        failsWith: 'not to be run',
      },
      {
        name: 'gate-commands-judge',
        breaks: ['S8'],
        find: 'return judgeCommands(commands, knownFailures)',
        replace: "return passed('')",
      },
    ],
  ),
  ...inFile(
    'src/gates/protected.ts',
    [PROTECTED],
    [
      {
        name: 'gate-protected-path-waits',
        breaks: ['S16'],
        find: 'if (paths.some(isProtected)) reasons.push(',
        replace: "if (paths.includes('')) reasons.push(",
      },
      {
        name: 'gate-protected-rename-waits',
        breaks: ['S16'],
        find: 'file.from === undefined ? [file.path] : [file.path, file.from]',
        replace: '[file.path]',
      },
      {
        name: 'gate-verify-script-waits',
        breaks: ['S16'],
        find: 'paths.some((path) => named.has(path))',
        replace: 'paths.some((path) => named.has(`${path}?`))',
      },
      {
        name: 'gate-deleted-test-waits',
        breaks: ['S16'],
        find: "file.status === 'deleted' && isTest(file.path)",
        replace: "file.status === 'deleted' && file.path === ''",
      },
      {
        name: 'gate-package-scripts-wait',
        breaks: ['S16'],
        find: 'await scriptsChanged(mirror, file, { baseSha, headSha })',
        replace: 'file.path === ""',
      },
      {
        name: 'gate-approval-of-this-head',
        breaks: ['S8'],
        find: 'return input.approved ? passed(',
        replace: 'return input.policy ? passed(',
      },
    ],
  ),
  ...inFile(
    'src/gates/secrets.ts',
    [SECRETS],
    [
      {
        name: 'gate-every-commit-searched',
        breaks: ['S14'],
        find: 'const shas = commits.map((commit) => commit.sha)',
        replace: 'const shas = commits.slice(-1).map((commit) => commit.sha)',
      },
      {
        name: 'gate-too-large-is-not-clean',
        breaks: ['S14'],
        find: 'if (!step || bytes > MAX_TOTAL_BYTES) {',
        replace: 'if (!step) continue\n    if (bytes > MAX_TOTAL_BYTES) {',
      },
      {
        name: 'gate-messages-searched',
        breaks: ['S14'],
        find: 'for (const hit of await findSecrets(lines)) note(found, hit, commit.sha)',
        replace: '',
      },
    ],
  ),
]
