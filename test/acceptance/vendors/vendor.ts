// A vendor as a whole run needs one: played behind a host with git, told of by webhooks, with people at its other side.

import type { LabelWorld } from '../../../src/drivers/label-events.contract.ts'
import type { TrackerWorld } from '../../../src/drivers/remote.contract.ts'
import type { Mail } from './mail.ts'

export interface Vendor {
  name: 'github' | 'gitea' | 'plane'
  /** Where it is, API and pages and git. */
  url: string
  /** `owner/name`, or Plane's `workspace/project`. */
  ref: string
  /** What Orch's environment must say to use it. */
  env: Record<string, string>
  /** User and password for git; null where it keeps no repositories. */
  login: string | null
  people: TrackerWorld['people']
  tracker: TrackerWorld
  /** Null: it keeps no repositories. */
  forge: LabelWorld | null
  /** Requests of Orch so far. */
  calls(): number
  /** Sends deliveries for all that happened since they were last sent. */
  tell(): void
  close(): Promise<void>
}

export interface VendorOptions {
  /** The bare repository that it shows. */
  repository: string
  mail: Mail
  /** Of its webhooks. */
  secret: string
  /** Where Orch listens, for a vendor where a person must say so. */
  hook: string
}

/** What people do is told of at once. */
export function telling<World extends object>(world: World, tell: () => void): World {
  return new Proxy(world, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...given: unknown[]) => {
        const done: unknown = await Reflect.apply(value, target, given)
        tell()
        return done
      }
    },
  })
}
