// Who set a label at a change: under the policy `label` that says whether it counts. emulate shows no events of a change, so
// the suite runs on the vendors that are played here.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ForgeWorld, openChange, type OpenRemoteForge } from './test-remote-forge.ts'

export interface LabelWorld extends ForgeWorld {
  /** Somebody sets a label at a change, or takes it off. */
  putLabel(label: { number: number; author: string; label: string; on: boolean }): Promise<void>
}

export interface OpenLabelForge extends OpenRemoteForge {
  world: LabelWorld
}

export function labelEventsContract(name: string, open: () => Promise<OpenLabelForge>): void {
  describe(`who set a label: ${name}`, () => {
    let opened: OpenLabelForge
    let number: number
    beforeEach(async () => {
      opened = await open()
      number = (await openChange(opened)).number
      for (const label of ['Go', 'other']) await opened.world.addLabel(label)
    })
    afterEach(() => opened.close())

    const setter = () => opened.forge.labelledBy({ task: 'SHOP-1', label: 'go' })
    const put = (author: string, on: boolean, label = 'Go') => opened.world.putLabel({ number, author, label, on })

    test('nobody, while it is not on', async () => {
      expect(await setter()).toBeNull()
      await put(opened.world.people.member, true, 'other')
      expect(await setter()).toBeNull()
      await put(opened.world.people.member, true)
      await put(opened.world.people.member, false)
      expect(await setter()).toBeNull()
    })

    test('whoever did the last time that it was set', async () => {
      const { owner, member, stranger } = opened.world.people
      await put(member, true)
      await put(stranger, true, 'other')
      expect(await setter()).toEqual({ login: member, isBot: false })
      await put(owner, false)
      await put(stranger, true)
      expect(await setter()).toEqual({ login: stranger, isBot: false })
    })

    test('also where more has happened than a page holds', async () => {
      const { owner, member } = opened.world.people
      for (let times = 0; times < 55; times += 1) {
        await put(member, true)
        await put(member, false)
      }
      await put(owner, true)
      expect(await setter()).toEqual({ login: owner, isBot: false })
    })
  })
}
