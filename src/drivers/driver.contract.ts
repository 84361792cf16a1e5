// What every driver must do, whichever vendor it is. Each driver's own test opens it and hands it to these suites.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangeRow, ReviewRow } from '../store/store.ts'
import type { ChangeRequest, Forge, Tracker } from './driver.ts'

export interface OpenForge {
  forge: Forge
  /** What the forge now shows, asked by another way than the forge itself. */
  findChange(task: string): Promise<ChangeRow | null>
  listReviews(change: ChangeRow): Promise<ReviewRow[]>
  close(): Promise<void>
}

const REQUEST: ChangeRequest = {
  project: 'SHOP',
  task: 'SHOP-1',
  branch: 'orch/shop-1-totals',
  base: 'main',
  head: 'a'.repeat(40),
  title: 'Round totals',
  body: 'Once, at the end.',
}
const HEAD_2 = 'b'.repeat(40)
const MERGED = 'c'.repeat(40)

export function forgeContract(name: string, open: () => Promise<OpenForge>): void {
  describe(`forge: ${name}`, () => {
    let opened: OpenForge
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened.close())

    test('ensureChange opens a change once and brings it up to date', async () => {
      const first = await opened.forge.ensureChange(REQUEST)
      expect(first).toMatchObject({ ...REQUEST, state: 'open', mergedSha: null })
      expect(await opened.forge.ensureChange(REQUEST)).toEqual(first)
      const second = await opened.forge.ensureChange({ ...REQUEST, head: HEAD_2, title: 'Round totals once' })
      expect(second).toMatchObject({
        number: first.number,
        head: HEAD_2,
        title: 'Round totals once',
        createdAt: first.createdAt,
      })
      expect(await opened.findChange('SHOP-1')).toEqual(second)
    })

    test('each task has its own change with its own number', async () => {
      const first = await opened.forge.ensureChange(REQUEST)
      const other = await opened.forge.ensureChange({ ...REQUEST, task: 'SHOP-2', branch: 'orch/shop-2' })
      expect(other.number).not.toBe(first.number)
      expect(await opened.findChange('SHOP-1')).toEqual(first)
    })

    reviewTests(() => opened)
    endTests(() => opened)
  })
}

function reviewTests(opened: () => OpenForge): void {
  test('a review of one head is kept once, one of another head beside it', async () => {
    const change = await opened().forge.ensureChange(REQUEST)
    const review: ReviewRow = {
      project: 'SHOP',
      change: change.number,
      sha: REQUEST.head,
      by: 'claude',
      verdict: 'request_changes',
      text: 'Round once.',
      at: 5,
    }
    await opened().forge.addReview(review)
    await opened().forge.addReview(review)
    await opened().forge.addReview({ ...review, sha: HEAD_2, verdict: 'approve', at: 6 })
    expect(await opened().listReviews(change)).toHaveLength(2)
    expect(await opened().listReviews(change)).toEqual(
      expect.arrayContaining([expect.objectContaining({ sha: HEAD_2, verdict: 'approve' })]),
    )
  })
}

function endTests(opened: () => OpenForge): void {
  test('a merged change stays merged, whatever is asked of it later', async () => {
    await opened().forge.ensureChange(REQUEST)
    const merged = await opened().forge.markMerged('SHOP-1', MERGED)
    expect(merged).toMatchObject({ state: 'merged', mergedSha: MERGED })
    expect(await opened().forge.markMerged('SHOP-1', MERGED)).toEqual(merged)
    expect(await opened().forge.closeChange('SHOP-1')).toEqual(merged)
    expect(await opened().forge.ensureChange({ ...REQUEST, head: HEAD_2 })).toEqual(merged)
    expect(await opened().findChange('SHOP-1')).toEqual(merged)
  })

  test('a closed change opens again when there is work for it', async () => {
    const first = await opened().forge.ensureChange(REQUEST)
    const closed = await opened().forge.closeChange('SHOP-1')
    expect(closed).toMatchObject({ number: first.number, state: 'closed' })
    expect(await opened().forge.closeChange('SHOP-1')).toEqual(closed)
    expect(await opened().forge.ensureChange(REQUEST)).toMatchObject({ number: first.number, state: 'open' })
  })

  test('what was never opened is null, not an error', async () => {
    expect(await opened().forge.markMerged('SHOP-9', MERGED)).toBeNull()
    expect(await opened().forge.closeChange('SHOP-9')).toBeNull()
    expect(await opened().findChange('SHOP-9')).toBeNull()
  })
}

export function trackerContract(name: string, open: () => Promise<{ tracker: Tracker; close(): Promise<void> }>): void {
  describe(`tracker: ${name}`, () => {
    test('every issue has an origin and a number of its own, also when many come at once', async () => {
      const { tracker, close } = await open()
      try {
        const issues = await Promise.all(Array.from({ length: 20 }, () => tracker.createIssue('SHOP')))
        expect(new Set(issues.map((issue) => issue.origin)).size).toBe(20)
        expect(issues.map((issue) => issue.number).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 20 }, (_, index) => index + 1),
        )
      } finally {
        await close()
      }
    })

    test('projects count on their own', async () => {
      const { tracker, close } = await open()
      try {
        await tracker.createIssue('SHOP')
        expect(await tracker.createIssue('WEB')).toMatchObject({ number: 1 })
      } finally {
        await close()
      }
    })
  })
}
