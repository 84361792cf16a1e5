// What the latest look at CI and reviews found. A look that finds its task still waiting is no event of the journal, so what
// changes meanwhile is kept beside it: for people who ask, and for nothing that is decided.

import type { Queries, Store } from '../store/store.ts'

interface LastLook {
  sha: string
  /** What was said when somebody could be asked; null: nobody could, so far. */
  why: string | null
  /** Since when nobody can be asked, ms, and what came instead of an answer. */
  away: { since: number; text: string } | null
}

const markOf = ({ project, id }: { project: string; id: string }) => ({ project, what: `look:${id}` })

function lastLook(queries: Pick<Queries, 'mark'>, task: { project: string; id: string }): LastLook | null {
  const mark = queries.mark(markOf(task))
  return mark === null ? null : (JSON.parse(mark) as LastLook)
}

/** `trouble`: why the forge could not be asked; null: it was. Writes only what is new; may be called again with the same. */
export async function noteLook(
  store: Pick<Store, 'mark' | 'putMark'>,
  of: { task: { project: string; id: string }; sha: string; why: string; trouble: string | null; now: number },
): Promise<void> {
  const { task, sha, why, trouble, now } = of
  const last = lastLook(store, task)
  const before = last?.sha === sha ? last : null
  const look: LastLook =
    trouble === null
      ? { sha, why, away: null }
      : { sha, why: before?.why ?? null, away: before?.away ?? { since: now, text: trouble } }
  if (JSON.stringify(look) === JSON.stringify(last)) return
  await store.putMark({ ...markOf(task), value: JSON.stringify(look), at: now })
}

/** As a sentence's end; null where that head was not looked at. */
export function lastLookText(
  queries: Pick<Queries, 'mark'>,
  task: { project: string; id: string; headSha: string | null },
  time: (at: number) => string,
): string | null {
  const look = lastLook(queries, task)
  if (look === null || look.sha !== task.headSha) return null
  const away = look.away && `the forge could not be asked since ${time(look.away.since)}: ${look.away.text}`
  return [look.why, away].filter((part) => part !== null).join('; ')
}
