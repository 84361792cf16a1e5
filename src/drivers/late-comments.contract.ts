// A comment of ours whose first try was given up, and is carried out after the second one all the same.

import { expect, test } from 'vitest'
import { ExternalError } from '../lib/errors.ts'
import type { OpenTracker } from './remote.contract.ts'

export function lateCommentsContract(name: string, open: () => Promise<OpenTracker>): void {
  test(`${name}: a comment whose first try is carried out late is one again with the next look`, async () => {
    const { tracker, world, close } = await open()
    try {
      const comment = { key: 'SHOP-1:stage', body: 'Running.', role: null }
      const id = await world.addIssue({ title: 'a', body: 'b' })
      await world.addComment({ issue: id, author: world.people.stranger, body: 'Any news?' })
      const late = world.proxy.delayNextWrite()
      await expect(tracker.ensureComment(id, comment)).rejects.toBeInstanceOf(ExternalError)
      const { url } = await tracker.ensureComment(id, comment)
      await late()
      expect(await tracker.ensureComment(id, { ...comment, body: 'Done.' })).toEqual({ url })
      const bodies = (await world.readComments(id)).map(({ body }) => body)
      expect(bodies).toEqual([expect.stringContaining('Any news?'), expect.stringContaining('Done.')])
    } finally {
      await close()
    }
  })
}
