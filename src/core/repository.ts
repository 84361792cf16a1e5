// What one repository owns across its tasks: its train, the queue of changes that wait to land.
// Invariant: only the train decides what is landed next; a task is in it at most once (S6).

import type { RepositoryEvent } from './messages.ts'
import { type Train, EMPTY_TRAIN, enter, leave } from './train.ts'

export interface Repository {
  /** The project's prefix; one project has one repository. */
  id: string
  train: Train
}

export function newRepository(id: string): Repository {
  return { id, train: EMPTY_TRAIN }
}

export function evolveRepository(repository: Repository, event: RepositoryEvent, at: number): Repository {
  switch (event.type) {
    case 'train.entered':
      return { ...repository, train: enter(repository.train, { ...event.data, enteredAt: at }) }
    case 'train.left':
      return { ...repository, train: leave(repository.train, event.data.task) }
    default:
      return event satisfies never
  }
}
