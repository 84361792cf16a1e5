import { expect, test } from 'vitest'
import type { Task } from '../core/task.ts'
import type { Queries } from '../store/store.ts'
import type { TaskNode } from './app.ts'
import { taskTree } from './task-tree.ts'

/** Tasks by what they depend on; all of them open. */
function queries(tasks: Record<string, string[]>): Queries {
  const known: Partial<Queries> = {
    listTasks: () => Object.keys(tasks).map((id) => ({ id })) as ReturnType<Queries['listTasks']>,
    dependantsOf: (id) => Object.keys(tasks).filter((other) => tasks[other]?.includes(id)),
    getTask: (id) => {
      const dependsOn = tasks[id]
      if (!dependsOn) return null
      const state = {
        title: `Title of ${id}`,
        stage: 'develop',
        status: 'queued',
        paused: false,
        dependsOn,
      } as Partial<Task>
      return { version: 1, state: state as Task }
    },
  }
  return known as Queries
}

/** `A(B C(D))`, a repeated one with `*`. */
const drawn = (nodes: TaskNode[] | null): string | undefined =>
  nodes
    ?.map(
      ({ id, repeated, dependsOn }) =>
        `${id}${repeated ? '*' : ''}${dependsOn.length > 0 ? `(${drawn(dependsOn)})` : ''}`,
    )
    .join(' ')

test('a task stands above what it waits for, and what is shared is told once', () => {
  const store = queries({ A: [], B: ['A'], C: ['B', 'A'], D: ['B'], E: ['gone'] })
  expect(drawn(taskTree(store, { task: 'C' }))).toBe('C(B(A) A)')
  expect(drawn(taskTree(store, {}))).toBe('C(B(A) A) D(B*) E')
  expect(taskTree(store, { task: 'X' })).toBeNull()
})

test('a long chain of diamonds stays as small as what it is made of', () => {
  const tasks: Record<string, string[]> = { 'A-0': [], 'B-0': [] }
  for (let n = 1; n < 40; n++) for (const side of ['A', 'B']) tasks[`${side}-${n}`] = [`A-${n - 1}`, `B-${n - 1}`]
  const count = (nodes: TaskNode[]): number => nodes.reduce((sum, node) => sum + 1 + count(node.dependsOn), 0)
  expect(count(taskTree(queries(tasks), { task: 'A-39' }) ?? [])).toBeLessThan(200)
})
