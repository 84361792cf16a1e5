// Gate `changes`: there are commits, they change something, and their messages follow the project's policy.

import { failed, judgeFindings, type Finding } from '../core/verdict.ts'
import type { Gate } from './gate.ts'

/** Findings named one by one; more would only repeat the lesson. */
const MAX_NAMED = 20

export const changesGate: Gate = {
  name: 'changes',
  costly: false,
  onUnknown: 'closed',
  describe: 'Commits exist, change something, and their messages follow commits.pattern.',
  async collect({ mirror, baseSha, headSha, sentBackSha, policy }) {
    if (headSha === sentBackSha) {
      return failed('nothing changed since it was sent back', [
        finding(`The branch is still at ${headSha.slice(0, 10)}, which was sent back. Mend what was found and commit.`),
      ])
    }
    const commits = await mirror.commitsBetween(baseSha, headSha)
    if (commits.length === 0) {
      return failed('no commits', [
        finding(
          'There is no commit on the branch. Do the task and commit your work on the branch that is checked out.',
        ),
      ])
    }
    const files = await mirror.diffFiles(baseSha, headSha)
    if (files.length === 0) {
      return failed('an empty change', [
        finding(
          `The ${commits.length} commit(s) of the branch change nothing, taken together. Do the task and commit your work.`,
        ),
      ])
    }
    const { pattern } = policy.commits
    if (pattern === null) return judgeFindings([], `${commits.length} commit(s), ${files.length} file(s)`)
    const follows = new RegExp(pattern)
    const wrong = commits.filter((commit) => !follows.test(commit.subject) && !follows.test(commit.message))
    return judgeFindings(
      wrong
        .slice(0, MAX_NAMED)
        .map((commit) =>
          finding(
            `The message of commit ${commit.sha.slice(0, 10)} ("${commit.subject.slice(0, 100)}") does not match ${pattern}. Reword it (git commit --amend, git rebase).`,
          ),
        ),
      `${commits.length} commit(s), ${files.length} file(s), messages follow the pattern`,
    )
  },
}

function finding(text: string): Finding {
  return { gate: 'changes', severity: 'P1', text }
}
