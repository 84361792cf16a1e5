// Pipelines as files: the built-in ones of the package and a project's own, which win by name.
// Invariant: a pipeline with any problem is never handed out.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Pipeline, type Stage, validatePipeline } from '../core/pipeline.ts'
import { parsePlainYaml } from '../lib/plain-yaml.ts'
import type { ConfigFile, ConfigProblem, ListedPipeline } from './config.ts'
import { type PipelineInput, pipelineSchema } from './pipeline-schema.ts'
import { type Path, checkShape, keyOf } from './problems.ts'
import { MAX_CONFIG_ALIASES, MAX_CONFIG_BYTES } from './schema.ts'

/** The `pipelines/*.yml` of the package, by name. Throws when the package lacks them: it is broken then. */
export function readBuiltInPipelines(assets: string): ConfigFile[] {
  const dir = join(assets, 'pipelines')
  return readdirSync(dir)
    .filter((file) => /\.ya?ml$/.test(file))
    .sort()
    .map((file) => ({ name: `built-in ${file}`, text: readFileSync(join(dir, file), 'utf8') }))
}

/** Parses and validates one pipeline file. Never throws; the pipeline is null when there is any problem. */
export function parsePipeline(file: ConfigFile): {
  name: string
  pipeline: Pipeline | null
  problems: ConfigProblem[]
} {
  const fallback = nameOfFile(file.name)
  const parsed = parsePlainYaml(file.text, {
    maxBytes: MAX_CONFIG_BYTES,
    maxAliases: MAX_CONFIG_ALIASES,
    scalars: 'typed',
  })
  if (!parsed.ok) {
    return {
      name: fallback,
      pipeline: null,
      problems: parsed.problems.map(({ line, text }) => ({ file: file.name, line, key: '(file)', text })),
    }
  }
  const problem = (path: Path, text: string): ConfigProblem => ({
    file: file.name,
    line: parsed.lineOf(path),
    key: keyOf(path),
    text,
  })
  const shape = checkShape(pipelineSchema, parsed.value)
  if (shape.length > 0)
    return { name: fallback, pipeline: null, problems: shape.map(({ path, text }) => problem(path, text)) }
  const pipeline = toPipeline(parsed.value as PipelineInput, fallback)
  const problems = validatePipeline(pipeline).map(({ path, text }) => problem(pathOf(path), text))
  return { name: pipeline.name, pipeline: problems.length > 0 ? null : pipeline, problems }
}

/** All pipelines of a project: its own first hide built-in ones of the same name. Sorted by name. */
export function listPipelines(builtIn: ConfigFile[], own: ConfigFile[]): ListedPipeline[] {
  const listed = new Map<string, ListedPipeline>()
  for (const file of builtIn) add(listed, file, 'built-in')
  const taken = new Map<string, string>()
  for (const file of own) {
    const { name } = parsePipeline(file)
    const other = taken.get(name)
    if (other === undefined) {
      taken.set(name, file.name)
      add(listed, file, 'project')
      continue
    }
    const entry = listed.get(name)
    if (entry)
      entry.problems.push({
        file: file.name,
        line: null,
        key: 'name',
        text: `pipeline "${name}" is in ${other} too; give one of them another name`,
      })
    if (entry) entry.pipeline = null
  }
  return [...listed.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function add(listed: Map<string, ListedPipeline>, file: ConfigFile, source: ListedPipeline['source']): void {
  const { name, pipeline, problems } = parsePipeline(file)
  listed.set(name, { name, description: pipeline?.description ?? '', file: file.name, source, problems, pipeline })
}

function toPipeline(input: PipelineInput, fallback: string): Pipeline {
  return {
    name: input.name ?? fallback,
    description: input.description?.trim() ?? '',
    stages: input.stages.map((stage): Stage => {
      // Only keys that were given: the pipeline is hashed, and an undefined one must not count.
      const given = Object.fromEntries(Object.entries(stage).filter(([, value]) => value !== undefined))
      return { ...(given as Omit<Stage, 'gates'>), gates: stage.gates ?? [] }
    }),
  }
}

/** `direct` of `.orch/pipelines/direct.yml at origin/main`. */
function nameOfFile(file: string): string {
  const named = /([^\s/\\]+)\.ya?ml\b/.exec(file)?.[1]
  return named ?? basename(file)
}

/** The path of core's `stages[1].onFail`. */
function pathOf(path: string): Path {
  return path
    .split(/[.[\]]+/)
    .filter(Boolean)
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
