// Which remembered changes are a repository's. A number alone says nothing: every repository has a change 7, and a task's
// change may be remembered from another repository, from Orch's own list, or by the name a repository had once.

import type { ChangeRow } from '../store/store.ts'
import type { ChangeMemory } from './driver.ts'

export interface OwnChanges {
  /** The task's change, where it is one of this repository; null else. */
  find(task: string): Promise<ChangeRow | null>
  /** The task whose change has this number here. */
  taskOf(number: number): Promise<string | null>
}

/**
 * `isHere` looks at the remembered address alone. Where that is another one, as after a renaming, `confirm` asks the forge
 * whether its change of that number is of the remembered branch, in this very repository; a yes is not asked for again.
 */
export function makeOwnChanges(deps: {
  memory: ChangeMemory
  isHere: (row: ChangeRow) => boolean
  confirm: (row: ChangeRow) => Promise<boolean>
}): OwnChanges {
  const confirmed = new Set<string>()
  const isOwn = async (row: ChangeRow): Promise<boolean> => {
    const key = JSON.stringify([row.task, row.number, row.url])
    // Orch's own list gives no address.
    if (row.url === null) return false
    if (deps.isHere(row) || confirmed.has(key)) return true
    if (!(await deps.confirm(row))) return false
    confirmed.add(key)
    return true
  }
  return {
    async find(task) {
      const row = deps.memory.getChange(task)
      return row && (await isOwn(row)) ? row : null
    },
    async taskOf(number) {
      const rows = deps.memory.listChanges().filter((row) => row.number === number)
      const sure = rows.find((row) => row.url !== null && deps.isHere(row))
      if (sure) return sure.task
      for (const row of rows) if (await isOwn(row)) return row.task
      return null
    },
  }
}

/** Writes only where something but the time differs. */
export async function saveChange(memory: ChangeMemory, before: ChangeRow | null, row: ChangeRow): Promise<ChangeRow> {
  const { updatedAt: _now, ...facts } = row
  const isSame =
    before !== null && Object.entries(facts).every(([name, value]) => before[name as keyof ChangeRow] === value)
  return isSame ? before : memory.saveChange(row)
}
