// A process that takes webhooks and does nothing else: node listening.ts DATABASE. Prints its address; is killed by the test.

import { makeDoor } from '../../../flow/deliveries.ts'
import { SECRET, memoryAudit, testSource } from '../../../flow/test-webhooks.ts'
import { makeWebhookHealth } from '../../../flow/webhook-health.ts'
import { openStore } from '../../../store/sqlite.ts'
import { listen } from '../listener.ts'

const store = await openStore(process.argv[2] ?? '')
const door = makeDoor({
  store,
  sources: { github: testSource },
  secrets: { github: [SECRET] },
  settings: { port: 0, host: '127.0.0.1', maxBytes: 1 << 20, unsigned: false },
  audit: memoryAudit(),
  health: makeWebhookHealth({ now: Date.now, lastDeliveries: () => [] }),
  now: Date.now,
  onError: (error) => console.error(error),
  onNew: () => undefined,
})
const { url } = await listen(door, { host: '127.0.0.1', port: 0 })
console.log(url)
