// What came out of a chaos run, asked from outside: plain git, /proc and the file system.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TaskView } from '../../src/flow/app.ts'
import { type World, processesOf } from '../acceptance/harness.ts'
import { makeSite } from './site.ts'

/** Every file of main with its mode and blob, but for Orch's own configuration, which names folders of its world. */
export async function treeOf(world: World): Promise<string[]> {
  const lines = (await world.git('ls-tree', '-r', 'main')).split('\n')
  return lines.filter((line) => !line.endsWith('\t.orch.yml'))
}

/** The tree of main after the same tasks in a world of their own in which nobody is disturbed. */
export async function controlTree(numbers: number[], env: Record<string, string>): Promise<string[]> {
  const site = await makeSite({ env })
  try {
    site.world.sign('hurry')
    for (const number of numbers) await site.add(number)
    await site.world.upUntilIdle({ timeoutMs: 1_200_000 })
    return await treeOf(site.world)
  } finally {
    await site.close()
  }
}

export async function tasksOf(world: World, ids: string[]): Promise<TaskView[]> {
  const tasks: TaskView[] = []
  for (const id of ids) tasks.push(await world.task(id))
  return tasks
}

/** Tips that main has had and whose tree does not pass what the project verifies with. */
export async function redTips(world: World): Promise<string[]> {
  const clone = join(world.dir, 'tips')
  await world.gitIn(world.dir, 'clone', '--quiet', world.remote, clone)
  const red: string[] = []
  for (const tip of (await world.git('rev-list', '--first-parent', 'main')).split('\n')) {
    await world.gitIn(clone, 'checkout', '--quiet', '--force', tip)
    // A shell runs the project's own tests, through git so that the same environment holds.
    await world.gitIn(clone, '-c', 'alias.proof=!sh setup.sh && sh test.sh', 'proof').catch((error: unknown) => {
      red.push(`${tip}: ${String(error)}`)
    })
  }
  return red
}

/** Workspaces, checkouts and branches that nobody needs any more. */
export async function leftovers(world: World): Promise<string[]> {
  const folders = ['workspaces', 'verify', 'logins', 'pool'].flatMap((name) => {
    const folder = join(world.home, name)
    return existsSync(folder) ? readdirSync(folder).map((entry) => join(name, entry)) : []
  })
  const refs = (await world.git('for-each-ref', '--format=%(refname)')).split('\n')
  const processes = processesOf(world.dir).map((one) => `process ${one.pid} ${one.command}`)
  return [...folders, ...refs.filter((ref) => ref !== 'refs/heads/main'), ...processes]
}
