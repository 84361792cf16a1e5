// What main itself was is proof; what came in by a side is not (S4, S5).

import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type World, commit, makeWorld, sh } from '../workspace/__fixtures__/world.ts'
import { type IntendedMerge, proveMerge } from './prove-merge.ts'

interface Made extends World {
  /** A task's head, which main as it was can be moved to. */
  head: string
  merge: IntendedMerge
  /** Plain git in the clone; on main when the test begins. */
  run: (...args: string[]) => Promise<string>
  /** Pushes main and gives where the mirror sees it. */
  push: () => Promise<string>
}

/** A head on top of main, and the merge of both that Orch tested: its tree is the head's own. */
async function made(): Promise<Made> {
  const world = await makeWorld()
  const run = (...args: string[]): Promise<string> => sh(world.env, world.clone, 'git', ...args)
  await run('checkout', '-q', '-b', 'topic')
  await writeFile(path.join(world.clone, 'mine'), 'mine\n')
  const head = await commit(world.env, world.clone, 'of the task')
  await run('checkout', '-q', 'main')
  await run('push', '-q', world.mirror.path, `${head}:refs/orch/test/head`)
  const merged = await world.mirror.mergeTree(world.base, head)
  if (!merged.ok) throw new Error('it conflicts')
  const { tree } = merged
  const by = { name: 'Orch', email: 'orch@localhost' }
  const mergeSha = await world.mirror.commitTree({
    tree,
    parents: [world.base, head],
    message: 'tested',
    author: by,
    committer: by,
  })
  const push = async (): Promise<string> => {
    await run('push', '-q', 'origin', 'main')
    return (await world.mirror.fetchBase('main')).sha
  }
  return { ...world, head, run, push, merge: { mergeSha, onto: world.base, tree, head, via: 'forge' } }
}

async function others(world: Made, name: string): Promise<void> {
  await writeFile(path.join(world.clone, name), 'theirs\n')
  await commit(world.env, world.clone, 'of others')
}

test('the tree that was tested is found on main, as a merge or a squash, with others’ work on top', async () => {
  for (const how of ['--no-ff', '--squash']) {
    const w = await made()
    await w.run('merge', '-q', how, 'topic', ...(how === '--no-ff' ? ['-m', 'by the forge'] : []))
    if (how === '--squash') await w.run('commit', '-q', '-m', 'by the forge')
    const by = await w.run('rev-parse', 'HEAD')
    await others(w, 'later')
    expect(await proveMerge(w.mirror, w.merge, await w.push())).toEqual({ kind: 'merged', mergedSha: by })
  }
})

test('S5: main moved before the forge merged: the head’s own tree, which was tested, is no proof of what main became', async () => {
  const w = await made()
  await others(w, 'before')
  await w.run('merge', '-q', '--no-ff', '-m', 'by the forge', 'topic')
  const by = await w.run('rev-parse', 'HEAD')
  await others(w, 'after')
  expect(await proveMerge(w.mirror, w.merge, await w.push())).toEqual({ kind: 'untested', at: by })
})

test('S4: main that holds neither the tree nor the head has no merge', async () => {
  const w = await made()
  expect(await proveMerge(w.mirror, w.merge, w.base)).toEqual({ kind: 'absent' })
  await others(w, 'theirs')
  expect(await proveMerge(w.mirror, w.merge, await w.push())).toEqual({ kind: 'absent' })
})
