import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { programOf } from '../core/policy.ts'
import type { ConfigLayers, ConfigProblem, ProjectFiles, ResolvedProject } from './config.ts'
import { variableOf } from './environment.ts'
import { findAssets, makeConfig } from './make-config.ts'
import { LEAVES, PROTECTED_PATHS } from './schema.ts'

const config = makeConfig({
  assets: findAssets(dirname(fileURLToPath(import.meta.url))),
  agents: ['claude', 'command', 'scripted'],
})

type Given = {
  project?: string
  user?: string
  env?: ConfigLayers['env']
  flags?: Record<string, unknown>
  projectId?: string
  pipeline?: string
  files?: Partial<ProjectFiles>
}
function resolve(given: Given): ReturnType<typeof config.resolve> {
  const file = (name: string, text: string | undefined): { name: string; text: string } | null =>
    text === undefined ? null : { name, text }
  return config.resolve({
    layers: {
      env: given.env ?? {},
      user: file('config.yml', given.user),
      projectId: given.projectId ?? null,
      ...(given.flags ? { flags: given.flags } : {}),
    },
    files: { config: file('.orch.yml', given.project), pipelines: [], prompts: {}, ...given.files },
    pipeline: given.pipeline ?? null,
  })
}
function good(given: Given): ResolvedProject {
  const resolution = resolve(given)
  if (!resolution.ok) throw new Error(JSON.stringify(resolution.problems))
  return resolution.project
}
function problems(given: Given): ConfigProblem[] {
  const resolution = resolve(given)
  return resolution.ok ? [] : resolution.problems
}
const source = (project: ResolvedProject, key: string): string | undefined =>
  project.sources.find((line) => line.key === key)?.source

const user = 'approval: auto\nlimits: { attempts: 5, parallel: 2 }\n'
const project = 'prefix: SHOP\nlimits:\n  attempts: 4\n'

test('the nearest layer wins, leaf by leaf, and every value knows its source', () => {
  const result = good({
    user,
    project,
    env: { ORCH_LIMITS_RUN_MINUTES: '15' },
    flags: { 'limits.transient': 1, approval: undefined },
  })
  expect(result.policy.limits).toEqual({
    attempts: 4,
    parallel: 2,
    runMinutes: 15,
    stallMinutes: 30,
    transient: 1,
    infra: 3,
  })
  expect(
    [
      'limits.attempts',
      'limits.parallel',
      'limits.runMinutes',
      'limits.transient',
      'limits.infra',
      'approval',
      'prefix',
    ].map((key) => source(result, key)),
  ).toEqual([
    '.orch.yml:3',
    'config.yml:2',
    'ORCH_LIMITS_RUN_MINUTES',
    '--limits.transient',
    'default',
    'config.yml:1',
    '.orch.yml:1',
  ])
  expect(result.prefix).toBe('SHOP')
})

describe("a person's part for one project", () => {
  const user =
    'approval: auto\nlimits: { attempts: 5 }\nprojects:\n  SHOP:\n    approval: human\n    limits:\n      attempts: 7\n      parallel: 9\n  WEB: { limits: { attempts: 8 } }\n'

  test('wins over the rest of the file, loses to the project itself, and is none of another project’s business', () => {
    const shop = good({
      user,
      project: 'limits: { parallel: 3 }\n',
      projectId: 'SHOP',
      env: { ORCH_LIMITS_INFRA: '0' },
    })
    expect(shop.policy).toMatchObject({ approval: 'human', limits: { attempts: 7, parallel: 3, infra: 0 } })
    expect(['approval', 'limits.attempts', 'limits.parallel'].map((key) => source(shop, key))).toEqual([
      'config.yml:5',
      'config.yml:7',
      '.orch.yml:1',
    ])
    expect(good({ user, projectId: 'WEB' }).policy).toMatchObject({ approval: 'auto', limits: { attempts: 8 } })
    expect(good({ user, projectId: 'OTHER' }).policy).toMatchObject({ approval: 'auto', limits: { attempts: 5 } })
    expect(good({ user }).policy).toMatchObject({ approval: 'auto', limits: { attempts: 5 } })
  })

  test.each<[string, number, string, RegExp]>([
    ['projects:\n  SHOP:\n    limits: { attemps: 3 }\n', 3, 'projects.SHOP.limits.attemps', /did you mean "attempts"/],
    [
      'projects:\n  SHOP:\n    agents: { developer: { modell: x } }\n',
      3,
      'projects.SHOP.agents.developer.modell',
      /did you mean "model"/,
    ],
    ['projects:\n  shop: {}\n', 2, 'projects.shop', /prefix of a project/],
    ['projects: [SHOP]\n', 1, 'projects', /group of projects/],
    ['projects:\n  SHOP: { prefix: WEB }\n', 2, 'projects.SHOP.prefix', /unknown key/],
    ['projects:\n  SHOP: { projects: {} }\n', 2, 'projects.SHOP.projects', /unknown key/],
  ])('%j is a problem, whatever the project', (user, line, key, text) => {
    for (const projectId of ['SHOP', 'WEB'])
      expect(problems({ user, projectId })).toEqual([
        { file: 'config.yml', line, key, text: expect.stringMatching(text) },
      ])
  })

  test('an empty place is nothing', () => {
    for (const user of ['projects:\n', 'projects:\n  SHOP:\n', '# nothing\n'])
      expect(good({ user, projectId: 'SHOP' }).policy).toEqual(good({}).policy)
  })
})

test.each(['', '   ', undefined])('an empty variable (%j) erases nothing', (value) => {
  expect(good({ env: { ORCH_LIMITS_ATTEMPTS: value, ORCH_APPROVAL: value, ORCH_BASE: value } }).policy).toEqual(
    good({}).policy,
  )
})

test('an empty place in a file erases nothing', () => {
  expect(good({ project: 'setup:\nlimits:\n  attempts:\n# x\n' }).policy).toEqual(good({}).policy)
  expect(good({ project: '# only a comment\n' }).policy).toEqual(good({}).policy)
})

test('variables of other parts are left alone', () => {
  expect(good({ env: { ORCH_HOME: '/x', ORCH_HANDOFF: 'y', PATH: 'z', ORCH: 'w' } }).policy).toEqual(good({}).policy)
})

test('every key has a variable of its own', () => {
  const names = Object.keys(LEAVES).map(variableOf)
  expect(new Set(names).size).toBe(names.length)
  expect(variableOf('diffBudget.addedLines')).toBe('ORCH_DIFF_BUDGET_ADDED_LINES')
})

test('variables of every kind', () => {
  const { policy } = good({
    env: {
      ORCH_SANDBOX_NETWORK: 'false',
      ORCH_PARALLEL_VERIFY: '1',
      ORCH_SETUP: 'npm ci',
      ORCH_VERIFY: '[npm test, {run: lint, timeout: 10m}]',
      ORCH_AGENTS_DEVELOPER_AGENT: 'claude',
      ORCH_ENV_SET_TZ: 'UTC',
      ORCH_ENV_PASS: '[NPM_TOKEN, X]',
    },
  })
  expect(policy).toMatchObject({
    sandbox: { network: false },
    verifyParallel: true,
    setup: ['npm ci'],
    verify: [
      { run: 'npm test', timeoutSeconds: 900, cwd: '.', paths: [] },
      { run: 'lint', timeoutSeconds: 600 },
    ],
    roles: { developer: { agent: 'claude' } },
    env: { set: { TZ: 'UTC' }, pass: ['NPM_TOKEN', 'X'] },
  })
  expect(good({ env: { ORCH_VERIFY: 'none' } }).policy.verify).toBe('none')
})

describe('agents', () => {
  test('two roles may use the same agent with programs of their own', () => {
    const { policy } = good({
      project: 'agents:\n  developer: {agent: command, command: x}\n  reviewer: {agent: command, command: y}\n',
    })
    expect(programOf(policy, { role: 'developer', agent: 'command' })).toEqual({ command: 'x' })
    expect(programOf(policy, { role: 'reviewer', agent: 'command' })).toEqual({ command: 'y' })
  })

  test('effort and who may take over belong to the role; whoever a higher layer chose takes over from nobody', () => {
    const project = 'agents:\n  developer: {agent: claude, effort: low, fallback: [scripted, command, scripted]}\n'
    const roles = (env: ConfigLayers['env']) => good({ project, env }).policy.roles
    expect(roles({})).toEqual({ developer: { agent: 'claude', effort: 'low', fallback: ['scripted', 'command'] } })
    expect(roles({ ORCH_AGENTS_DEVELOPER_AGENT: 'scripted', ORCH_AGENTS_DEVELOPER_EFFORT: 'high' })).toEqual({
      developer: { agent: 'scripted', effort: 'high', fallback: ['command'] },
    })
    expect(roles({ ORCH_AGENTS_DEVELOPER_FALLBACK: 'command' })).toEqual({
      developer: { agent: 'claude', effort: 'low', fallback: ['command'] },
    })
    expect(roles({ ORCH_AGENTS_DEVELOPER_FALLBACK: '[]' })).toEqual({
      developer: { agent: 'claude', effort: 'low', fallback: [] },
    })
  })

  test("roles and agents are told apart, and a command beside a role is its agent's", () => {
    const { policy } = good({
      project:
        'agents:\n  developer: {agent: command, command: python3 a.py}\n  reviewer: {agent: claude, model: opus}\n  claude: {bin: /opt/claude}\n',
    })
    expect(policy.roles).toEqual({
      developer: { agent: 'command', command: 'python3 a.py' },
      reviewer: { agent: 'claude', model: 'opus' },
    })
    expect(policy.agents).toEqual({ command: { command: 'python3 a.py' }, claude: { bin: '/opt/claude' } })
  })

  test('a model goes with the agent it was written for', () => {
    const project = 'agents: {developer: {agent: claude, model: opus}}'
    expect(good({ project, env: { ORCH_AGENTS_DEVELOPER_AGENT: 'scripted' } }).policy.roles).toEqual({
      developer: { agent: 'scripted' },
    })
    expect(good({ project, env: { ORCH_AGENTS_DEVELOPER_AGENT: 'claude' } }).policy.roles).toEqual({
      developer: { agent: 'claude', model: 'opus' },
    })
  })

  test.each<[string, string, number, string, RegExp]>([
    [
      'an unknown agent',
      'agents:\n  developer:\n    agent: claud\n',
      3,
      'agents.developer.agent',
      /unknown agent "claud" \(did you mean "claude"\?\)/,
    ],
    ['a model of an agent', 'agents:\n  claude:\n    model: opus\n', 3, 'agents.claude.model', /under the role/],
    ['an effort of an agent', 'agents:\n  claude:\n    effort: low\n', 3, 'agents.claude.effort', /under the role/],
    [
      'an unknown stand-in',
      'agents:\n  developer:\n    agent: claude\n    fallback: [scriptd]\n',
      4,
      'agents.developer.fallback',
      /unknown agent "scriptd" \(did you mean "scripted"\?\)/,
    ],
    ['a command of a role', 'agents:\n  developer:\n    command: x\n', 3, 'agents.developer.command', /agent: command/],
  ])('%s', (_name, project, line, key, text) => {
    expect(problems({ project })).toEqual([{ file: '.orch.yml', line, key, text: expect.stringMatching(text) }])
  })
})

describe('the hash', () => {
  test('does not depend on the order of keys or on where a value comes from', () => {
    const a = good({ project: 'approval: auto\nverify: [x]\nenv: {set: {A: 1, B: 2}}\n' })
    const b = good({
      user: 'env: {set: {B: 2}}\n',
      project: 'verify: [{run: x}]\nenv: {set: {A: "1"}}\n',
      env: { ORCH_APPROVAL: 'auto' },
    })
    expect(a.policy.configHash).toBe(b.policy.configHash)
  })

  test.each([
    'verify: [y]',
    'setup: [y]',
    'approval: auto',
    'protected: [x]',
    'knownFailures: [x]',
    'diffBudget: {files: 1}',
    'sandbox: {network: false}',
    'commits: {pattern: x}',
    'env: {set: {A: 1}}',
    'agents: {reviewer: {agent: claude}}',
    'land: {method: squash}',
    'base: x',
  ])('changes with what judges: %s', (project) =>
    expect(good({ project }).policy.configHash).not.toBe(good({}).policy.configHash),
  )

  test('changes with a prompt and with the pipeline', () => {
    const other = good({ files: { prompts: { reviewer: { name: 'r', text: 'Approve all.' } } } })
    expect(other.policy.configHash).not.toBe(good({}).policy.configHash)
    const stages = 'stages: [{name: a, kind: agent, role: developer}]'
    expect(good({ files: { pipelines: [{ name: 'direct.yml', text: stages }] } }).policy.configHash).not.toBe(
      good({}).policy.configHash,
    )
  })

  test('does not change with what only says how often and when', () => {
    const project =
      'limits: {attempts: 9, runMinutes: 1, parallel: 9, transient: 0, infra: 0}\nparallelVerify: true\nprefix: A\n'
    expect(good({ project }).policy.configHash).toBe(good({}).policy.configHash)
  })
})

describe('pipelines and prompts', () => {
  test('the default is direct, a task may name another, an unknown one is a problem where it stands', () => {
    expect(good({}).policy.pipeline.stages.map((stage) => stage.kind)).toEqual(['agent', 'publish', 'agent', 'land'])
    const mine = {
      name: '.orch/pipelines/mine.yml at origin/main',
      text: 'stages:\n  - {name: a, kind: agent, role: developer}\n',
    }
    expect(good({ pipeline: 'mine', files: { pipelines: [mine] } }).policy.pipeline.name).toBe('mine')
    expect(problems({ project: '\npipeline: dierct\n' })).toEqual([
      { file: '.orch.yml', line: 2, key: 'pipeline', text: expect.stringContaining('did you mean "direct"') },
    ])
    expect(problems({ pipeline: 'none' })).toMatchObject([{ file: 'task', key: 'pipeline' }])
  })

  test('of the pipeline and the instructions in force it is said where they stand', () => {
    const files = { prompts: { developer: { name: '.orch/prompts/developer.md', text: 'Be quick.' } } }
    const result = good({ files })
    expect(result.sources.filter(({ key }) => /^(pipelines|prompts)\./.test(key))).toEqual([
      { key: 'pipelines.direct', value: ['develop', 'publish', 'review', 'land'], source: 'built-in direct.yml' },
      { key: 'prompts.developer', value: '9 bytes', source: '.orch/prompts/developer.md' },
      { key: 'prompts.reviewer', value: expect.stringMatching(/^\d+ bytes$/), source: 'built-in reviewer.md' },
    ])
  })

  test('a role without instructions, and empty or endless ones, are problems', () => {
    const mine = { name: 'mine.yml', text: 'stages: [{name: a, kind: agent, role: poet}]' }
    expect(problems({ pipeline: 'mine', files: { pipelines: [mine] } })).toMatchObject([
      { key: 'prompts.poet', text: expect.stringContaining('.orch/prompts/poet.md') },
    ])
    const prompts = (text: string): ProjectFiles['prompts'] => ({ developer: { name: 'p.md', text } })
    expect(problems({ files: { prompts: prompts(' \n') } })).toMatchObject([
      { file: 'p.md', text: expect.stringContaining('empty') },
    ])
    expect(problems({ files: { prompts: prompts('x'.repeat(70_000)) } })).toMatchObject([
      { file: 'p.md', text: expect.stringContaining('bytes') },
    ])
    expect(good({ files: { prompts: prompts('Be quick.') } }).prompts['developer']).toBe('Be quick.')
  })
})

test('a project adds to the protected paths and takes none away', () => {
  const result = good({ project: 'protected: ["migrations/**"]\n' })
  expect(result.policy.protected).toEqual([...PROTECTED_PATHS, 'migrations/**'])
  expect(good({ project: 'protected: []\n' }).policy.protected).toEqual([...PROTECTED_PATHS])
  expect(source(result, 'protected')).toMatch(/^\.orch\.yml:1/)
})

test('problems of all layers are told together', () => {
  const found = problems({
    user: 'approvel: auto',
    project: 'limits: 3',
    env: { ORCH_LIMITS_ATTEMPTS: 'many', ORCH_LIMITS_ATEMPTS: '3' },
    flags: { approval: 'yes' },
  })
  expect(found.map(({ file, key }) => [file, key])).toEqual([
    ['config.yml', 'approvel'],
    ['.orch.yml', 'limits'],
    ['environment', 'ORCH_LIMITS_ATEMPTS'],
    ['environment (ORCH_LIMITS_ATTEMPTS)', 'limits.attempts'],
    ['command line', 'approval'],
  ])
})

test('any text at all gives a policy or problems with a file, never an exception', () => {
  const word = fc.constantFrom(
    'verify',
    'agents',
    'limits',
    'env',
    'set',
    '__proto__',
    'constructor',
    '- ',
    ': ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    'none',
    '3',
    'x',
    '"',
  )
  fc.assert(
    fc.property(
      fc.array(word).map((words) => words.join('')),
      (project) => {
        const resolution = resolve({ project })
        if (!resolution.ok)
          for (const problem of resolution.problems)
            expect(problem).toMatchObject({ file: '.orch.yml', line: expect.any(Number) })
      },
    ),
  )
})
