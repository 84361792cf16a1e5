// What the suites of remote forges work on: the forge, the same forge by another way, and what its world has not.

import { test } from 'vitest'
import type { ChangeRow } from '../store/store.ts'
import type { ChangeMemory, ChangeRequest, RemoteForge } from './driver.ts'
import type { People } from './remote.contract.ts'
import type { FaultProxy } from './test-proxy.ts'

/** The forge seen by another way than the driver: git and people. */
export interface ForgeWorld {
  people: People
  proxy: FaultProxy
  /** A new commit on top of the branch (made from main where it is not there), pushed. Gives its sha. */
  push(branch: string): Promise<string>
  /** Points a branch at a commit, as a push by force does. */
  point(branch: string, sha: string): Promise<void>
  readBranch(branch: string): Promise<string | null>
  /** Numbers of all changes of that branch, whoever opened them. */
  changesOf(branch: string): Promise<number[]>
  readChange(number: number): Promise<{
    state: 'open' | 'merged' | 'closed'
    draft: boolean
    title: string
    body: string
    labels: string[]
    reviewers: string[]
  }>
  /** A change that somebody else opened; from a fork where `fork`. */
  openByPerson(change: { branch: string; base: string; fork: boolean }): Promise<number>
  mergeByPerson(number: number): Promise<void>
  closeByPerson(number: number): Promise<void>
  addLabel(name: string): Promise<void>
  /** What CI says of a commit; a later one of the same name replaces it. */
  report(check: { sha: string; name: string; state: 'pending' | 'passed' | 'failed'; log?: string }): Promise<void>
  review(review: {
    number: number
    author: string
    sha: string
    verdict: 'approve' | 'request_changes' | 'comment'
    body: string
  }): Promise<void>
  /** Opens a thread at a line. `diff` is what the vendor shows around it. Gives its id. */
  addThread(thread: {
    number: number
    author: string
    file: string
    line: number
    body: string
    diff: string
  }): Promise<string>
  /** Texts of a thread, oldest first, as the vendor keeps them. */
  readThread(number: number, thread: string): Promise<{ author: string; body: string }[]>
  resolveThread(number: number, thread: string): Promise<void>
  /** Gives the comment's id. */
  addComment(comment: { number: number; author: string; body: string }): Promise<string>
  readComments(number: number): Promise<{ author: string; body: string }[]>
  /** Makes the change conflict with its base, as somebody else's push would. */
  makeConflict(number: number): Promise<void>
  /** Main asks for a review that is not there. */
  protectMain(): Promise<void>
  allowOnlySquash(): Promise<void>
  /** Main takes changes through the vendor's own queue only. */
  demandQueue(): Promise<void>
}

export interface OpenRemoteForge {
  forge: RemoteForge
  memory: ChangeMemory
  /** The same forge after its memory was lost. */
  forgetful(): RemoteForge
  world: ForgeWorld
  close(): Promise<void>
}

/** What a played vendor, or the vendor itself, has not: its tests are left out, and say why. */
export type Lack =
  | 'closedReopen'
  | 'heads'
  | 'emptyRefused'
  | 'forks'
  | 'threads'
  | 'resolving'
  | 'conflicts'
  | 'protection'
  | 'methods'
  | 'queue'
export type Lacks = Partial<Record<Lack, string>>

export type Opened = () => OpenRemoteForge

export const BRANCH = 'orch/shop-1-totals'
export const SHA = /^[0-9a-f]{40}$/

/** The test, or what stands for it where the world has not what it needs. */
export function needing(lacks: Lacks, need: Lack): { run: typeof test; why: string } {
  const reason = lacks[need]
  return reason === undefined
    ? { run: test, why: '' }
    : { run: test.skip as typeof test, why: ` (left out: ${reason})` }
}

export async function request(
  { world }: OpenRemoteForge,
  changes: Partial<ChangeRequest> = {},
): Promise<ChangeRequest> {
  const branch = changes.branch ?? BRANCH
  const head = (await world.readBranch(branch)) ?? (await world.push(branch))
  return {
    project: 'SHOP',
    task: 'SHOP-1',
    branch,
    base: 'main',
    head,
    title: 'Round totals',
    body: 'Why.',
    ...changes,
  }
}

export async function openChange(opened: OpenRemoteForge, changes: Partial<ChangeRequest> = {}): Promise<ChangeRow> {
  return opened.forge.ensureChange(await request(opened, changes))
}
