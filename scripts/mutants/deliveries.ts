// The safeguards of deliveries: whose are taken, kept before they are answered, each applied once and not for ever.

import { inFile, type Mutant } from './mutant.ts'

const GITHUB_HOOK = 'src/drivers/github/webhook.test.ts'
const GITEA_HOOK = 'src/drivers/gitea/webhook.test.ts'
const PLANE_HOOK = 'src/drivers/plane/webhook.test.ts'
const DELIVERIES = 'src/store/sqlite.test.ts#deliveries'
const APPLY = 'src/flow/apply-deliveries.test.ts'

export const deliveryMutants: Mutant[] = [
  ...inFile(
    'src/drivers/signature.ts',
    [GITHUB_HOOK],
    [
      {
        name: 'hook-signature-over-raw-bytes',
        breaks: ['S7', 'S15'],
        find: '.update(body).digest(',
        replace: '.update(body.subarray(0, 0)).digest(',
      },
      {
        name: 'hook-bad-signature-refused',
        breaks: ['S15'],
        find: 'given.byteLength === expected.byteLength && timingSafeEqual(given, expected)',
        replace: 'given.byteLength === expected.byteLength',
      },
      {
        name: 'hook-empty-secret-opens-nothing',
        breaks: ['S15'],
        find: "const secrets = options.secrets.filter((secret) => secret !== '')",
        replace: 'const { secrets } = options',
      },
      {
        name: 'hook-unsigned-refused',
        breaks: ['S15'],
        find: 'return options.unsigned ?',
        replace: 'return !options.unsigned ?',
      },
    ],
  ),
  {
    name: 'hook-bad-one-spoils-the-rest',
    breaks: ['S15'],
    killers: [GITEA_HOOK],
    edits: [
      {
        file: 'src/drivers/signature.ts',
        find: 'expected)).includes(false)',
        replace: 'expected)).every((fits) => !fits)',
      },
    ],
  },
  {
    name: 'hook-gitea-signature-read',
    breaks: ['S15'],
    killers: [GITEA_HOOK],
    edits: [
      { file: 'src/drivers/gitea/webhook.ts', find: 'signatures: signaturesOf(headers)', replace: 'signatures: []' },
    ],
  },
  {
    name: 'hook-plane-signature-read',
    breaks: ['S15'],
    killers: [PLANE_HOOK],
    edits: [
      { file: 'src/drivers/plane/webhook.ts', find: 'signature ? [signature] : []', replace: 'signature ? [] : []' },
    ],
  },
  ...inFile(
    'src/flow/deliveries.ts',
    ['src/surfaces/http/listener.test.ts#is kept, then answered'],
    [
      {
        name: 'hook-kept-before-answered',
        breaks: ['S7'],
        find: 'const { isNew } = await deps.store.appendDelivery(kept)',
        replace: 'const { isNew } = { isNew: kept.at > 0 }',
      },
      {
        name: 'hook-not-kept-is-no-yes',
        breaks: ['S7'],
        find: "return answer(500, 'this delivery could not be kept; send it again', named)",
        replace: "return answer(202, 'taken', named)",
        killers: ['src/surfaces/http/listener.test.ts#an append that fails'],
      },
    ],
  ),
  ...inFile(
    'src/store/sqlite-deliveries.ts',
    [DELIVERIES],
    [
      {
        name: 'hook-same-body-is-the-same',
        breaks: ['S7'],
        find: 'const twin = sql.get<{ id: number }>(TWIN, id)?.id ?? null',
        replace: 'const twin = null',
      },
      {
        name: 'hook-claim-fenced',
        breaks: ['S2', 'S7'],
        find: "SET state = ?, settled_at = ?, note = ?, next_at = NULL, worker = NULL\nWHERE id = ? AND state = 'received' AND worker IS NOT NULL AND token = ?`",
        replace:
          "SET state = ?, settled_at = ?, note = ?, next_at = NULL, worker = NULL\nWHERE id = ? AND state = 'received' AND worker IS NOT NULL AND token >= min(?, 0)`",
      },
      {
        name: 'hook-of-a-dead-worker-comes-back',
        breaks: ['S7', 'L1'],
        find: 'keep(dead.reduce((n, { worker }) => n + sql.run(RECLAIM, now, worker).changes, 0))',
        replace: 'keep(dead.length)',
        failsWith: 'nothing was due',
      },
      {
        name: 'hook-that-kills-is-given-up',
        breaks: ['L2'],
        find: 'const MOST_DEATHS = 8',
        replace: 'const MOST_DEATHS = 8e9',
      },
    ],
  ),
  {
    name: 'hook-id-once',
    breaks: ['S7'],
    killers: [DELIVERIES],
    edits: [
      {
        file: 'src/store/migrations/0003-trackers.ts',
        find: '  UNIQUE (source, delivery_id),\n',
        replace: '',
      },
      {
        file: 'src/store/sqlite-arrivals.ts',
        find: '\nON CONFLICT (source, delivery_id) DO NOTHING',
        replace: '',
      },
    ],
  },
  ...inFile(
    'src/flow/apply-deliveries.ts',
    [APPLY],
    [
      {
        name: 'hook-tried-five-times',
        breaks: ['L2', 'S7'],
        find: 'if (delivery.failures >= RETRY.most)',
        replace: 'if (delivery.failures >= RETRY.most + 1)',
        killers: ['src/flow/apply-deliveries.test.ts#a vendor that is down'],
      },
      {
        name: 'hook-backs-off',
        breaks: ['L2'],
        find: 'RETRY.baseMs * 2 ** delivery.failures',
        replace: 'RETRY.baseMs',
        killers: ['src/flow/apply-deliveries.test.ts#a vendor that is down'],
      },
      {
        name: 'hook-limit-is-no-failure',
        breaks: ['S7'],
        find: 'LIMIT.maxMs), false)',
        replace: 'LIMIT.maxMs), true)',
        killers: ['src/flow/apply-deliveries.test.ts#a limit between failures'],
      },
      {
        name: 'hook-commands-once',
        breaks: ['S7'],
        find: 'return engine.submit(command, { ...options, idempotencyKey })',
        replace: 'return engine.submit(command, { ...options, correlation: idempotencyKey })',
        killers: ['src/flow/apply-deliveries.test.ts#what a person has undone'],
      },
    ],
  ),
]
