// What a store's contract suite is given.

import type { Store } from '../store.ts'

export interface StoreUnderTest {
  store: Store
  /** A second store on the same data, as another process would open it. */
  another(): Promise<Store>
  /** Closes everything and removes the data. */
  dispose(): Promise<void>
}

export type UseStore = () => StoreUnderTest
