// The safeguards of order: the train, the lanes, limits and breakers of agents.

import { inFile, type Mutant } from './mutant.ts'

const DECIDE = 'src/core/decide.test.ts'
const BETWEEN = 'src/core/interleavings.test.ts'
const PROPERTIES = 'src/core/properties.test.ts'
const LIMITS = 'src/core/limits.test.ts'

export const orderMutants: Mutant[] = [
  ...inFile(
    'src/core/train.ts',
    ['src/core/schedule.test.ts', PROPERTIES],
    [
      {
        name: 'core-train-holds-once',
        breaks: ['S6'],
        find: 'if (index < 0) return',
        replace: 'if (index < 1e9) return',
      },
      {
        name: 'core-train-serial',
        breaks: ['S6'],
        find: 'return first ? [{ prefix: [first] }] : []',
        replace: 'return first ? train.entries.map((entry) => ({ prefix: [entry] })) : []',
        killers: [DECIDE],
      },
      {
        name: 'core-train-left',
        breaks: ['L4'],
        find: 'train.entries.filter((entry) => entry.task !== task)',
        replace: 'train.entries.filter((entry) => entry.task !== task || entry.epoch > 1)',
      },
      {
        name: 'core-red-seen-twice',
        breaks: ['S11'],
        find: 'result.reds >= 2',
        replace: 'result.reds >= 1',
      },
      {
        name: 'core-nobody-blamed-for-predecessor',
        breaks: ['S11'],
        find: 'test.prefix.length === 1 && ',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/core/schedule.ts',
    ['src/core/schedule.test.ts', LIMITS],
    [
      {
        name: 'core-one-landing-at-a-time',
        breaks: ['S6'],
        find: 'return { lane: `land:${project}`, laneCapacity: 1 }',
        replace: 'return { lane: `land:${project}`, laneCapacity: LIGHT_CAPACITY }',
      },
      {
        name: 'core-runs-capped',
        breaks: ['S10'],
        find: 'return { lane: `run:${project}`, laneCapacity: capacity.parallel }',
        replace: 'return { lane: `run:${project}`, laneCapacity: capacity.parallel + 1_000 }',
      },
      {
        name: 'core-verifications-apart',
        breaks: ['S13'],
        find: 'laneCapacity: capacity.verifyParallel ? capacity.parallel : 1 }',
        replace: 'laneCapacity: capacity.parallel }',
      },
      {
        name: 'core-lanes-by-project',
        breaks: ['L2'],
        find: 'lane: `run:${project}`',
        replace: "lane: 'run'",
      },
      {
        name: 'core-age-bounds-order',
        breaks: ['L3'],
        find: 'return queuedAt - priority * PRIORITY_STEP_MS',
        replace: 'return -priority',
      },
      {
        name: 'core-limit-waited-out',
        breaks: ['S10'],
        find: 'if (until !== null) {',
        replace: 'if (until !== null && until < 0) {',
      },
      {
        name: 'core-breaker-holds',
        breaks: ['L2'],
        find: 'if (breaker.retryAt > now) {',
        replace: 'if (breaker.retryAt > now && breaker.failures < 0) {',
        killers: [LIMITS],
      },
      {
        name: 'core-one-canary',
        breaks: ['L2'],
        find: 'if (canary && canary.until > now) {',
        replace: 'if (canary && canary.until < 0) {',
        killers: [LIMITS],
      },
      {
        name: 'core-canary-given-up',
        breaks: ['L6'],
        find: 'if (canary && canary.until > now) {',
        replace: 'if (canary) {',
        killers: [LIMITS],
      },
    ],
  ),
  ...inFile(
    'src/core/account.ts',
    [LIMITS, PROPERTIES, BETWEEN],
    [
      {
        name: 'core-spend-grows',
        breaks: ['S10'],
        find: 'spentUsd: account.spentUsd + event.data.costUsd',
        replace: 'spentUsd: event.data.costUsd',
      },
      {
        name: 'core-breaker-opens',
        breaks: ['L2'],
        find: 'const FAILURES_TO_OPEN = 3',
        replace: 'const FAILURES_TO_OPEN = 3e9',
      },
      {
        name: 'core-breaker-needs-three',
        breaks: ['L2'],
        find: 'const FAILURES_TO_OPEN = 3',
        replace: 'const FAILURES_TO_OPEN = 1',
      },
      {
        name: 'core-success-closes-breaker',
        breaks: ['L6'],
        find: 'const { backoffs: _, breaker: __, ...healthy } = account',
        replace: 'const { backoffs: _, ...healthy } = account',
      },
      {
        name: 'core-long-limit-not-cut',
        breaks: ['S10'],
        find: 'until: Math.max(now + lasts, current ?? 0)',
        replace: 'until: now + lasts',
      },
      {
        name: 'core-limit-lasts',
        breaks: ['S10'],
        find: 'const LIMIT_MIN_MS = 1_000',
        replace: 'const LIMIT_MIN_MS = 0',
      },
    ],
  ),
  ...inFile(
    'src/core/liveness.ts',
    ['src/core/liveness.test.ts'],
    [
      {
        name: 'core-person-moves-what-is-held',
        breaks: ['L6'],
        find: "if (task.status === 'needs_review') return 'person'",
        replace: '',
      },
      {
        name: 'core-nothing-moves-it-is-seen',
        breaks: ['L6'],
        find: "return task.waitingFor === 'train' && isInLine(task, facts.train) ? 'train' : null",
        replace: "return 'train'",
      },
      {
        name: 'core-paused-is-a-persons',
        breaks: ['L6'],
        find: "if (task.paused && task.status !== 'running') return 'person'",
        replace: '',
      },
      {
        name: 'core-blocked-by-nothing-is-seen',
        breaks: ['L6'],
        find: "return task.openDeps.length > 0 ? 'tasks' : null",
        replace: "return 'tasks'",
      },
    ],
  ),
]
