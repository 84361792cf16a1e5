// What the tests of a file share and what may fail to be made, such as an installation.
// Invariant: what can't be made fails each test that asks for it; the runner by itself would leave those tests out.

import { beforeAll } from 'vitest'

/** Makes it once before the tests of the file or group; what it gives is asked for in a test or a later hook. */
export function madeFirst<T>(make: () => Promise<T>): () => T {
  let made: { value: T } | { error: unknown } | null = null
  beforeAll(async () => {
    made = await make().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
  })
  return () => {
    if (made === null) throw new Error('it is asked for before the first hook is over')
    if ('error' in made) throw made.error
    return made.value
  }
}
