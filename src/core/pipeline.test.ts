import { expect, test } from 'vitest'
import { type Pipeline, type Stage, backStage, nextStage, validatePipeline } from './pipeline.ts'

const work: Stage = { name: 'work', kind: 'agent', role: 'developer', gates: ['changes'] }
const push: Stage = { name: 'push', kind: 'publish', gates: [] }
const look: Stage = { name: 'look', kind: 'agent', role: 'reviewer', gates: ['review'], onFail: 'work' }
const land: Stage = { name: 'land', kind: 'land', gates: [] }
const pipeline = (...stages: Stage[]): Pipeline => ({ name: 'p', description: '', stages })
const problems = (...stages: Stage[]): string[] =>
  validatePipeline(pipeline(...stages)).map(({ path, text }) => `${path}: ${text}`)

test('a sound pipeline has no problem', () => {
  expect(problems(work, push, look, land)).toEqual([])
})

test.each([
  ['no stages', [], /stages: .*at least one/],
  ['a name twice', [work, { ...push, name: 'work' }], /stages\[1\]\.name: .*twice/],
  ['an unknown gate', [{ ...work, gates: ['luck' as never] }], /stages\[0\]\.gates\[0\]: unknown gate "luck"/],
  ['a gate at the wrong kind', [work, { ...push, gates: ['verify' as const] }], /judges agent stages only/],
  ['an unknown stage', [{ ...work, onFail: 'nowhere' }], /stages\[0\]\.onFail: unknown stage "nowhere"/],
  ['a way forward on failure', [{ ...work, onFail: 'look' }, push, look], /cycle/],
  ['a way back to a stage without an agent', [work, push, { ...look, onFail: 'push' }], /cycle/],
  ['an agent without a role', [{ name: 'work', kind: 'agent' as const, gates: [] }], /names no role/],
  ['a role without an agent', [work, { ...push, role: 'x' }], /only an agent stage/],
  ['landing what was not pushed', [work, land], /needs a publish stage/],
  ['a first stage that makes nothing', [push, work], /first stage/],
  [
    'a kind this version can’t do',
    [work, { name: 'ship', kind: 'release' as const, gates: [] }],
    /can't be carried out/,
  ],
])('%s is a problem with its place', (_, stages, expected) => {
  expect(problems(...(stages as Stage[])).join('\n')).toMatch(expected)
})

test('stages follow each other; a failure goes where it is told, else to the nearest agent before', () => {
  const p = pipeline(work, push, look, land)
  expect(nextStage(p, 'look')?.name).toBe('land')
  expect(nextStage(p, 'land')).toBeUndefined()
  expect(backStage(p, 'look').name).toBe('work')
  expect(backStage(p, 'work').name).toBe('work')
  expect(backStage(p, 'land').name).toBe('look')
  expect(backStage(pipeline(work, push, look, { ...land, onFail: 'work' }), 'land').name).toBe('work')
})
