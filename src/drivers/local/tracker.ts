// The local tracker: issues are Orch's own task list, so an issue is a number that was never given before.

import type { Store } from '../../store/store.ts'
import type { LocalTracker } from '../driver.ts'

export function makeLocalTracker(store: Pick<Store, 'nextNumber'>): LocalTracker {
  return {
    async createIssue(project) {
      const number = await store.nextNumber(project)
      return { origin: `local:${number}`, number }
    },
  }
}
