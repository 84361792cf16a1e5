// When a verdict may be remembered: for the same tree, configuration, environment and selection of commands, and only green.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { POLICY } from '../core/test-spec.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type VerifyTarget, type Verifier, makeVerifier } from './verifier.ts'

let dir: string
let store: Store
let verifier: Verifier
let ran: string[]
let atOnce: number
let most: number
let environment: string
let exitCode: number

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-verifier-'))
  store = await openStore(join(dir, 'orch.db'))
  ran = []
  atOnce = 0
  most = 0
  environment = 'e1'
  exitCode = 0
  let ids = 0
  const verify = async (_: unknown, request: { sha: string }) => {
    atOnce += 1
    most = Math.max(most, atOnce)
    await new Promise((resolve) => setTimeout(resolve, 10))
    atOnce -= 1
    ran.push(request.sha)
    const command = { run: 'test', outcome: 'exited' as const, exitCode, durationMs: 1, output: '' }
    return { commands: [command], environmentId: environment, setup: { how: 'none' as const, note: null } }
  }
  verifier = makeVerifier({
    store,
    now: () => 1,
    newId: () => `id-${++ids}`,
    // Only what a verification asks of places is there: all else fails.
    workspaces: { verify, environmentId: async () => environment } as never,
  })
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

/** Trees are named by the first letter of their commit. */
function target(sha: string, more: Partial<VerifyTarget> = {}): VerifyTarget {
  const mirror = { treeOf: async (of: string) => `tree-${of[0]}` } as never
  const rest = { project: 'T', task: 'T-1', stage: 'make', policy: POLICY, changedPaths: null }
  return { ...rest, mirror, sha, signal: new AbortController().signal, ...more }
}

test('a green tree is remembered, whichever commit has it', async () => {
  await verifier.verify(target('a1'))
  await verifier.verify(target('a2'))
  expect(ran).toEqual(['a1'])
})

test('S5: nothing is remembered for another tree, nor of a red one', async () => {
  await verifier.verify(target('a1'))
  await verifier.verify(target('b1'))
  expect(ran).toEqual(['a1', 'b1'])
  exitCode = 1
  expect((await verifier.judge(target('c1'))).result).toBe('fail')
  exitCode = 0
  expect((await verifier.judge(target('c2'))).result).toBe('pass')
  expect(ran).toEqual(['a1', 'b1', 'c1', 'c2'])
})

test('S16: nothing is remembered for another configuration or another environment', async () => {
  await verifier.verify(target('a1'))
  await verifier.verify(target('a2', { policy: { ...POLICY, configHash: 'c2' } }))
  environment = 'e2'
  await verifier.verify(target('a3'))
  expect(ran).toEqual(['a1', 'a2', 'a3'])
})

test('S8: where paths select the commands, a verdict is of that selection', async () => {
  const policy = { ...POLICY, verify: [{ run: 'test', timeoutSeconds: 1, cwd: '.', paths: ['web/**'] }] }
  await verifier.verify(target('a1', { policy, changedPaths: ['docs/a'] }))
  await verifier.verify(target('a2', { policy, changedPaths: ['web/a'] }))
  await verifier.verify(target('a3', { policy, changedPaths: ['web/a'] }))
  await verifier.verify(target('a4', { policy }))
  expect(ran).toEqual(['a1', 'a2', 'a4'])
})

test('S11: what is to be looked at afresh is', async () => {
  await verifier.verify(target('a1'))
  await verifier.verify(target('a2', { fresh: true }))
  expect(ran).toEqual(['a1', 'a2'])
})

test('S13: verifications of one project don’t meet, unless it says that they may', async () => {
  await Promise.all(['a1', 'b1', 'c1'].map((sha) => verifier.verify(target(sha))))
  expect(most).toBe(1)
  const policy = { ...POLICY, verifyParallel: true }
  await Promise.all(['d1', 'e1'].map((sha) => verifier.verify(target(sha, { policy }))))
  expect(most).toBe(2)
})
