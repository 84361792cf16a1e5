// Whose change a number is: remembered from elsewhere it is nobody's here. For every forge on which people open changes of
// their own.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangeRow } from '../store/store.ts'
import { BRANCH, openChange, type OpenRemoteForge, request } from './test-remote-forge.ts'

export function ownChangesContract(name: string, open: () => Promise<OpenRemoteForge>): void {
  describe(`own changes: ${name}`, () => {
    let current: OpenRemoteForge
    beforeEach(async () => {
      current = await open()
    })
    afterEach(() => current.close())
    elsewhereTests(() => current)
    replacedTests(() => current)
  })
}

/** A change of somebody else's, and a row of ours that has its number and the given address. */
async function collide(
  opened: OpenRemoteForge,
  address: string | null,
): Promise<{ number: number; row: ChangeRow; untouched: () => Promise<void> }> {
  const { memory, world } = opened
  await world.push('theirs')
  const number = await world.openByPerson({ branch: 'theirs', base: 'main', fork: false })
  const before = await world.readChange(number)
  const { project, task, branch, base, head, title, body } = await request(opened)
  const url = address === null ? null : `${address}${number}`
  const ended = { state: 'open', mergedSha: null, createdAt: 1, updatedAt: 1 } as const
  const row = await memory.saveChange({ project, task, branch, base, head, title, body, number, url, ...ended })
  const untouched = async (): Promise<void> => {
    expect(await world.readChange(number)).toEqual(before)
    expect(await world.readComments(number)).toEqual([])
  }
  return { number, row, untouched }
}

function elsewhereTests(opened: () => OpenRemoteForge): void {
  const places: [string, string | null][] = [
    ['another repository', 'https://forge.example/somebody/else/pull/'],
    ['Orch’s own list', null],
  ]

  test.each(places)('a number of %s is nobody’s here, and what has it here is left alone', async (_name, address) => {
    const { forge } = opened()
    const { number, row, untouched } = await collide(opened(), address)
    expect(await forge.findChange('SHOP-1')).toBeNull()
    expect(await forge.taskOf(number)).toBeNull()
    expect(await forge.closeChange('SHOP-1')).toBeNull()
    for (const ask of [
      () => forge.merge({ task: 'SHOP-1', method: 'merge', title: 't', message: 'm', head: row.head }),
      () => forge.listReviews('SHOP-1'),
      () => forge.listThreads('SHOP-1'),
      () => forge.ensureComment('SHOP-1', { key: 'k', body: 'x', role: null }),
    ])
      await expect(ask()).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringContaining('open it first') as string,
      })
    const ours = await openChange(opened())
    expect(ours.number).not.toBe(number)
    expect(await forge.taskOf(ours.number)).toBe('SHOP-1')
    await untouched()
  })

  test('one that landed elsewhere is recorded as merged, and nobody else is told so', async () => {
    const { row, untouched } = await collide(opened(), null)
    const merged = await opened().forge.markMerged('SHOP-1', row.head)
    expect(merged).toMatchObject({ state: 'merged', mergedSha: row.head })
    await untouched()
  })
}

function replacedTests(opened: () => OpenRemoteForge): void {
  test('one that a person opened in the place of ours, which they closed, is ours now', async () => {
    const { forge, world } = opened()
    const { number } = await openChange(opened())
    await world.closeByPerson(number)
    const theirs = await world.openByPerson({ branch: BRANCH, base: 'main', fork: false })
    expect(await openChange(opened())).toMatchObject({ number: theirs, state: 'open' })
    expect(await world.readChange(number)).toMatchObject({ state: 'closed' })
    expect(await forge.taskOf(theirs)).toBe('SHOP-1')
  })
}
