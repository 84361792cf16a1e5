// What every driver must do, whichever vendor it is. Each driver's own test opens it and hands it to these suites.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangeRow, ReviewRow } from '../store/store.ts'
import type { ChangeRequest, Forge, LocalTracker } from './driver.ts'

export interface OpenForge {
  forge: Forge
  /** What the forge now shows, asked by another way than the forge itself. */
  findChange(task: string): Promise<ChangeRow | null>
  listReviews(change: ChangeRow): Promise<ReviewRow[]>
  /** Where the forge looks at git itself: three commits that it can have (a head, the next, a merge of both), and a push. */
  git?: { shas: Shas; push(branch: string, sha: string): Promise<void> }
  close(): Promise<void>
}

interface Shas {
  head: string
  next: string
  merged: string
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
const SHAS: Shas = { head: REQUEST.head, next: 'b'.repeat(40), merged: 'c'.repeat(40) }

/** The request for a head that was pushed, as it always is by then. */
async function pushed({ git }: OpenForge, changes: Partial<ChangeRequest> & { at?: keyof Shas } = {}) {
  const { at = 'head', ...rest } = changes
  const request: ChangeRequest = { ...REQUEST, head: (git?.shas ?? SHAS)[at], ...rest }
  await git?.push(request.branch, request.head)
  return request
}

/** Orch moved the base itself. */
async function landed({ git }: OpenForge): Promise<string> {
  const { merged } = git?.shas ?? SHAS
  await git?.push(REQUEST.base, merged)
  return merged
}

export function forgeContract(name: string, open: () => Promise<OpenForge>): void {
  describe(`forge: ${name}`, () => {
    let opened: OpenForge
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened.close())

    test('ensureChange opens a change once and brings it up to date', async () => {
      const request = await pushed(opened)
      const first = await opened.forge.ensureChange(request)
      expect(first).toMatchObject({ ...request, state: 'open', mergedSha: null })
      expect(await opened.forge.ensureChange(request)).toEqual(first)
      const newer = await pushed(opened, { at: 'next', title: 'Round totals once' })
      const second = await opened.forge.ensureChange(newer)
      expect(second).toMatchObject({ ...newer, number: first.number, createdAt: first.createdAt })
      expect(await opened.findChange('SHOP-1')).toEqual(second)
    })

    test('each task has its own change with its own number', async () => {
      const first = await opened.forge.ensureChange(await pushed(opened))
      const request = await pushed(opened, { task: 'SHOP-2', branch: 'orch/shop-2' })
      const other = await opened.forge.ensureChange(request)
      expect(other.number).not.toBe(first.number)
      expect(await opened.findChange('SHOP-1')).toEqual(first)
    })

    reviewTests(() => opened)
    endTests(() => opened)
  })
}

function reviewTests(opened: () => OpenForge): void {
  test('a review of one head is kept once, one of another head beside it', async () => {
    const { forge } = opened()
    const change = await forge.ensureChange(await pushed(opened()))
    const review: ReviewRow = {
      project: 'SHOP',
      change: change.number,
      sha: change.head,
      by: 'claude',
      verdict: 'request_changes',
      text: 'Round once.',
      at: 5,
    }
    await forge.addReview(review)
    await forge.addReview(review)
    const { head: sha } = await pushed(opened(), { at: 'next' })
    await forge.addReview({ ...review, sha, verdict: 'approve', at: 6 })
    expect(await opened().listReviews(change)).toHaveLength(2)
    expect(await opened().listReviews(change)).toEqual(
      expect.arrayContaining([expect.objectContaining({ sha, verdict: 'approve' })]),
    )
  })
}

function endTests(opened: () => OpenForge): void {
  test('a merged change stays merged, whatever is asked of it later', async () => {
    const { forge } = opened()
    await forge.ensureChange(await pushed(opened()))
    const mergedSha = await landed(opened())
    const merged = await forge.markMerged('SHOP-1', mergedSha)
    expect(merged).toMatchObject({ state: 'merged', mergedSha })
    expect(await forge.markMerged('SHOP-1', mergedSha)).toEqual(merged)
    expect(await forge.closeChange('SHOP-1')).toEqual(merged)
    expect(await forge.ensureChange(await pushed(opened(), { at: 'next' }))).toEqual(merged)
    expect(await opened().findChange('SHOP-1')).toEqual(merged)
  })

  test('a closed change opens again when there is work for it', async () => {
    const { forge } = opened()
    const first = await forge.ensureChange(await pushed(opened()))
    const closed = await forge.closeChange('SHOP-1')
    expect(closed).toMatchObject({ number: first.number, state: 'closed' })
    expect(await forge.closeChange('SHOP-1')).toEqual(closed)
    expect(await forge.ensureChange(await pushed(opened()))).toMatchObject({ number: first.number, state: 'open' })
  })

  test('what was never opened is null, not an error', async () => {
    expect(await opened().forge.markMerged('SHOP-9', SHAS.merged)).toBeNull()
    expect(await opened().forge.closeChange('SHOP-9')).toBeNull()
    expect(await opened().findChange('SHOP-9')).toBeNull()
  })
}

export function localTrackerContract(
  name: string,
  open: () => Promise<{ tracker: LocalTracker; close(): Promise<void> }>,
): void {
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
