// The deliveries that a played GitHub owes its webhooks: told from what has changed since the last look, each as one of
// GitHub's own examples with what changed laid over it.

import examples from '@octokit/webhooks-examples' with { type: 'json' }
import { showComment, showIssue, showLabel, showLine, showPull, showReview } from './fake-github-shown.ts'
import { type FakeIssue, type FakePull, type FakeState, seePushes } from './fake-github-state.ts'

export interface FakeNews {
  event: string
  payload: unknown
}

type Json = Record<string, unknown>

/** Gives, at each call, what happened since the one before. */
export function makeNews(state: FakeState): () => FakeNews[] {
  let before = snapshot(state)
  return () => {
    seePushes(state)
    const now = snapshot(state)
    const news = [
      ...pushes(state, { before, now }),
      ...[...state.issues.values()].flatMap((issue) => issueNews(state, { issue, before: before.issues })),
      ...checkNews(state, { before, now }),
    ]
    before = now
    return news
  }
}

/** What is compared: a copy of all that webhooks tell of. */
function snapshot({ issues, branches, checkRuns, statuses }: FakeState) {
  return structuredClone({ issues, branches, checkRuns, statuses })
}
type Snapshot = ReturnType<typeof snapshot>
interface Change {
  before: Snapshot
  now: Snapshot
}

function pushes(state: FakeState, { before, now }: Change): FakeNews[] {
  const names = new Set([...before.branches.keys(), ...now.branches.keys()])
  const none = '0'.repeat(40)
  return [...names].flatMap((name) => {
    const [old = none, sha = none] = [before.branches.get(name), now.branches.get(name)]
    if (old === sha) return []
    const moved = { ref: `refs/heads/${name}`, before: old, after: sha }
    return [tell(state, 'push', { ...moved, created: old === none, deleted: sha === none })]
  })
}

function issueNews(state: FakeState, { issue, before }: { issue: FakeIssue; before: Snapshot['issues'] }): FakeNews[] {
  const old = before.get(issue.number)
  const { pull } = issue
  const about = pull ? { pull_request: showPull(state, issue) } : { issue: showIssue(state, issue) }
  const event = pull ? 'pull_request' : 'issues'
  const say = (action: string, more: Json = {}): FakeNews =>
    tell(state, event, { action, ...(pull ? { number: issue.number } : {}), ...about, ...more })
  const news: FakeNews[] = []
  if (!old) news.push(say('opened'))
  for (const name of issue.labels.filter((one) => !old?.labels.includes(one)))
    news.push(say('labeled', { label: showLabel(name) }))
  for (const name of (old?.labels ?? []).filter((one) => !issue.labels.includes(one)))
    news.push(say('unlabeled', { label: showLabel(name) }))
  if (old && (old.title !== issue.title || old.body !== issue.body)) news.push(say('edited'))
  if (pull) news.push(...pullNews(state, { issue, pull, old: old?.pull ?? null, say }))
  if (old && old.state !== issue.state) news.push(say(issue.state === 'open' ? 'reopened' : 'closed'))
  return [...news, ...talk(state, issue, old)]
}

function talk(state: FakeState, issue: FakeIssue, old: FakeIssue | undefined): FakeNews[] {
  return issue.comments.flatMap((comment) => {
    const earlier = old?.comments.find(({ id }) => id === comment.id)
    if (earlier?.body === comment.body) return []
    const action = earlier ? 'edited' : 'created'
    const shown = { ...showIssue(state, issue), ...(issue.pull ? { pull_request: {} } : {}) }
    return [tell(state, 'issue_comment', { action, issue: shown, comment: showComment(state, comment) })]
  })
}

function pullNews(
  state: FakeState,
  at: { issue: FakeIssue; pull: FakePull; old: FakePull | null; say: (action: string) => FakeNews },
): FakeNews[] {
  const { issue, pull, old, say } = at
  const news: FakeNews[] = []
  if (old && old.head.sha !== pull.head.sha) news.push(say('synchronize'))
  if (old && old.draft !== pull.draft) news.push(say(pull.draft ? 'converted_to_draft' : 'ready_for_review'))
  if (pull.reviewers.some((login) => !old?.reviewers.includes(login))) news.push(say('review_requested'))
  const pull_request = showPull(state, issue)
  for (const review of pull.reviews.filter(({ id }) => !old?.reviews.some((one) => one.id === id)))
    news.push(
      tell(state, 'pull_request_review', { action: 'submitted', review: showReview(state, review), pull_request }),
    )
  for (const line of pull.lines.filter(({ id }) => !old?.lines.some((one) => one.id === id)))
    news.push(
      tell(state, 'pull_request_review_comment', { action: 'created', comment: showLine(state, line), pull_request }),
    )
  return news
}

function checkNews(state: FakeState, { before, now }: Change): FakeNews[] {
  const runs = now.checkRuns.flatMap(({ id, sha, name, status, conclusion }) => {
    const old = before.checkRuns.find((run) => run.id === id)
    if (old?.status === status) return []
    const action = status === 'completed' ? 'completed' : 'created'
    return [tell(state, 'check_run', { action, check_run: { id, head_sha: sha, name, status, conclusion } })]
  })
  const statuses = now.statuses
    .slice(before.statuses.length)
    .map(({ sha, ...said }) => tell(state, 'status', { sha, ...said }))
  return [...runs, ...statuses]
}

/** The package's types describe another shape than its data. */
const EXAMPLES = examples as unknown as { name: string; examples: Json[] }[]

/** As GitHub sends it: everything of the example, and over it what is known here. */
function tell(state: FakeState, event: string, known: Json): FakeNews {
  const all = EXAMPLES.find(({ name }) => name === event)?.examples
  const example = all?.find(({ action }) => action === known['action']) ?? all?.[0]
  if (!example) throw new Error(`GitHub has no example of ${event}`)
  const repository = { ...(example['repository'] as Json), full_name: state.ref, html_url: `${state.web}/${state.ref}` }
  const laid = Object.entries(known).map(([name, value]) => {
    const shown = example[name]
    return [name, isObject(shown) && isObject(value) ? { ...shown, ...value } : value]
  })
  return { event, payload: { ...example, ...Object.fromEntries(laid), repository } }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
