// What people do to a change at GitHub beside reviewing it, and what they command there.

import { afterEach, expect, test } from 'vitest'
import { commitAndPush, type Live } from './harness.ts'
import { type Pair, type PairOptions, branchOf, openPair, taskOf } from './vendors/pair.ts'
import { ci, isMerged, movedFrom } from './vendors/whole-run.ts'

let pair: Pair | null = null
let live: Live | null = null
afterEach(async () => {
  live?.kill('SIGINT')
  await live?.ended
  await pair?.close()
  pair = null
  live = null
})

interface Shown {
  pair: Pair
  issue: string
  number: number
  branch: string
  head: string
}

/** An issue whose change is shown and waits for CI and people. */
async function shown(options: Pick<PairOptions, 'config' | 'approval'> = {}): Promise<Shown> {
  const made = await openPair({ tracker: 'github', forge: 'github', method: 'merge', ...options })
  pair = made
  live = await made.up()
  const issue =
    (await made.tracker?.tracker.addIssue({ title: 'Add a part', body: 'One more.', labels: ['orch'] })) ?? ''
  const { name, head } = await made.until('its branch is pushed', () => branchOf(made))
  const number = await made.until('its change is open', async () => (await made.forge.forge.changesOf(name))[0])
  await made.until('it waits', async () => (await taskOf(made)).status === 'waiting')
  return { pair: made, issue, number, branch: name, head }
}

const issueOf = async ({ pair: { tracker }, issue }: Shown) => tracker?.tracker.readIssue(issue)

test('merged by a person: the task is done, its issue closed', { timeout: 120_000 }, async () => {
  const at = await shown()
  await at.pair.forge.forge.mergeByPerson(at.number)
  const task = await at.pair.until('it is done', async () => {
    const now = await taskOf(at.pair)
    return now.status === 'done' && now
  })
  expect(task.mergedSha).toBe(await at.pair.world.git('rev-parse', 'main'))
  await at.pair.until('the issue says so', async () => (await issueOf(at))?.labels.includes('orch:done'))
  expect(await issueOf(at)).toMatchObject({ state: 'completed' })
  await at.pair.until('its branch is gone', async () => (await branchOf(at.pair)) === null)
})

test('closed by a person: the task is cancelled, and says by what', { timeout: 120_000 }, async () => {
  const at = await shown()
  await at.pair.forge.forge.closeByPerson(at.number)
  await at.pair.until('it is cancelled', async () => (await taskOf(at.pair)).status === 'cancelled')
  const [ended] = (await at.pair.world.journal('SHOP-1')).filter(({ type }) => type === 'task.cancelled')
  const why = `change ${at.number} was closed at the forge`
  expect(ended?.data).toEqual({ by: expect.stringMatching(/^(github|orch)$/) as string, why })
  expect((await at.pair.world.why('SHOP-1')).because).toBe(`It was cancelled because ${why}.`)
  await at.pair.until('the issue says so', async () => (await issueOf(at))?.labels.includes('orch:cancelled'))
  expect((await at.pair.forge.forge.readChange(at.number)).state).toBe('closed')
})

test('reopened while its issue stays closed, it works on; closed anew, it ends', { timeout: 120_000 }, async () => {
  const at = await shown()
  const { world, tracker } = at.pair
  await tracker?.tracker.changeIssue(at.issue, { state: 'cancelled' })
  await at.pair.until('it is cancelled', async () => (await taskOf(at.pair)).status === 'cancelled')
  const { id } = (await world.ok(['task', 'reopen', 'SHOP-1', '--json'])).json<{ id: string }>()
  // On its way it is shown at the issue, which changes that, and is looked at again and again.
  await at.pair.until('it waits', async () => (await world.task(id)).status === 'waiting')
  await at.pair.until('the issue says so', async () => (await issueOf(at))?.labels.includes('orch:waiting'))
  await tracker?.tracker.changeIssue(at.issue, { body: 'One more, and no other.' })
  await at.pair.until('it is followed', async () => (await world.task(id)).body === 'One more, and no other.')
  expect(await issueOf(at)).toMatchObject({ state: 'cancelled' })
  expect((await world.task(id)).status).toBe('waiting')
  await tracker?.tracker.changeIssue(at.issue, { state: 'open' })
  await tracker?.tracker.changeIssue(at.issue, { state: 'completed' })
  await at.pair.until('it is cancelled', async () => (await world.task(id)).status === 'cancelled')
  expect((await world.why(id)).because).toBe('It was cancelled because its issue was closed (completed).')
})

test('a person pushes to its branch by force: held, and their commit stays', { timeout: 120_000 }, async () => {
  const at = await shown()
  const { world, forge, until } = at.pair
  await world.gitIn(world.clone, 'fetch', '--quiet', 'origin')
  await world.gitIn(world.clone, 'checkout', '--quiet', '-b', 'mine', 'origin/main')
  await world.gitIn(world.clone, 'commit', '--quiet', '--allow-empty', '-m', 'Mine instead')
  await world.gitIn(world.clone, 'push', '--quiet', '--force', 'origin', `HEAD:refs/heads/${at.branch}`)
  forge.tell()
  const task = await until('it is held', async () => {
    const now = await taskOf(at.pair)
    return now.status === 'needs_review' && now
  })
  expect(task).toMatchObject({ reason: 'branch-moved' })
  expect(task.reasonText).toContain('which Orch did not push')
  await until('the issue says so', async () => (await issueOf(at))?.labels.includes('orch:needs-review'))
  expect(await world.git('log', '-1', '--format=%s', at.branch)).toBe('Mine instead')
})

test('main moves under it: it is merged in by its developer, then lands', { timeout: 120_000 }, async () => {
  const at = await shown({ config: 'limits: { attempts: 4 }' })
  const { world, forge, until } = at.pair
  await ci(at.pair, at.head)
  const second = await until('it is mended after CI', () => movedFrom(at.pair, at.head))
  await ci(at.pair, second.head)
  // The developer's own line and this one stand at the same place.
  await forge.forge.review({
    number: at.number,
    author: forge.people.member,
    sha: second.head,
    verdict: 'request_changes',
    body: 'Please name SHOP-1 in the README',
  })
  const third = await until('it is mended after the review', () => movedFrom(at.pair, second.head))
  await commitAndPush(world, { 'README.md': '# Sample\n\nIt has something else.\n' }, 'Say something else')
  forge.tell()
  await ci(at.pair, third.head)
  await forge.forge.review({
    number: at.number,
    author: forge.people.member,
    sha: third.head,
    verdict: 'approve',
    body: 'Fine.',
  })
  const fourth = await until('the conflict is solved', () => movedFrom(at.pair, third.head))
  await world.git('merge-base', '--is-ancestor', 'main', fourth.head)
  await ci(at.pair, fourth.head)
  // A mended conflict is another head: the yes to the one before says nothing of it.
  await until('it waits for a person', async () =>
    (await world.why('SHOP-1')).because.includes('judged an earlier head'),
  )
  await forge.forge.review({
    number: at.number,
    author: forge.people.member,
    sha: fourth.head,
    verdict: 'approve',
    body: 'Fine still.',
  })
  await until('it is merged', () => isMerged(at.pair, at.number))
  const readme = await world.git('show', 'main:README.md')
  expect(readme).toContain('It has something else.')
  expect(readme).toContain('It has SHOP-1.')
})

test(
  'a label as the yes: set by who may only read it says nothing, by who may write it lands',
  { timeout: 120_000 },
  async () => {
    const at = await shown({ approval: 'label' })
    const { forge, until, world } = at.pair
    const { member, stranger } = forge.people
    const put = (author: string, on: boolean): Promise<void> =>
      forge.forge.putLabel({ number: at.number, author, label: 'orch:approved', on })
    await ci(at.pair, at.head)
    const { head } = await until('it is mended after CI', () => movedFrom(at.pair, at.head))
    await ci(at.pair, head)
    await forge.forge.review({ number: at.number, author: member, sha: head, verdict: 'approve', body: 'Fine.' })
    await until('it waits for the yes', async () => (await taskOf(at.pair)).waitingFor === 'approval')
    await put(stranger, true)
    await until('it is heard, and said why not', async () =>
      (await world.ok(['webhook', 'deliveries'])).stdout.includes(`was set by ${stranger}`),
    )
    expect((await taskOf(at.pair)).waitingFor).toBe('approval')
    await put(stranger, false)
    await put(member, true)
    await until('it is merged', () => isMerged(at.pair, at.number))
    const approved = (await world.journal('SHOP-1')).filter(({ type }) => type === 'task.approved')
    expect(approved.map(({ data }) => data)).toMatchObject([{ by: member, sha: head }])
  },
)

test('commands in comments: who may, is obeyed; who may not, is shown so', { timeout: 120_000 }, async () => {
  const at = await shown()
  const { forge, tracker, until } = at.pair
  const { member, stranger, self } = forge.people
  if (!tracker) throw new Error('GitHub is a tracker')
  const say = (author: string, body: string): Promise<string> =>
    tracker.tracker.addComment({ issue: at.issue, author, body })
  const signs = async (comment: string): Promise<number> =>
    (await tracker.tracker.countReactions?.({ issue: at.issue, comment })) ?? 0

  await say(member, '/orch why')
  await until('it is answered', async () =>
    (await tracker.tracker.readComments(at.issue)).some(
      ({ author, body }) => author === self && body.includes('Whose move: '),
    ),
  )
  const strangers = await say(stranger, '/orch stop')
  await until('it is refused', async () => (await signs(strangers)) === 1)
  expect((await taskOf(at.pair)).status).toBe('waiting')
  const quoted = await say(member, '> /orch stop\n\nWho said that? `/orch stop`')
  await forge.forge.addComment({ number: at.number, author: member, body: '/orch pause' })
  await until('it is paused', async () => (await taskOf(at.pair)).paused)
  await say(member, '/orch resume')
  await until('it goes on', async () => !(await taskOf(at.pair)).paused)
  expect(await signs(quoted)).toBe(0)
  await say(member, '/orch stop')
  await until('it is cancelled', async () => (await taskOf(at.pair)).status === 'cancelled')
  await until('its change is closed', async () => (await forge.forge.readChange(at.number)).state === 'closed')
})
