// The local forge: changes and reviews are rows of the store. Git itself is the mirror's matter.

import type { ChangeRow, Store } from '../../store/store.ts'
import type { ChangeRequest, Forge } from '../driver.ts'

/** `now` gives the time in ms. Everything may be called twice. */
export function makeLocalForge(
  store: Pick<Store, 'getChange' | 'saveChange' | 'saveReview'>,
  now: () => number,
): Forge {
  return {
    async ensureChange(request) {
      const existing = store.getChange(request.task)
      if (existing && isUpToDate(existing, request)) return existing
      return store.saveChange({
        project: request.project,
        task: request.task,
        branch: request.branch,
        base: request.base,
        head: request.head,
        title: request.title,
        body: request.body,
        state: 'open',
        mergedSha: null,
        url: null,
        createdAt: existing?.createdAt ?? now(),
        updatedAt: now(),
      })
    },
    addReview: (review) => store.saveReview(review),
    async markMerged(task, mergedSha) {
      const existing = store.getChange(task)
      if (!existing || (existing.state === 'merged' && existing.mergedSha === mergedSha)) return existing
      return save(existing, { state: 'merged', mergedSha })
    },
    async closeChange(task) {
      const existing = store.getChange(task)
      if (!existing || existing.state !== 'open') return existing
      return save(existing, { state: 'closed' })
    },
  }

  function save(existing: ChangeRow, patch: Partial<ChangeRow>): Promise<ChangeRow> {
    const { number: _number, ...row } = { ...existing, ...patch, updatedAt: now() }
    return store.saveChange(row)
  }
}

function isUpToDate(row: ChangeRow, request: ChangeRequest): boolean {
  // What was merged stays merged, whatever is pushed to its branch afterwards.
  if (row.state === 'merged') return true
  const same =
    row.branch === request.branch &&
    row.base === request.base &&
    row.title === request.title &&
    row.body === request.body
  return same && row.state === 'open' && row.head === request.head
}
