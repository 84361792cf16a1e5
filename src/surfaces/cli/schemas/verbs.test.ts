import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { orch } from '../fake-app.ts'
import { NOUNS, SECTIONS } from '../routes.ts'
import { OUTPUTS, outputSchema, schemaFile } from './verbs.ts'

const FOLDER = join(import.meta.dirname, '..', '..', '..', '..', 'schemas', 'cli')

test('every verb has a schema, and nothing else has one', () => {
  const verbs = [
    ...SECTIONS.flatMap((section) => Object.keys(section.verbs)),
    ...Object.entries(NOUNS).flatMap(([noun, own]) => Object.keys(own.verbs).map((verb) => `${noun} ${verb}`)),
  ]
  expect(Object.keys(OUTPUTS).toSorted()).toEqual(verbs.toSorted())
})

test('the published files are those of the code; `node scripts/write-schemas.ts` writes them', () => {
  const verbs = [...Object.keys(OUTPUTS), 'error']
  expect(readdirSync(FOLDER).toSorted()).toEqual(verbs.map(schemaFile).toSorted())
  for (const verb of verbs)
    expect(JSON.parse(readFileSync(join(FOLDER, schemaFile(verb)), 'utf8')), verb).toEqual(outputSchema(verb))
})

test('orch schema prints them, lists them, and knows what was meant', async () => {
  expect(JSON.parse((await orch(['schema', 'task', 'show'])).stdout)).toEqual(outputSchema('task show'))
  expect((await orch(['schema'])).stdout.split('\n')).toContain('task inspect')
  expect(JSON.parse((await orch(['schema', '--json'])).stdout)).toContain('error')
  expect(await orch(['schema', 'task', 'shwo'])).toMatchObject({
    exit: 3,
    stderr: expect.stringContaining('did you mean `orch schema task show`?'),
  })
  expect((await orch(['schema', 'constructor'])).exit).toBe(3)
})
