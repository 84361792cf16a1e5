// Names that stand in files: pipelines of the package and of this folder's project, keys of the configuration.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CliContext } from './context.ts'

/** Read straight from the files: the whole configuration would take several times as long as a prompt may. */
export async function packagedNames(of: 'pipeline' | 'config-key', context: CliContext): Promise<string[]> {
  if (of === 'config-key') {
    const text = readFileSync(join(context.packageDir, 'schemas', 'orch.schema.json'), 'utf8')
    return keysOf(JSON.parse(text) as Schema, '')
  }
  const project = (await context.reader())?.projectAt(context.cwd)
  const own = project ? pipelineNames(join(project.path, '.orch', 'pipelines')) : []
  return [...new Set([...pipelineNames(join(context.packageDir, 'pipelines')), ...own])]
}

function pipelineNames(dir: string): string[] {
  try {
    const files = readdirSync(dir).filter((name) => /\.ya?ml$/.test(name))
    return files.flatMap((file) => {
      const name = /^name:\s*["']?([\w.-]+)/m.exec(readFileSync(join(dir, file), 'utf8'))?.[1]
      return name === undefined ? [] : [name]
    })
  } catch {
    // A project without pipelines of its own.
    return []
  }
}

interface Schema {
  properties?: Record<string, Schema>
}

/** Dotted names of all leaves. */
function keysOf(schema: Schema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) => {
    const key = `${prefix}${name}`
    return below.properties ? keysOf(below, `${key}.`) : [key]
  })
}
