import { expect, test } from 'vitest'
import { makeInLine } from './in-line.ts'

test('work under one key is done one after the other, also after a failure; under another at once', async () => {
  const inLine = makeInLine()
  const said: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = inLine('a', async () => {
    said.push('a1')
    await gate.promise
    said.push('a1 failed')
    throw new Error('no')
  })
  const second = inLine('a', async () => void said.push('a2'))
  await inLine('b', async () => void said.push('b'))
  expect(said).toEqual(['a1', 'b'])
  gate.resolve()
  await expect(first).rejects.toThrow('no')
  await expect(second).resolves.toBeUndefined()
  expect(said).toEqual(['a1', 'b', 'a1 failed', 'a2'])
})
