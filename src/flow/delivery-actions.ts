// What a person does about deliveries: has one applied again, removes old ones.

import { UserError } from '../lib/errors.ts'
import type { App, DeliveryView } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { deliveryView } from './webhook-views.ts'

const DAY_MS = 24 * 3_600_000

type Deps = Pick<Capabilities, 'store' | 'now' | 'wake'>

export function makeDeliveryActions(deps: Deps): Pick<App, 'replayDelivery' | 'cleanDeliveries'> {
  return {
    replayDelivery: (id) => replayDelivery(deps, id),
    cleanDeliveries: ({ keepDays, failed }) => {
      const before = deps.now() - keepDays * DAY_MS
      return deps.store.cleanDeliveries({ before, bodiesBefore: before, failed })
    },
  }
}

async function replayDelivery({ store, now, wake }: Deps, id: number): Promise<DeliveryView> {
  const done = await store.replayDelivery({ id, now: now() })
  const [row] = store.listDeliveries({ id, limit: 1 })
  if (done === null || !row)
    throw new UserError(3, 'no-delivery', `there is no delivery ${id}; see \`orch webhook deliveries\``)
  if (done === 'not-settled')
    throw new UserError(4, 'not-settled', `delivery ${id} is still to be worked on; \`orch up\` does it`)
  if (done === 'emptied')
    throw new UserError(
      4,
      'emptied',
      `the body of delivery ${id} is not kept any more; have its sender deliver it again`,
    )
  wake()
  return deliveryView(row)
}
