// From a change to main, over real git and a real store: in which order things are done, and what main is moved to.

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import type { ChangeState, RemoteForge } from '../drivers/driver.ts'
import { makeFlowWorld, writeAll } from './test-flow-world.ts'

const part = async (task: { id: string }, tree: string): Promise<void> =>
  writeAll(tree, { [`parts/${task.id}`]: 'ok\n' })

test('S4, S5, S9: each effect is intended first, the merged tree is verified, main holds what is recorded', async () => {
  const w = await makeFlowWorld({ agent: part, verify: 'ls parts; git rev-parse HEAD^{tree}' })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'done')
  const { mergedSha, headSha } = w.task(id)
  expect(w.log.filter((entry) => /push|intend|confirm/.test(entry))).toEqual([
    'intend-change',
    'push orch/T-1-a-part',
    'confirm-change',
    'intend-merge',
    'push main',
    'confirm-merge',
  ])
  expect(await w.remote('rev-parse', 'main')).toBe(mergedSha)
  expect(await w.remote('rev-parse', 'main^2')).toBe(headSha)
  const tree = await w.remote('rev-parse', 'main^{tree}')
  const verified = w.store.listEvidence({ gate: 'verify', task: id }).filter((row) => row.tree === tree)
  expect(verified.map((row) => row.result)).toContain('pass')
  expect(w.store.listIntents({ task: id }).map((intent) => intent.state)).toEqual(['confirmed', 'confirmed'])
  expect(w.errors).toEqual([])
})

/** Every number is green alone; together they must not pass ten. */
const SUM =
  'sum=0; for n in numbers/*; do sum=$((sum + $(cat "$n"))); done; [ "$sum" -le 10 ] || { echo "the sum is $sum"; exit 1; }'
const NUMBERS = { 'numbers/zero': '0\n' }

test('S5, S11: green alone and red with main: seen twice, setup and all, then sent back; main has not moved', async () => {
  const looks: boolean[] = []
  const w = await makeFlowWorld({
    verify: SUM,
    files: NUMBERS,
    agent: async (task, tree) => {
      if (task.attempts.code === 0) await w.pushMain({ 'numbers/other': '6\n' })
      await writeAll(tree, { 'numbers/mine': task.attempts.code === 0 ? '7\n' : '4\n' })
    },
    workspaces: (real) => ({
      verify: async (mirror, request) => {
        const run = await real.verify(mirror, request)
        if (run.commands[0]?.exitCode === 1) looks.push(request.runSetup === true)
        return run
      },
    }),
  })
  const id = await w.open('A number')
  w.work()
  await w.until(() => w.task(id).attempts.code === 1)
  expect(looks).toEqual([false, true])
  expect(w.task(id).findings[0]?.text).toContain('the sum is 13')
  expect(w.task(id).mergedSha).toBeNull()
  await w.until(() => w.task(id).status === 'done')
  expect(await w.remote('show', 'main:numbers/mine')).toBe('4')
})

test('S16: main’s own configuration judges what lands, not the one that the branch brings along', async () => {
  const w = await makeFlowWorld({
    verify: SUM,
    files: NUMBERS,
    agent: async (_, tree) => {
      const config = await readFile(path.join(tree, '.orch.yml'), 'utf8')
      await writeAll(tree, { 'numbers/mine': '7\n', '.orch.yml': config.replace(/verify:.*/, 'verify: ["true"]') })
      await w.pushMain({ [`numbers/other-${Math.random()}`]: '1\n', 'numbers/big': '6\n' })
    },
  })
  const id = await w.open('A number')
  w.work()
  await w.until(() => w.task(id).attempts.code > 0)
  expect(w.log).not.toContain('push main')
})

test('S13: a verification of the merge that was killed is infrastructure, and costs the change nothing', async () => {
  const w = await makeFlowWorld({
    verify: '[ ! -e parts/other ] || kill -9 $$',
    agent: async (task, tree) => {
      await part(task, tree)
      await w.pushMain({ 'parts/other': 'ok\n' })
    },
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).waitingFor === 'timer' || w.task(id).attempts.code > 0)
  expect(w.task(id)).toMatchObject({ stage: 'merge', attempts: { code: 0, infra: 1 }, findings: [] })
})

test('S5: main moves between the test and the merge: what was tested is not merged, the next round holds both', async () => {
  let moves = 0
  const w = await makeFlowWorld({
    agent: part,
    verify: 'ls',
    mirror: (real) => ({
      // The candidate is made and about to be tested.
      pin: async (ref, sha) => {
        if (ref.endsWith('/merge') && moves++ === 0) await w.pushMain({ 'parts/other': 'ok\n' })
        return real.pin(ref, sha)
      },
    }),
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'done')
  expect((await w.remote('ls-tree', '--name-only', 'main:parts')).split('\n')).toEqual(['T-1', 'other'])
  const tree = await w.remote('rev-parse', 'main^{tree}')
  expect(w.store.listEvidence({ gate: 'verify', tree }).map((row) => row.result)).toContain('pass')
  expect(w.log.filter((entry) => /merge/.test(entry))).toEqual([
    'intend-merge',
    'abandon-merge',
    'intend-merge',
    'confirm-merge',
  ])
})

test('S12: a cancel that comes while the merge is tested: main is not moved', async () => {
  const w = await makeFlowWorld({
    agent: async (task, tree) => {
      await part(task, tree)
      await w.pushMain({ 'parts/other': 'ok\n' })
    },
    workspaces: (real) => ({
      verify: async (mirror, request) => {
        const run = await real.verify(mirror, request)
        if (w.task('T-1').step?.kind === 'land')
          await w.engine.submit(
            { type: 'cancel', task: 'T-1' },
            { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c' },
          )
        return run
      },
    }),
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'cancelled' && w.store.jobSummary().running === 0)
  expect(w.log).not.toContain('push main')
  expect((await w.remote('ls-tree', '--name-only', 'main:parts')).split('\n')).toEqual(['other'])
})

test('S12: a change that a person closed while its merge was tested is not landed, though nobody told of it', async () => {
  const w = await makeFlowWorld({ agent: part })
  const forge: Partial<RemoteForge> = { findChange: async () => ({ number: 7, state: 'closed' }) as ChangeState }
  w.capabilities.remoteForgeOf = () => forge as RemoteForge
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'cancelled' && w.store.jobSummary().running === 0)
  expect(w.log).not.toContain('push main')
  expect(w.log).not.toContain('intend-merge')
})

test('S9: a merge whose answer was lost stays intended, and is found in main, not made again', async () => {
  let asked = 0
  const w = await makeFlowWorld({
    agent: part,
    mirror: (real) => ({
      push: async (request) => {
        const answer = await real.push(request)
        if (request.branch !== 'main' || asked++ > 0) return answer
        return { ok: false, because: 'unreachable', text: 'the connection was reset' }
      },
    }),
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).waitingFor === 'timer')
  expect(w.store.listIntents({ task: id }).at(-1)).toMatchObject({ kind: 'merge', state: 'open' })
  const by = { actor: { kind: 'person' as const, name: 'ann' }, cause: 'test', correlation: 'c' }
  await w.engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await w.until(() => w.task(id).status === 'done')
  expect(w.log.filter((entry) => entry === 'push main')).toHaveLength(1)
  expect(await w.remote('rev-parse', 'main')).toBe(w.task(id).mergedSha)
})

test('what somebody merged by hand is told, and not merged again', async () => {
  const w = await makeFlowWorld({
    agent: part,
    mirror: (real) => ({
      push: async (request) => {
        const answer = await real.push(request)
        if (request.branch !== 'main') await w.remote('update-ref', 'refs/heads/main', request.sha)
        return answer
      },
    }),
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id).reason?.code).toBe('already-merged')
  expect(w.log).not.toContain('push main')
})

test('S5: where main names no verify command by now, nothing lands', async () => {
  const w = await makeFlowWorld({
    agent: async (task, tree) => {
      await part(task, tree)
      const config = await readFile(path.join(tree, '.orch.yml'), 'utf8')
      await w.pushMain({ '.orch.yml': config.replace(/verify:.*/, 'verify: []') })
    },
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id).reason?.code).toBe('no-verify')
  expect(w.log).not.toContain('push main')
})
