// Folds a whole journal with the core's own functions and compares it with the rows (S17). For tests and simulations.

import { isDeepStrictEqual } from 'node:util'
import { type Account, evolveAccount, newAccount } from '../core/account.ts'
import type { AccountEvent, RepositoryEvent, TaskEvent } from '../core/messages.ts'
import { type Repository, evolveRepository, newRepository } from '../core/repository.ts'
import { type Task, evolve } from '../core/task.ts'
import type { JournalEntry, Queries } from './store.ts'

export interface Folded {
  tasks: Map<string, Task>
  repositories: Map<string, Repository>
  accounts: Map<string, Account>
}

/** The state of every aggregate, from the journal alone. */
function foldJournal(queries: Pick<Queries, 'listEvents'>): Folded {
  const folded: Folded = { tasks: new Map(), repositories: new Map(), accounts: new Map() }
  for (const entry of queries.listEvents({})) foldEntry(folded, entry)
  return folded
}

function foldEntry({ tasks, repositories, accounts }: Folded, { stream, id, type, data, at }: JournalEntry): void {
  switch (stream) {
    case 'task':
      tasks.set(id, evolve(tasks.get(id) ?? null, { type, data } as TaskEvent, at))
      break
    case 'repository':
      repositories.set(
        id,
        evolveRepository(repositories.get(id) ?? newRepository(id), { type, data } as RepositoryEvent, at),
      )
      break
    case 'account':
      accounts.set(id, evolveAccount(accounts.get(id) ?? newAccount(id), { type, data } as AccountEvent))
      break
    default:
      stream satisfies never
  }
}

/** One sentence for each row that is not the fold of its events; empty when all are. */
export function rowMismatches(queries: Queries): string[] {
  const folded = foldJournal(queries)
  const problems: string[] = []
  const compare = (what: string, row: unknown, fold: unknown): void => {
    if (!isDeepStrictEqual(plain(row), plain(fold)))
      problems.push(`${what}: the row is ${JSON.stringify(row)}, its events say ${JSON.stringify(fold)}`)
  }
  for (const [id, task] of folded.tasks) compare(`task ${id}`, queries.getTask(id)?.state, task)
  for (const [id, repository] of folded.repositories)
    compare(`repository ${id}`, queries.getRepository(id)?.state, repository)
  for (const [id, account] of folded.accounts) compare(`account ${id}`, queries.getAccount(id)?.state, account)
  const lines = queries.listTasks({ limit: Number.MAX_SAFE_INTEGER })
  compare('ids of tasks', lines.map((line) => line.id).toSorted(), [...folded.tasks.keys()].toSorted())
  for (const line of lines) {
    const task = folded.tasks.get(line.id)
    const { title, stage, status, waitingFor, waitingUntil, paused, priority, runId, costUsd, since } = line
    const columns = { title, stage, status, waitingFor, waitingUntil, paused, priority, runId, costUsd, since }
    const state =
      task && Object.fromEntries(Object.keys(columns).map((key) => [key, task[key as keyof typeof columns]]))
    compare(`list columns of ${line.id}`, columns, state)
  }
  return problems
}

/** As JSON keeps it: an absent member and an undefined one are the same. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}
