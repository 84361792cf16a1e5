// What vendors call the registered projects now. A repository that was renamed or moved sends its deliveries under its new
// name.

import type { Remotes } from './capabilities.ts'

interface Remote {
  driver: string
  ref: string
}

export interface RemoteNames {
  /**
   * Null when the project is not to be seen. From memory where it was asked not long ago: others' deliveries may come in a
   * stream. Throws ExternalError.
   */
  recall(remote: Remote): Promise<string | null>
}

/** A project is renamed once in years; its first deliveries afterwards wait for a look, no longer. */
const KNOWN_MS = 10 * 60_000

export function makeRemoteNames(deps: { remotes: Pick<Remotes, 'driver'>; now: () => number }): RemoteNames {
  const known = new Map<string, { name: string | null; at: number }>()
  const ask = async ({ driver, ref }: Remote): Promise<string | null> => {
    const name = (await deps.remotes.driver(driver).findProject(ref))?.ref ?? null
    known.set(`${driver} ${ref}`, { name, at: deps.now() })
    return name
  }
  return {
    async recall(remote) {
      const found = known.get(`${remote.driver} ${remote.ref}`)
      return found && deps.now() - found.at < KNOWN_MS ? found.name : ask(remote)
    },
  }
}
