import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from './sqlite.ts'
import type { StoreUnderTest } from './__fixtures__/store-under-test.ts'
import { storeContract } from './store.contract.ts'
import type { Store } from './store.ts'

storeContract('sqlite', async (): Promise<StoreUnderTest> => {
  const dir = await mkdtemp(join(tmpdir(), 'orch-store-'))
  const path = join(dir, 'orch.db')
  const opened: Store[] = []
  const another = async (): Promise<Store> => {
    const store = await openStore(path)
    opened.push(store)
    return store
  }
  return {
    store: await another(),
    another,
    dispose: async () => {
      for (const store of opened) store.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
})
