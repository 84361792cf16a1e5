// Who works in a role when somebody is limited, failing, missing or not logged in, and what the record says about why.

import { expect, test } from 'vitest'
import type { AgentAdapter, FoundAgent } from '../agents/agent.ts'
import { type Account, newAccount } from '../core/account.ts'
import type { RoleChoice } from '../core/policy.ts'
import { MINUTE, POLICY, started, taskIn } from '../core/test-spec.ts'
import type { RunRow } from '../store/store.ts'
import { type ChosenAgent, chooseAgent } from './choose-agent.ts'

const NOW = Date.UTC(2026, 0, 2, 14)
const NOON = '2026-01-02T15:00:00.000Z'

interface Machine {
  /** What there is: an agent's login, or null where it is missing. Others are unknown to Orch. */
  agents?: Record<string, FoundAgent['loggedIn'] | null>
  efforts?: AgentAdapter['efforts']
  accounts?: Record<string, Partial<Account>>
  role?: RoleChoice
  /** Who wrote the change, for a role that judges it. */
  author?: string
  begun?: Partial<RunRow>
}

const limited = (until: number): Partial<Account> => ({ limitedUntil: until, limitReason: 'agent-rate-limit' })
const open = (retryAt: number): Partial<Account> => ({
  breaker: { failures: 3, reason: 'auth: no', opened: 1, retryAt, canary: null },
})

function choose(machine: Machine): Promise<ChosenAgent> {
  const { agents = { claude: 'yes', codex: 'yes' }, accounts = {}, author } = machine
  const adapters = Object.entries(agents).map(([name, loggedIn]): [string, AgentAdapter] => [
    name,
    {
      name,
      tested: null,
      efforts: machine.efforts ?? [],
      ownSandbox: null,
      find: async () => loggedIn && { path: `/bin/${name}`, version: null, loggedIn, note: '' },
      command: () => expect.fail('nothing is started'),
      parser: () => expect.fail('nothing is read'),
    },
  ])
  const roles = machine.role ? { maker: machine.role, judge: machine.role } : {}
  const stage =
    POLICY.pipeline.stages.find(({ role }) => role === (author ? 'judge' : 'maker')) ?? expect.fail('no stage')
  const wrote = author === undefined ? [] : [{ role: 'maker', agent: author } as RunRow]
  return chooseAgent(
    {
      adapters: Object.fromEntries(adapters),
      env: {},
      now: () => NOW,
      store: {
        getAccount: (id) => (accounts[id] ? { version: 1, state: { ...newAccount(id), ...accounts[id] } } : null),
        getRun: () => (machine.begun ? (machine.begun as RunRow) : null),
        listRuns: () => wrote,
      },
    },
    { task: taskIn(started()), policy: { ...POLICY, roles }, stage, runId: 'T-1-1' },
  )
}

const pick = async (machine: Machine) => {
  const { name, why, lastResort } = await choose(machine)
  return { name, why, ...(lastResort ? { lastResort } : {}) }
}

const CLAUDE: RoleChoice = { agent: 'claude', model: 'opus', fallback: ['codex', 'gemini'] }
const THREE = { claude: 'yes', codex: 'yes', gemini: 'yes' } as const

test('the chosen agent works, with its model, and the others are not even looked for', async () => {
  expect(await choose({ role: CLAUDE, agents: { claude: 'unknown', codex: null } })).toMatchObject({
    name: 'claude',
    model: 'opus',
    why: 'agents.maker.agent says so',
    lastResort: false,
  })
})

test.each<[string, Machine, string]>([
  ['limited', { accounts: { claude: limited(NOW + 60 * MINUTE) } }, `claude is limited until ${NOON} (rate limit)`],
  [
    'failing',
    { accounts: { claude: open(NOW + 60 * MINUTE) } },
    `claude failed 3 runs in a row (auth: no); one run tries it again at ${NOON}`,
  ],
  ['missing', { agents: { ...THREE, claude: null } }, 'claude was not found'],
  ['not logged in', { agents: { ...THREE, claude: 'no' } }, 'claude is not logged in'],
])(
  'while it is %s, the next permitted one takes over with a model of its own and says why',
  async (_, machine, why) => {
    const taken = await choose({ agents: THREE, role: CLAUDE, ...machine })
    expect(taken).toMatchObject({ name: 'codex', model: null, why: `${why}; codex may take over`, lastResort: false })
  },
)

test('those that can’t take over are passed by, each with its reason', async () => {
  const accounts = { claude: limited(NOW + 60 * MINUTE), codex: limited(NOW + MINUTE) }
  expect(await pick({ agents: THREE, role: CLAUDE, accounts })).toEqual({
    name: 'gemini',
    why: `claude is limited until ${NOON} (rate limit); codex is limited until 2026-01-02T14:01:00.000Z (rate limit); gemini may take over`,
  })
})

test('when all are limited the one that is free first is waited for; one without a login is no help', async () => {
  const accounts = { claude: limited(NOW + 60 * MINUTE), codex: limited(NOW + MINUTE) }
  const machine = { agents: { ...THREE, gemini: 'no' as const }, role: CLAUDE, accounts }
  expect(await pick(machine)).toMatchObject({ name: 'codex', lastResort: true })
})

test('a chosen agent without a fallback is waited for, begun without a visible login, and held when it is missing', async () => {
  const role = { agent: 'claude' }
  const accounts = { claude: limited(NOW + MINUTE) }
  expect(await pick({ role, accounts })).toMatchObject({ name: 'claude', lastResort: true })
  expect(await pick({ role, agents: { claude: 'no' } })).toEqual({ name: 'claude', why: 'agents.maker.agent says so' })
  const trouble = (text: RegExp, code = 'agent-missing') => ({
    trouble: { class: 'hold', code, text: expect.stringMatching(text) },
  })
  await expect(pick({ role, agents: { claude: null } })).rejects.toMatchObject(trouble(/^agent claude was not found/))
  await expect(pick({ role: CLAUDE, agents: {} })).rejects.toMatchObject(trouble(/no agent "claude"/, 'unknown-agent'))
  await expect(pick({ role: CLAUDE, agents: { claude: null } })).rejects.toMatchObject(
    trouble(/none of the agents claude, codex, gemini/),
  )
})

test('where nobody chose, the first one found works, and any other found and logged in takes over', async () => {
  expect(await pick({ agents: { codex: 'yes', claude: null } })).toEqual({
    name: 'codex',
    why: 'the first agent found on this machine',
  })
  expect(await pick({ agents: { claude: 'no', opencode: 'yes' } })).toMatchObject({ name: 'opencode' })
  const accounts = { claude: limited(NOW + 60 * MINUTE) }
  expect(await pick({ agents: { claude: 'yes', codex: 'no', gemini: 'yes' }, accounts })).toEqual({
    name: 'gemini',
    why: `claude is limited until ${NOON} (rate limit); gemini may take over`,
  })
  expect(await pick({ agents: { claude: 'yes', codex: 'no' }, accounts })).toMatchObject({
    name: 'claude',
    lastResort: true,
  })
  await expect(pick({ agents: { claude: null } })).rejects.toMatchObject({ trouble: { code: 'agent-missing' } })
})

test('who judges is another agent than the author where one can begin, the author in a session of its own else', async () => {
  expect(await pick({ author: 'claude' })).toEqual({ name: 'codex', why: "another agent than the author's (claude)" })
  const accounts = { codex: limited(NOW + 60 * MINUTE) }
  expect(await pick({ author: 'claude', accounts })).toEqual({
    name: 'claude',
    why: `codex is limited until ${NOON} (rate limit); claude may take over`,
  })
  expect(await pick({ author: 'claude', agents: { claude: 'yes' } })).toEqual({
    name: 'claude',
    why: 'the only agent there is, in a session of its own',
  })
  const all = { agents: THREE, role: CLAUDE, accounts: { claude: limited(NOW + MINUTE) } }
  expect(await pick({ ...all, author: 'codex' })).toMatchObject({ name: 'gemini' })
})

test('after the cooldown the first to come tries the failing agent again, and its record says so', async () => {
  expect(await pick({ role: CLAUDE, accounts: { claude: open(NOW) } })).toEqual({
    name: 'claude',
    why: 'agents.maker.agent says so; claude failed 3 runs in a row (auth: no); this run tries it again',
  })
})

test('an effort is asked for where the agent has it, and left out with a word where it has not', async () => {
  const role = { agent: 'claude', effort: 'high' } as const
  expect(await choose({ role, efforts: ['low', 'high'] })).toMatchObject({
    effort: 'high',
    why: 'agents.maker.agent says so',
  })
  expect(await choose({ role, efforts: ['low'] })).toMatchObject({
    effort: null,
    why: 'agents.maker.agent says so; effort high is left out: claude has no such setting',
  })
})

test('a run on the books keeps its agent, whatever has happened to its account since', async () => {
  const begun = { agent: 'codex', model: 'o9', why: 'as it was' }
  const accounts = { codex: limited(NOW + MINUTE) }
  expect(await choose({ role: CLAUDE, begun, accounts })).toMatchObject({
    name: 'codex',
    model: 'o9',
    why: 'as it was',
  })
  await expect(pick({ role: CLAUDE, begun, agents: { claude: 'yes' } })).rejects.toMatchObject({
    trouble: { code: 'agent-missing' },
  })
})
