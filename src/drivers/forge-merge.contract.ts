// Merges by a forge of other people's: of exactly this head, once, and why not. A part of remote-forge.contract.ts.

import { expect, test } from 'vitest'
import { ExternalError } from '../lib/errors.ts'
import { BRANCH, type Lacks, needing, openChange, type Opened, SHA } from './test-remote-forge.ts'

export function mergeTests(opened: Opened, lacks: Lacks): void {
  const MERGE = { task: 'SHOP-1', method: 'merge', title: 'SHOP-1: Round totals', message: 'Why.' } as const

  test('exactly this head is merged, and asking again is ok', async () => {
    const { forge, world } = opened()
    const { number, head } = await openChange(opened())
    const merged = await forge.merge({ ...MERGE, head })
    expect(merged).toEqual({ ok: true, mergedSha: expect.stringMatching(SHA) as string })
    expect(await world.readChange(number)).toMatchObject({ state: 'merged' })
    expect(await forge.merge({ ...MERGE, head })).toEqual(merged)
    expect(await forge.findChange('SHOP-1')).toMatchObject({ state: 'merged' })
  })

  test('a merge whose answer was lost is found done', async () => {
    const { forge, world } = opened()
    const { head } = await openChange(opened())
    world.proxy.loseNextWrite()
    await expect(forge.merge({ ...MERGE, head })).rejects.toBeInstanceOf(ExternalError)
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ ok: true })
  })

  const heads = needing(lacks, 'heads')
  heads.run(`a head that has moved is not merged${heads.why}`, async () => {
    const { forge, world } = opened()
    const { number, head } = await openChange(opened())
    await world.push(BRANCH)
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ ok: false, because: 'head-moved' })
    expect(await world.readChange(number)).toMatchObject({ state: 'open' })
  })

  test('one that a person closed is not merged', async () => {
    const { forge, world } = opened()
    const { number, head } = await openChange(opened())
    await world.closeByPerson(number)
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ ok: false })
    expect(await world.readChange(number)).toMatchObject({ state: 'closed' })
  })
}

export function refusalTests(opened: Opened, lacks: Lacks): void {
  const MERGE = { task: 'SHOP-1', method: 'merge', title: 'SHOP-1: Round totals', message: 'Why.' } as const
  const refused = async (spoil: (number: number) => Promise<void>, because: string) => {
    const { forge, world } = opened()
    const { number, head } = await openChange(opened())
    await spoil(number)
    const text = expect.any(String) as string
    expect(await forge.merge({ ...MERGE, head })).toMatchObject({ ok: false, because, text })
    expect(await world.readChange(number)).toMatchObject({ state: 'open' })
  }

  const conflicts = needing(lacks, 'conflicts')
  conflicts.run(`a conflict is told apart${conflicts.why}`, () =>
    refused((number) => opened().world.makeConflict(number), 'not-mergeable'),
  )

  const protection = needing(lacks, 'protection')
  protection.run(`a review that is missing is told apart${protection.why}`, () =>
    refused(() => opened().world.protectMain(), 'blocked'),
  )

  const methods = needing(lacks, 'methods')
  methods.run(`a method that is not allowed is told apart${methods.why}`, () =>
    refused(() => opened().world.allowOnlySquash(), 'not-allowed'),
  )

  const queue = needing(lacks, 'queue')
  queue.run(`where the forge has a queue of its own, the change is put into it once${queue.why}`, async () => {
    const { forge, world } = opened()
    const { head } = await openChange(opened())
    await world.demandQueue()
    expect(await forge.findChange('SHOP-1')).toMatchObject({ state: 'open', queued: false })
    expect(await forge.merge({ ...MERGE, head })).toEqual({ ok: true, queued: true })
    expect(await forge.findChange('SHOP-1')).toMatchObject({ state: 'open', queued: true })
    const writes = world.proxy.writes()
    expect(await forge.merge({ ...MERGE, head })).toEqual({ ok: true, queued: true })
    expect(world.proxy.writes()).toBe(writes)
  })
}
