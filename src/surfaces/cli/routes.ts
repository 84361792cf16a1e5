// The static table of nouns and verbs. A verb's file is read only when it is called.

import type { Command } from './command.ts'

export type Load = () => Promise<{ command: Command }>
export interface Noun {
  about: string
  verbs: Readonly<Record<string, Load>>
}
export interface Section {
  title: string
  verbs: Readonly<Record<string, Load>>
}

/** Verbs without a noun, in the order of the help. */
export const SECTIONS: readonly Section[] = [
  {
    title: 'Begin',
    verbs: {
      demo: () => import('./demo.ts'),
      init: () => import('./init.ts'),
      onboard: () => import('./onboard.ts'),
      doctor: () => import('./doctor.ts'),
      up: () => import('./up.ts'),
      sync: () => import('./sync.ts'),
    },
  },
  {
    title: 'Look',
    verbs: {
      status: () => import('./status.ts'),
      why: () => import('./why.ts'),
      stream: () => import('./stream.ts'),
      version: () => import('./version.ts'),
    },
  },
  {
    title: 'Decide',
    verbs: {
      approve: () => import('./approve.ts'),
      reject: () => import('./reject.ts'),
      answer: () => import('./answer.ts'),
    },
  },
  {
    title: 'Keep',
    verbs: {
      backup: () => import('./backup.ts'),
      restore: () => import('./restore.ts'),
      export: () => import('./export.ts'),
      import: () => import('./import.ts'),
    },
  },
  {
    title: 'For your shell and scripts',
    verbs: {
      completion: () => import('./completion.ts'),
      schema: () => import('./schema.ts'),
    },
  },
]

export const NOUNS: Readonly<Record<string, Noun>> = {
  task: {
    about: 'Tasks: what is to be done',
    verbs: {
      add: () => import('./task/add.ts'),
      list: () => import('./task/list.ts'),
      show: () => import('./task/show.ts'),
      tree: () => import('./task/tree.ts'),
      runs: () => import('./task/runs.ts'),
      logs: () => import('./task/logs.ts'),
      diff: () => import('./task/diff.ts'),
      events: () => import('./task/events.ts'),
      inspect: () => import('./task/inspect.ts'),
      open: () => import('./task/open.ts'),
      edit: () => import('./task/edit.ts'),
      retry: () => import('./task/retry.ts'),
      cancel: () => import('./task/cancel.ts'),
      reopen: () => import('./task/reopen.ts'),
      reroute: () => import('./task/reroute.ts'),
      pause: () => import('./task/pause.ts'),
      resume: () => import('./task/resume.ts'),
      unblock: () => import('./task/unblock.ts'),
    },
  },
  change: {
    about: 'Changes: a branch with its reviews and approvals',
    verbs: {
      list: () => import('./change/list.ts'),
      show: () => import('./change/show.ts'),
      diff: () => import('./change/diff.ts'),
      request: () => import('./change/request.ts'),
    },
  },
  project: {
    about: 'Projects: a repository with its task prefix',
    verbs: {
      add: () => import('./project/add.ts'),
      list: () => import('./project/list.ts'),
      remove: () => import('./project/remove.ts'),
    },
  },
  pipeline: {
    about: 'Pipelines: the stages a task goes through',
    verbs: {
      list: () => import('./pipeline/list.ts'),
      show: () => import('./pipeline/show.ts'),
      validate: () => import('./pipeline/validate.ts'),
    },
  },
  agent: {
    about: 'Agents: the programs that do the work',
    verbs: {
      list: () => import('./agent/list.ts'),
      test: () => import('./agent/test.ts'),
      conformance: () => import('./agent/conformance.ts'),
    },
  },
  webhook: {
    about: 'Webhooks: what trackers and forges told',
    verbs: {
      status: () => import('./webhook/status.ts'),
      deliveries: () => import('./webhook/deliveries.ts'),
      replay: () => import('./webhook/replay.ts'),
      audit: () => import('./webhook/audit.ts'),
      cleanup: () => import('./webhook/cleanup.ts'),
    },
  },
  config: {
    about: 'Configuration: what holds, and where it comes from',
    verbs: {
      check: () => import('./config/check.ts'),
      explain: () => import('./config/explain.ts'),
      schema: () => import('./config/schema.ts'),
    },
  },
}

/** The loader of a verb without a noun, or undefined. */
export function findVerb(name: string): Load | undefined {
  return SECTIONS.map((section) => own(section.verbs, name)).find((load) => load !== undefined)
}

export function findNoun(name: string): Noun | undefined {
  return own(NOUNS, name)
}

/** Words such as `constructor` are no verbs. */
export function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
