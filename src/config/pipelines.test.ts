import { expect, test } from 'vitest'
import { listPipelines, parsePipeline } from './pipelines.ts'

const file = (text: string, name = '.orch/pipelines/mine.yml at origin/main'): { name: string; text: string } => ({
  name,
  text,
})
const A = '  - {name: a, kind: agent, role: developer}\n'

test('a good file is a pipeline named after the file or by itself', () => {
  expect(
    parsePipeline(
      file(
        `description: x\nstages:\n${A}  - {name: b, kind: publish}\n  - {name: c, kind: land, onFail: a, gates: []}\n`,
      ),
    ),
  ).toEqual({
    name: 'mine',
    problems: [],
    pipeline: {
      name: 'mine',
      description: 'x',
      stages: [
        { name: 'a', kind: 'agent', role: 'developer', gates: [] },
        { name: 'b', kind: 'publish', gates: [] },
        { name: 'c', kind: 'land', onFail: 'a', gates: [] },
      ],
    },
  })
  expect(parsePipeline(file(`name: other\nstages:\n${A}`)).name).toBe('other')
})

test.each<[string, string, number, string, RegExp]>([
  ['no stages', 'name: x\n', 1, 'stages', /list of stages/],
  ['empty stages', 'stages: []\n', 1, 'stages', /at least one/],
  ['an unknown key', `stages:\n${A}gates: []\n`, 3, 'gates', /unknown key/],
  ['an unknown kind', 'stages:\n  - name: a\n    kind: agnt\n', 3, 'stages[0].kind', /one of agent/],
  [
    'a known kind that can not run yet',
    `stages:\n${A}  - name: b\n    kind: release\n`,
    4,
    'stages[1].kind',
    /can't be carried out/,
  ],
  [
    'an unknown gate',
    'stages:\n  - name: a\n    kind: agent\n    role: x\n    gates:\n      - handoff\n      - luck\n',
    7,
    'stages[0].gates[1]',
    /must be a gate: handoff/,
  ],
  [
    'a gate where it can not judge',
    `stages:\n${A}  - {name: b, kind: publish}\n  - name: c\n    kind: land\n    gates: [review]\n`,
    6,
    'stages[2].gates[0]',
    /judges agent stages only/,
  ],
  [
    'an unknown stage',
    `stages:\n${A}  - {name: b, kind: publish, onFail: z}\n`,
    3,
    'stages[1].onFail',
    /unknown stage "z"/,
  ],
  [
    'a cycle',
    `stages:\n  - {name: a, kind: agent, role: x, onFail: b}\n  - {name: b, kind: agent, role: x}\n`,
    2,
    'stages[0].onFail',
    /cycle/,
  ],
  ['a name twice', `stages:\n${A}${A}`, 3, 'stages[1].name', /twice/],
  ['no role', 'stages:\n  - {name: a, kind: agent}\n', 2, 'stages[0].role', /no role/],
  [
    'a name that breaks things',
    'stages:\n  - {name: "A b", kind: agent, role: x}\n',
    2,
    'stages[0].name',
    /lower-case/,
  ],
  ['land without publish', `stages:\n${A}  - {name: b, kind: land}\n`, 3, 'stages[1].kind', /publish/],
  ['no agent first', 'stages:\n  - {name: a, kind: publish}\n', 2, 'stages[0].kind', /first stage/],
  ['broken YAML', 'stages: [\n', 1, '(file)', /./],
  ['nothing', '', 1, '(file)', /group of keys/],
])('refuses: %s', (_name, text, line, key, words) => {
  const { pipeline, problems } = parsePipeline(file(text))
  expect(pipeline).toBeNull()
  expect(problems).toContainEqual({
    file: '.orch/pipelines/mine.yml at origin/main',
    line,
    key,
    text: expect.stringMatching(words),
  })
})

test("a project's own pipeline hides the built-in one of its name, broken or not", () => {
  const builtIn = [file(`stages:\n${A}`, 'built-in direct.yml')]
  expect(listPipelines(builtIn, [])).toMatchObject([{ name: 'direct', source: 'built-in', problems: [] }])
  expect(listPipelines(builtIn, [file(`stages:\n${A}`, 'direct.yml'), file(`stages:\n${A}`, 'a.yml')])).toMatchObject([
    { name: 'a', source: 'project' },
    { name: 'direct', source: 'project' },
  ])
  expect(listPipelines(builtIn, [file('stages: 3', 'direct.yml')])).toMatchObject([
    { name: 'direct', source: 'project', pipeline: null },
  ])
})

test('two files that claim one name are a problem', () => {
  const own = [file(`name: x\nstages:\n${A}`, 'a.yml'), file(`name: x\nstages:\n${A}`, 'b.yml')]
  expect(listPipelines([], own)).toMatchObject([
    { name: 'x', pipeline: null, problems: [{ file: 'b.yml', text: expect.stringContaining('a.yml too') }] },
  ])
})
