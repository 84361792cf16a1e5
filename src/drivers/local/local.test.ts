import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../store/sqlite.ts'
import type { Store } from '../../store/store.ts'
import { forgeContract, localTrackerContract } from '../driver.contract.ts'
import { makeLocalForge } from './forge.ts'
import { makeLocalTracker } from './tracker.ts'

async function open(): Promise<{ store: Store; close: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'orch-local-'))
  const store = await openStore(join(dir, 'orch.db'))
  for (const id of ['SHOP', 'WEB'])
    await store.addProject({ id, name: id, path: `/clones/${id}`, remote: `/remotes/${id}.git`, createdAt: 1 })
  const close = async (): Promise<void> => {
    store.close()
    await rm(dir, { recursive: true, force: true })
  }
  return { store, close }
}

let clock = 1_000

forgeContract('local', async () => {
  const { store, close } = await open()
  return {
    forge: makeLocalForge(store, () => (clock += 1)),
    findChange: (task) => Promise.resolve(store.getChange(task)),
    listReviews: (change) => Promise.resolve(store.listReviews(change.project, change.number)),
    close,
  }
})

localTrackerContract('local', async () => {
  const { store, close } = await open()
  return { tracker: makeLocalTracker(store), close }
})
