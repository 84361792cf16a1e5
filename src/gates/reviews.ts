// People's reviews at the forge: the latest word of each reviewer on exactly this head counts, and one who asks for changes
// outweighs any number who approve. A review of an earlier head judges nothing (S8).

import { type Finding, type Judgement, failed, passed, unknown, waitsFor } from '../core/verdict.ts'
import type { ChangeReview, ReviewThread } from '../drivers/driver.ts'
import type { AwaitGate, AwaitInput } from './gate.ts'

/** How long a person's review is waited for (issue: a person is told after seven days). */
const REVIEW_LIMIT_MS = 7 * 24 * 3_600_000

export const reviewsGate: AwaitGate = {
  name: 'reviews',
  describe: 'A person approved this head at the forge, and nobody asks for changes.',
  collect: judgeReviews,
}

async function judgeReviews(input: AwaitInput): Promise<Judgement> {
  const { forge, headSha, now, since } = input
  const words = await ofThoseWhoMayWrite(await forge.reviews(), forge)
  const current = latestWords(words.filter((review) => review.sha === headSha))
  const against = current.filter((review) => review.verdict === 'request_changes')
  if (against.length > 0) {
    const threads = await forge.threads()
    const at = threads.length > 0 ? ` in ${threads.length} thread(s)` : ''
    return failed(`${who(against)} asked for changes${at}`, [
      ...against.filter((review) => review.body.trim() !== '').map(findingOfReview),
      ...threads.flatMap(findingOfThread),
      ...(threads.length === 0 && against.every((review) => review.body.trim() === '') ? against.map(wordless) : []),
    ])
  }
  const approvals = current.filter((review) => review.verdict === 'approve')
  if (approvals.length > 0) return passed(`approved by ${who(approvals)}`)
  if (now - since < REVIEW_LIMIT_MS) {
    const old = latestWords(words).filter((review) => review.sha !== headSha && review.verdict !== 'comment')
    return waitsFor('review', old.length > 0 ? `${who(old)} judged an earlier head` : 'nobody has reviewed this head')
  }
  return unknown('review-timeout', 'nobody has reviewed this head within a week', { retryable: false })
}

/** Anybody can review a public repository, and a bot's word is no person's. */
async function ofThoseWhoMayWrite(reviews: ChangeReview[], forge: AwaitInput['forge']): Promise<ChangeReview[]> {
  const kept: ChangeReview[] = []
  for (const review of reviews)
    if (!review.author.isBot && (await forge.isTrusted(review.author.login))) kept.push(review)
  return kept
}

/** What each reviewer said last; a later comment takes no earlier word back. */
function latestWords(reviews: ChangeReview[]): ChangeReview[] {
  const latest = new Map<string, ChangeReview>()
  for (const review of reviews.toSorted((a, b) => a.at - b.at)) {
    if (review.verdict === 'comment' && latest.has(review.author.login)) continue
    latest.set(review.author.login, review)
  }
  return [...latest.values()]
}

function findingOfReview(review: ChangeReview): Finding {
  return { gate: 'review', severity: 'P1', text: `${review.author.login} wrote:\n${review.body}` }
}

function wordless(review: ChangeReview): Finding {
  const text = `${review.author.login} asked for changes without a word: ${review.url}`
  return { gate: 'review', severity: 'P1', text }
}

/** The whole thread word for word, with the diff it stands at. */
function findingOfThread({ file, line, diff, comments }: ReviewThread): Finding[] {
  const words = comments.map((comment) => `${comment.author.login} wrote:\n${comment.body}`).join('\n\n')
  const text = diff === null ? words : `At this place:\n${diff}\n\n${words}`
  return [
    {
      gate: 'review',
      severity: 'P1',
      text,
      ...(file === null ? {} : { file }),
      ...(line === null ? {} : { line }),
    },
  ]
}

function who(reviews: ChangeReview[]): string {
  return reviews.map((review) => review.author.login).join(', ')
}
