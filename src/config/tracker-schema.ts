// The keys about trackers and forges: which issues become tasks, how they show where those are, how a change is shown.

import { z } from 'zod'
import { group, list, text, truth } from './schema-parts.ts'

export const approvalBySchema = group(
  {
    label: text(
      'Label at the change that says yes, set by somebody who may write there or is named in intake.people. Default: orch:approved.',
    ).optional(),
    column: text('Board column of the issue that says yes, whoever may move it there. Default: Approved.').optional(),
  },
  'What says yes under the policies `label` and `tracker-state`.',
)

export const changeSchema = group(
  {
    draft: truth('A change is a draft until its gates have passed. Default true.').optional(),
    labels: list(text('Label.'), 'Labels that each change gets.').optional(),
    reviewers: list(text('Login.'), 'People who are asked to review each change.').optional(),
    followUps: truth(
      'What is said at an approved change and not answered becomes tasks that begin when it has landed. Default false.',
    ).optional(),
  },
  'How a change is shown at the forge.',
)

export const intakeSchema = group(
  {
    labels: list(text('Label.'), 'An issue with one of these becomes a task. Default: orch.').optional(),
    columns: list(text('Column.'), 'An issue in one of these board columns becomes a task.').optional(),
    assignees: list(text('Login.'), 'An issue assigned to one of these becomes a task.').optional(),
    mention: text(
      'An issue with this word in its text or in a comment becomes a task: @orch, or a line such as /orch take.',
    ).optional(),
    people: list(text('Login.'), 'Besides owners and members: whose issues, labels and comments count.').optional(),
    strangers: z
      .enum(['ignore', 'park'], { error: 'must be ignore or park' })
      .describe(
        "What becomes of other people's issues: nothing, or a task that waits for your approval. Default: ignore.",
      )
      .optional(),
  },
  'Which issues of the tracker become tasks.',
)

export const trackerSchema = group(
  {
    columns: z
      .record(
        z.string().regex(/^(?!__proto__$)[a-z][a-z0-9_-]{0,39}$/, { error: 'must be the name of a status or a stage' }),
        text('Name of a board column.'),
        { error: 'must be a group of statuses or stages and their columns' },
      )
      .describe('Board column in which an issue is while its task is in a status or at a stage; the stage wins.')
      .optional(),
    labels: truth('Labels such as orch:running show the status. Default true.').optional(),
    comments: truth('Comments tell what happened. Default true.').optional(),
    commands: truth('Comments such as `/orch retry` are obeyed. Default: true, but at Plane false.').optional(),
  },
  'How the tracker shows where a task is.',
)
