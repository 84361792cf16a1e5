// Real kills: the real binary with real git, agents that work for seconds, and SIGKILL at random moments. What came out
// must be what comes out of a run in which nothing happened.
// CHAOS_SEED repeats a choice of victims and moments (not the machine's own timing), CHAOS_ROUNDS sets the rounds.

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import type { TaskView } from '../../src/flow/app.ts'
import { landings, wrongBooks } from '../acceptance/books.ts'
import { controlTree, leftovers, redTips, tasksOf, treeOf } from './outcome.ts'
import { type Course, type Phase, play } from './rounds.ts'
import { type Site, canMount, makeSite } from './site.ts'

const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000)
const ROUNDS = Number(process.env['CHAOS_ROUNDS'] ?? 200)
/** A round takes three to six seconds on two cores, its share of the rest after it included; this is a hang. */
const ROUND_LIMIT_MS = 20_000
/** Making two worlds and asking all questions, whatever the rounds. */
const REST_LIMIT_MS = 300_000

const KILLS: Phase = { name: 'kills', share: 0.4, orchestrators: 1 }
const WEATHER: Phase[] = [
  {
    name: 'pushes refused',
    share: 0.15,
    orchestrators: 1,
    begin: (weather) => weather.refusePushes(),
    end: (weather) => weather.takePushes(),
  },
  {
    name: 'remote away',
    share: 0.15,
    orchestrators: 1,
    begin: (weather) => weather.hideRemote(),
    end: (weather) => weather.showRemote(),
  },
]
const NO_ROOM: Phase = {
  name: 'disk full',
  share: 0.15,
  orchestrators: 1,
  noRoom: true,
  end: (weather) => weather.freeDisk(),
}
const TWO: Phase = {
  name: 'two orchestrators',
  share: 0.15,
  orchestrators: 2,
  victims: ['orchestrator', 'orchestrator', 'orchestrator', 'supervisor', 'helper'],
}

interface Variant {
  name: string
  /** Its share of the suite's rounds. */
  share: number
  env: Record<string, string>
  phases: Phase[]
  smallDisk: boolean
  skip?: boolean
}

const mounts = canMount()
const VARIANTS: Variant[] = [
  {
    name: `kills in all weathers${mounts ? '' : ' (no full disk: it needs root and mount)'}`,
    share: 0.6,
    env: {},
    phases: [KILLS, ...WEATHER, ...(mounts ? [NO_ROOM] : []), TWO],
    smallDisk: mounts,
  },
  {
    name: 'two orchestrators on one database',
    share: 0.2,
    env: {},
    phases: [{ ...TWO, share: 1 }],
    smallDisk: false,
  },
  {
    name: 'kills without a sandbox',
    share: 0.12,
    env: { ORCH_SANDBOX: 'none' },
    phases: [{ ...KILLS, share: 1 }],
    smallDisk: false,
  },
  {
    name: `kills with a pid namespace alone${canUnshare() ? '' : ' (unshare makes none here)'}`,
    share: 0.08,
    env: { ORCH_SANDBOX: 'unshare' },
    phases: [{ ...KILLS, share: 1 }],
    smallDisk: false,
    skip: !canUnshare(),
  },
]

function canUnshare(): boolean {
  try {
    execFileSync('unshare', ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', 'true'], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}

for (const [index, variant] of VARIANTS.entries()) {
  const rounds = Math.max(2, Math.round(ROUNDS * variant.share))
  describe.skipIf(variant.skip)(`${variant.name}, ${rounds} rounds, CHAOS_SEED=${SEED}`, () => {
    let site: Site
    let course: Course
    let tasks: TaskView[]
    const done = (): TaskView[] => tasks.filter((task) => task.status === 'done')

    beforeAll(
      async () => {
        const began = performance.now()
        site = await makeSite({ env: variant.env, smallDisk: variant.smallDisk })
        course = await play(site, { seed: SEED + index, rounds, phases: variant.phases })
        tasks = await tasksOf(site.world, course.tasks)
        const seconds = Math.round((performance.now() - began) / 1_000)
        console.log(`${variant.name}: ${course.played} rounds in ${seconds} s, ${summary(course, tasks)}`)
      },
      rounds * ROUND_LIMIT_MS + REST_LIMIT_MS,
    )
    afterAll(() => site.close())

    /** What whoever has to understand a failure needs, once. */
    let explained = false
    const explain = (): void =>
      onTestFailed(() => {
        if (explained) return
        explained = true
        console.log(`CHAOS_SEED=${SEED} CHAOS_ROUNDS=${ROUNDS} npm run test:chaos\n${course.log.join('\n')}`)
        for (const task of tasks.filter((one) => one.status !== 'done' || one.attempts.code > 0))
          console.log(JSON.stringify(task, null, 1))
      })

    test('nothing went wrong on the way', () => {
      explain()
      expect(course.problems).toEqual([])
      // Rounds that killed nobody prove nothing.
      const kills = Object.values(course.kills).reduce((sum, n) => sum + n)
      expect(kills).toBeGreaterThanOrEqual(course.played * 0.9)
    })

    test('at least 95 % of the tasks are done, the others are held with a reason, none lost a code attempt', () => {
      explain()
      expect(done().length).toBeGreaterThanOrEqual(Math.ceil(tasks.length * 0.95))
      for (const task of tasks) {
        expect(task.attempts.code, task.id).toBe(0)
        if (task.status !== 'done')
          expect(task, task.id).toMatchObject({ status: 'needs_review', reason: expect.stringMatching(/./) })
      }
    })

    test('main holds each done task exactly once, and nothing else', async () => {
      explain()
      const expected = done().map((task) => [task.id, [task.mergedSha]])
      expect(Object.fromEntries(await landings(site.world))).toEqual(Object.fromEntries(expected))
    })

    test('the books are closed, and the rows are what their events say', () => {
      explain()
      expect(wrongBooks(site.world)).toEqual([])
    })

    test('no process, no workspace and no branch is left over', async () => {
      explain()
      // What is held keeps its place, for whoever looks at it, and its project a pool.
      const held = tasks.filter((task) => task.status !== 'done').map((task) => task.id)
      const kept = held.length > 0 ? [...held, 'pool/T'] : []
      const left = await leftovers(site.world)
      expect(left.filter((one) => !kept.some((name) => new RegExp(`${name}\\b`).test(one)))).toEqual([])
    })

    test('every tree that main has had passes its tests', async () => {
      explain()
      expect(await redTips(site.world)).toEqual([])
    }, 300_000)

    test('main has the tree of an undisturbed run', async () => {
      explain()
      const numbers = tasks.flatMap((task, at) => (task.status === 'done' ? [at + 1] : []))
      expect(await treeOf(site.world)).toEqual(await controlTree(numbers, variant.env))
    }, 1_200_000)
  })
}

function summary(course: Course, tasks: TaskView[]): string {
  const outcomes = new Map<string, number>()
  for (const { outcome } of tasks.flatMap((task) => task.runs)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const words = (counts: Iterable<[string, number]>): string =>
    [...counts].map(([name, n]) => `${n} ${name}`).join(', ')
  return [
    `${tasks.length} tasks, ${tasks.filter((task) => task.status === 'done').length} done`,
    `killed: ${words(Object.entries(course.kills))}`,
    `runs: ${words(outcomes)}`,
    `${course.retries} retries by hand`,
  ].join('; ')
}
