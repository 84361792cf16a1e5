// The whole run: an issue is opened, its change goes red in CI, is mended, is sent back by a reviewer, is mended, is
// approved, and is merged; the issue is closed. Each step is waited for at the vendor's side.

import { expect } from 'vitest'
import type { TaskView } from '../../../src/flow/app.ts'
import { type Pair, branchOf, taskOf } from './pair.ts'

const TITLE = 'Add a part'
const BODY = 'The shop needs one more part.\n\nIt says ok.'
const CHECK = 'docs'

/** What one run of the scripted developer costs; null: the agent's own matter. */
const COST = 0.25

export interface Told {
  title?: string
  body?: string
  costUsd?: number | null
  /** Done between one step and the next. */
  between?: () => Promise<void>
}

const NOTHING = (): Promise<void> => Promise.resolve()

export async function wholeRun(pair: Pair, told: Told = {}): Promise<void> {
  const { title = TITLE, body = BODY, costUsd = COST, between = NOTHING } = told
  const { world, forge, tracker, until } = pair
  const { member, self } = forge.people
  const issue = tracker ? await tracker.tracker.addIssue({ title, body, labels: ['orch'] }) : null
  if (issue === null) await world.add(title, body)

  // Published, and told of at the tracker.
  const first = await until('its branch is pushed', () => branchOf(pair))
  const number = await until('its change is open', async () => (await forge.forge.changesOf(first.name))[0])
  await until('its label', async () => (await forge.forge.readChange(number)).labels.includes('by-orch'))
  expect(await forge.forge.readChange(number)).toMatchObject({ state: 'open', draft: true, reviewers: [] })
  expect(await forge.forge.changesOf(first.name)).toEqual([number])
  if (tracker && issue !== null) await until('the tracker shows it', async () => isShown(pair, issue, 'waiting'))

  await between()
  // CI red: its log goes back to the agent, in the same session and on the same branch.
  await ci(pair, first.head)
  await between()
  const second = await until('it is mended after CI', () => movedFrom(pair, first.head))
  expect(second.name).toBe(first.name)
  await ci(pair, second.head)
  await until('people are asked', async () => {
    const { draft, reviewers } = await forge.forge.readChange(number)
    return !draft && reviewers.includes(member)
  })
  const shown = await forge.forge.readChange(number)
  expect(shown.body).toContain(body.split('\n', 1)[0])
  expect(shown.body).toContain(second.head.slice(0, 10))
  expect(shown.body).toMatch(costUsd === null ? /attempt 2, \$\d/ : /attempt 2, \$0\.50/)

  await between()
  // A person's review with a comment at a line.
  const words = 'Please name SHOP-1 in the README'
  const diff = '@@ -1 +1 @@\n # Sample'
  const thread = await forge.forge.addThread({ number, author: member, file: 'README.md', line: 1, body: words, diff })
  await forge.forge.review({
    number,
    author: member,
    sha: second.head,
    verdict: 'request_changes',
    body: 'One thing is missing.',
  })
  await between()
  const third = await until('it is mended after the review', () => movedFrom(pair, second.head))
  expect(await world.git('show', `${third.head}:README.md`)).toContain('It has SHOP-1.')
  await ci(pair, third.head)
  await until('the reviewer is answered', async () =>
    (await forge.forge.readThread(number, thread)).some(
      ({ author, body: said }) => author === self && said.includes(third.head.slice(0, 10)),
    ),
  )
  await between()
  await forge.forge.review({ number, author: member, sha: third.head, verdict: 'approve', body: 'Thanks.' })

  await between()
  await until('it is merged', () => isMerged(pair, number))
  await until('its branch is gone', async () => (await branchOf(pair)) === null)
  if (tracker && issue !== null) await until('its issue is closed', async () => isShown(pair, issue, 'done'))
  const replies = (await forge.forge.readThread(number, thread)).filter(({ author }) => author === self)
  expect(replies, 'answered once').toHaveLength(1)
  const task = await ended(pair)
  if (costUsd === null) expect(task.costUsd).toBeGreaterThan(0)
  else expect(task.costUsd).toBe(3 * costUsd)
}

/** What the books and main say at the end. */
async function ended(pair: Pair): Promise<TaskView> {
  const { world } = pair
  const task = await pair.until('the task is done', async () => {
    const now = await taskOf(pair)
    return now.status === 'done' && now
  })
  expect(task).toMatchObject({ status: 'done', attempts: { code: 2 } })
  expect(task.runs.map(({ outcome }) => outcome)).toEqual(['succeeded', 'succeeded', 'succeeded'])
  const [first] = task.runs
  expect(first?.sessionId).toBeTruthy()
  expect(task.runs.map(({ sessionId }) => sessionId)).toEqual(Array(3).fill(first?.sessionId))
  const files = await world.git('ls-tree', '-r', '--name-only', 'main')
  expect(files.split('\n')).toEqual(expect.arrayContaining(['parts/SHOP-1', 'docs/SHOP-1.md']))
  // What is on the books is what main got: its own newest commit.
  expect(task.mergedSha).toBe(await world.git('rev-parse', 'main'))
  const parents = (await world.git('rev-list', '--parents', '-1', 'main')).split(' ').slice(1)
  expect(parents).toHaveLength(pair.method === 'merge' ? 2 : 1)
  return task
}

async function isShown({ tracker }: Pair, issue: string, status: 'waiting' | 'done'): Promise<boolean> {
  if (!tracker) return true
  const { state, labels } = await tracker.tracker.readIssue(issue)
  const own = labels.filter((name) => name.startsWith('orch:'))
  return own.join() === `orch:${status}` && state === (status === 'done' ? 'completed' : 'open')
}

export async function isMerged({ forge, endsAs }: Pair, number: number): Promise<boolean> {
  return (await forge.forge.readChange(number)).state === endsAs
}

export async function movedFrom(pair: Pair, head: string): Promise<{ name: string; head: string } | null> {
  const now = await branchOf(pair)
  return now && now.head !== head ? now : null
}

/** CI as the project has it: red where the page is missing. */
export async function ci({ world, forge }: Pair, sha: string): Promise<void> {
  await forge.forge.report({ sha, name: CHECK, state: 'pending' })
  const files = await world.git('ls-tree', '-r', '--name-only', sha)
  const isGreen = files.includes('docs/SHOP-1.md')
  const log = `${'all is well so far\n'.repeat(3)}docs/SHOP-1.md is missing\n##[error]Process completed with exit code 1.\n`
  await forge.forge.report({ sha, name: CHECK, ...(isGreen ? { state: 'passed' } : { state: 'failed', log }) })
}
