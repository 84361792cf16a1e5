// The commands as completion needs them. The build writes them into one file, since reading twenty verbs' modules takes
// longer than a prompt may; from the sources the verbs themselves are asked.

import { readFileSync } from 'node:fs'
import type { Command } from './command.ts'
import type { CliContext } from './context.ts'
import { type Load, NOUNS, findVerb, own } from './routes.ts'

export type Described = Pick<Command, 'summary' | 'options' | 'positionals' | 'mutates'>

/** What the build's file holds. */
export interface CommandTable {
  verbs: Record<string, Described>
  agents: string[]
}

export interface Commands {
  /** By its words, such as `task add`; null for what is no verb. */
  find(name: string): Promise<Described | null>
  agents(): Promise<string[]>
}

export function openCommands(context: Pick<CliContext, 'commandsFile' | 'agentNames'>): Commands {
  if (context.commandsFile === null) {
    return {
      find: async (name) => (await loaderOf(name)?.())?.command ?? null,
      agents: () => context.agentNames(),
    }
  }
  const table = JSON.parse(readFileSync(context.commandsFile, 'utf8')) as CommandTable
  return { find: async (name) => own(table.verbs, name) ?? null, agents: async () => table.agents }
}

function loaderOf(name: string): Load | undefined {
  const [first = '', second] = name.split(' ')
  return second === undefined ? findVerb(first) : own(own(NOUNS, first)?.verbs ?? {}, second)
}
