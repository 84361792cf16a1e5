// What once went wrong on the way into main. Real store, engine, worker and git; only the agent is a function.

import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { makeFlowWorld, type FlowWorld, writeAll } from '../../src/flow/test-flow-world.ts'
import { makeSettleMerges } from '../../src/flow/settle.ts'
import { runProcess } from '../../src/lib/process.ts'
import { sh } from '../../src/workspace/__fixtures__/world.ts'

const by = { actor: { kind: 'person' as const, name: 'ann' }, cause: 'test', correlation: 'c' }
const part = async (task: { id: string }, tree: string): Promise<void> =>
  writeAll(tree, { [`parts/${task.id}`]: 'ok\n' })

const endsOf = (w: FlowWorld, id: string): string[] =>
  w.store
    .listEvents({ task: id })
    .flatMap(({ type }) => (type === 'task.done' || type === 'task.cancelled' ? [type] : []))

test('merged on record but not in main', async () => {
  const w = await makeFlowWorld({ agent: part })
  // The remote takes the push, says so, and puts main back.
  const hook = path.join(w.git.remote, 'hooks', 'post-receive')
  await writeFile(
    hook,
    '#!/bin/sh\nwhile read old new ref; do [ "$ref" != refs/heads/main ] || git update-ref "$ref" "$old"; done\n',
  )
  await chmod(hook, 0o755)
  const before = await w.remote('rev-parse', 'main')
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.log).toContain('push main')
  expect(await w.remote('rev-parse', 'main')).toBe(before)
  expect(w.task(id)).toMatchObject({ reason: { code: 'merge-unproved' }, mergedSha: null })
  expect(w.store.listIntents({ task: id }).at(-1)).toMatchObject({ kind: 'merge', state: 'held' })
  expect(w.store.getChange(id)?.state).toBe('open')
})

test('a rollback and a done of the same task', async () => {
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
  const worker = w.work()
  await w.until(() => w.task(id).waitingFor === 'timer')
  await worker.stop()
  // Main holds it and nobody knows. One takes it back, one looks at main, one carries on with the landing, all at once.
  const { store, engine, capabilities } = w
  const settle = makeSettleMerges({ ...capabilities, engine, onError: (error) => w.errors.push(error) })
  w.work({ name: 'other' })
  await Promise.all([engine.submit({ type: 'cancel', task: id }, by), settle(), settle()])
  await engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await engine.submit({ type: 'cancel', task: id }, by)
  await w.until(() => endsOf(w, id).length > 0 && store.jobSummary().running === 0)
  expect(endsOf(w, id)).toEqual(['task.done'])
  expect(w.task(id)).toMatchObject({ status: 'done', mergedSha: await w.remote('rev-parse', 'main'), landing: null })
  expect(store.unsettledIntents()).toEqual([])
  expect(w.log.filter((entry) => entry === 'push main')).toHaveLength(1)
  expect(w.errors).toEqual([])
})

test('a changelog line lost in a rebase', async () => {
  const line = (id: string): string => `- What ${id} brings\n`
  const w = await makeFlowWorld({
    files: { 'CHANGELOG.md': '# Changes\n\n## Unreleased\n\n- What was there\n' },
    agent: async (task, tree) => {
      const file = path.join(tree, 'CHANGELOG.md')
      const env = w.git.env
      if (task.attempts.code > 0) {
        // Sent back: it takes main's side in and adds its own line again.
        await sh(env, tree, 'git', 'fetch', '-q', w.git.remote, 'main')
        await runProcess({ argv: ['git', 'merge', '-q', '--no-edit', 'FETCH_HEAD'], cwd: tree, env, timeoutMs: 20_000 })
        await sh(env, tree, 'git', 'checkout', '-q', '--theirs', 'CHANGELOG.md')
      }
      const text = await readFile(file, 'utf8')
      await writeFile(file, text.replace('## Unreleased\n\n', `## Unreleased\n\n${line(task.id)}`))
      await part(task, tree)
    },
  })
  const ids = [await w.open('One'), await w.open('Two'), await w.open('Three')]
  w.work()
  await w.until(() => ids.every((id) => w.task(id).status === 'done'))
  const text = await w.remote('show', 'main:CHANGELOG.md')
  for (const expected of ['- What was there', ...ids.map((id) => line(id).trim())])
    expect(text.split('\n').filter((found) => found === expected)).toEqual([expected])
  const back = w.store.listEvents({}).filter((event) => event.type === 'task.sent_back')
  expect(back.length).toBeGreaterThan(0)
  for (const event of back) expect(JSON.stringify(event.data)).toContain('CHANGELOG.md')
})

test('an infrastructure timeout taken for a red test', async () => {
  const w = await makeFlowWorld({
    verify: '{ run: "[ ! -e parts/slow ] || sleep 30", timeout: 1s }',
    agent: async (task, tree) => {
      await part(task, tree)
      if (task.epoch === 1) await w.pushMain({ 'parts/slow': 'ok\n' })
    },
  })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).waitingFor === 'timer' || w.task(id).attempts.code > 0)
  // Green alone, and the merge with main never answers: nobody's change is to blame.
  expect(w.task(id)).toMatchObject({ stage: 'merge', attempts: { code: 0, transient: 0, infra: 1 }, findings: [] })
  expect(w.store.listEvents({ task: id }).map((event) => event.type)).not.toContain('task.sent_back')
  expect(await w.remote('show', 'main:parts/slow')).toBe('ok')
  await w.pushMain({ 'parts/slow': 'ok\n', '.orch.yml': 'pipeline: plain\nverify: ["true"]\napproval: auto\n' })
  await w.engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await w.until(() => w.task(id).status === 'done')
  expect(w.task(id).attempts.code).toBe(0)
})

test('a dirty shared checkout that blocks a deploy', async () => {
  const w = await makeFlowWorld({ agent: part })
  const { clone, env } = w.git
  // In the middle of a merge that conflicts, with work nobody committed, and git's own lock held by a program that died.
  await sh(env, clone, 'git', 'checkout', '-q', '-b', 'mine')
  await appendFile(path.join(clone, 'a.txt'), 'mine\n')
  await sh(env, clone, 'git', 'commit', '-q', '-am', 'mine')
  await sh(env, clone, 'git', 'checkout', '-q', 'main')
  await appendFile(path.join(clone, 'a.txt'), 'theirs\n')
  await sh(env, clone, 'git', 'commit', '-q', '-am', 'theirs, never pushed')
  await runProcess({ argv: ['git', 'merge', '-q', 'mine'], cwd: clone, env, timeoutMs: 20_000 })
  await writeFile(path.join(clone, 'untracked.txt'), 'notes\n')
  await writeFile(path.join(clone, '.git', 'index.lock'), '')
  const look = async (): Promise<string[]> => [
    await sh({ ...env, GIT_OPTIONAL_LOCKS: '0' }, clone, 'git', 'status', '--porcelain=v2', '--branch'),
    await readFile(path.join(clone, 'a.txt'), 'utf8'),
    await sh(env, clone, 'git', 'for-each-ref'),
  ]
  const before = await look()
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'done')
  expect(await w.remote('rev-parse', 'main')).toBe(w.task(id).mergedSha)
  expect(await w.remote('show', 'main:a.txt')).toBe('one\ntwo\nthree')
  expect(await look()).toEqual(before)
})
