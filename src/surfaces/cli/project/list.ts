import type { Project } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'
import { projectJson, remoteText } from './project-json.ts'

const COLUMNS: Column<Project>[] = [
  { title: 'PREFIX', text: (project) => project.id, paint: () => 'bold' },
  { title: 'NAME', text: (project) => project.name },
  { title: 'CLONE', text: (project) => project.path },
  { title: 'ORIGIN', text: (project) => remoteText(project.remote) },
  { title: 'TRACKER', text: ({ tracker }) => (tracker ? `${tracker.driver}:${tracker.ref}` : '–') },
  { title: 'FORGE', text: ({ forge }) => (forge ? `${forge.driver}:${forge.ref}` : '–') },
]

export const command = defineCommand({
  summary: 'List the registered projects',
  positionals: [],
  options: {},
  examples: ['orch project list'],
  mutates: false,
  async run({ json }, context) {
    const projects = (await context.reader())?.projects() ?? []
    if (json) printJson(context, projects.map(projectJson))
    else
      printLines(
        context,
        projects.length === 0
          ? ['No project is registered: run `orch init` in a clone.']
          : table(COLUMNS, projects, context),
      )
    return EXIT.ok
  },
})
