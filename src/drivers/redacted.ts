// A tracker and a forge whose every text passes the redactor on its way out, whoever wrote it (S14); and what a forge says of
// a refused merge on its way in: it becomes the reason that people are told.

import type { Redactor } from '../lib/redact.ts'
import type { ChangeRequest, OwnComment, RemoteForge, Tracker } from './driver.ts'

export function redactedTracker(tracker: Tracker, redactor: Redactor): Tracker {
  return {
    ...tracker,
    ensureComment: (issue, comment) => tracker.ensureComment(issue, cleanComment(comment, redactor)),
  }
}

export function redactedForge(forge: RemoteForge, redactor: Redactor): RemoteForge {
  const text = (value: string): string => redactor.text(value)
  return {
    ...forge,
    ensureChange: (request) => forge.ensureChange(cleanRequest(request, redactor)),
    addReview: (review) => forge.addReview({ ...review, text: text(review.text) }),
    ensureComment: (task, comment) => forge.ensureComment(task, cleanComment(comment, redactor)),
    ensureReply: (task, reply) => forge.ensureReply(task, { ...reply, body: text(reply.body) }),
    async merge(request) {
      const answer = await forge.merge({ ...request, title: text(request.title), message: text(request.message) })
      return answer.ok ? answer : { ...answer, text: text(answer.text) }
    },
  }
}

function cleanComment(comment: OwnComment, redactor: Redactor): OwnComment {
  return { ...comment, body: redactor.text(comment.body) }
}

function cleanRequest(request: ChangeRequest, redactor: Redactor): ChangeRequest {
  return { ...request, title: redactor.text(request.title), body: redactor.text(request.body) }
}
