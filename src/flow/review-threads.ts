// What people at a change have said and nobody has answered. Anybody may write below a public change; only the words of those
// with rights reach an agent.

import type { IssueComment, ReviewThread } from '../drivers/driver.ts'

/**
 * Threads that are open and in which somebody with rights spoke last, each without the words of strangers and bots. The
 * conversation, which belongs to no line, begins after our last answer in it. May throw what `isTrusted` throws.
 */
export async function openThreads(
  threads: readonly ReviewThread[],
  isTrusted: (login: string) => Promise<boolean>,
): Promise<ReviewThread[]> {
  const open: ReviewThread[] = []
  for (const thread of threads) {
    if (thread.resolved) continue
    const heard = await heardIn(thread.comments, isTrusted)
    const last = heard.at(-1)
    if (!last || last.isOwn) continue
    const begins = thread.file === null ? heard.findLastIndex(({ isOwn }) => isOwn) + 1 : 0
    open.push({ ...thread, comments: heard.slice(begins) })
  }
  return open
}

async function heardIn(
  comments: readonly IssueComment[],
  isTrusted: (login: string) => Promise<boolean>,
): Promise<IssueComment[]> {
  const heard: IssueComment[] = []
  for (const comment of comments)
    if (comment.isOwn || (!comment.author.isBot && (await isTrusted(comment.author.login)))) heard.push(comment)
  return heard
}
