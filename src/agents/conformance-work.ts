// What an agent is asked in the conformance checks, the least that shows what Orch needs of it, and whether it did it.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../lib/process.ts'
import type { Report } from './conformance-report.ts'
import type { Site } from './conformance-site.ts'

/** What it must write, and remember. */
export const WORD = 'heliotrope'

/** A file, a commit, a handoff. */
export function workPrompt(handoff: string): string {
  return `${headerOf(handoff)}
Do exactly these three things in the current directory, and nothing else:

1. Create the file conformance.txt. Its only content is the word ${WORD}
2. Commit it: git add conformance.txt && git commit -m "Add conformance.txt"
3. Write the file ${handoff}/handoff.md with exactly this content:

---
status: done
summary: conformance
tests: []
---

Then say that you are done.
`
}

export const RESUME_PROMPT =
  'Which word did you write into conformance.txt earlier in this conversation? Answer with that word alone. Use no tools, read no files.\n'

export const CANCEL_PROMPT =
  'Run this shell command in the foreground, wait until it ends, and do nothing else: tail -s 5 -f /dev/null\n'

/** As each prompt of Orch begins. */
function headerOf(handoff: string): string {
  return `Orch-Task: CONFORMANCE-1
Orch-Stage: conformance
Orch-Role: developer
Orch-Attempt: 1
Orch-Handoff: ${handoff}
`
}

/** Whether the work that `workPrompt` asks for was done. */
export async function tellWork(site: Site, report: Report): Promise<void> {
  const file = join(site.workspace, 'conformance.txt')
  const content = existsSync(file) ? readFileSync(file, 'utf8').trim() : null
  if (content === WORD) report.ok('writes a file', 'conformance.txt is as it was asked for')
  else
    report.fail(
      'writes a file',
      content === null
        ? 'conformance.txt is not there'
        : `conformance.txt says "${content.slice(0, 80)}" and not ${WORD}`,
      'the agent must be able to write in its working directory; look for a mode that only reads',
    )
  const subject = await site.git('log', '-1', '--format=%s')
  const committed = await site.git('show', 'HEAD:conformance.txt')
  if (committed === WORD) report.ok('commits', `the last commit is "${subject}"`)
  else
    report.fail(
      'commits',
      `conformance.txt is in no commit; the last one is "${subject}"`,
      'let the agent run git in its working directory',
    )
  const handoff = join(site.handoff, 'handoff.md')
  const text = existsSync(handoff) ? readFileSync(handoff, 'utf8') : null
  if (text !== null && /^---\n[\s\S]*status: done[\s\S]*\n---/.test(text))
    report.ok('writes a handoff', 'handoff.md is there, with its front matter')
  else
    report.fail(
      'writes a handoff',
      text === null ? 'there is no handoff.md' : `handoff.md begins with "${text.slice(0, 60).replaceAll('\n', ' ')}"`,
      'the agent must be able to write to the directory in ORCH_HANDOFF, which is outside of the repository',
    )
}

/** Whether anything outlived the agent, in all that was tried. */
export function tellLeft({ left }: Site, report: Report): void {
  if (left.length === 0) report.ok('nothing left', 'no process of it went on after its end')
  else
    report.warn(
      'nothing left',
      `processes of it went on after its end, and were ended: ${left.join(', ')}`,
      'end your tools with you; Orch ends what is left, but an interrupted tool may have done half its work',
    )
}

/** True when the promise is settled in time. */
export async function within(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  return Promise.race([promise.then(() => true), sleep(limitMs).then(() => false)])
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
