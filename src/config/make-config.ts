// The implementation of the contract in config.ts, over the package's own pipelines and prompts.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Pipeline } from '../core/pipeline.ts'
import { readAgents } from './agents.ts'
import { checkCheckout } from './checkout.ts'
import type { Config, ConfigFile, ConfigProblem, ConfigSource, ProjectFiles, Resolution, SchemaName } from './config.ts'
import { guessCommands } from './guess.ts'
import { pollIntervals } from './layers.ts'
import { hint } from './nearest.ts'
import { pipelineSchema } from './pipeline-schema.ts'
import { listPipelines, parsePipeline, readBuiltInPipelines } from './pipelines.ts'
import { renderConfig } from './render.ts'
import {
  type Leaves,
  checkApproval,
  checkLanding,
  makePolicy,
  mergeLayers,
  sourcesOf,
  trackerSettings,
} from './resolve.ts'
import { configSchema, userConfigSchema } from './schema.ts'
import { webhookSettings } from './webhook-settings.ts'

/** Instructions of a role; real ones have one or two thousand characters, and every run pays for them. */
const MAX_PROMPT_BYTES = 64 << 10

/**
 * Makes the configuration. `assets` is the folder that holds `pipelines/` and `prompts/` (see `findAssets`);
 * `agents` are the names of the agents that exist, none to allow any.
 */
export function makeConfig(deps: { assets: string; agents?: readonly string[] }): Config {
  let builtIn: ConfigFile[] | undefined
  const builtInPipelines = (): ConfigFile[] => (builtIn ??= readBuiltInPipelines(deps.assets))
  return {
    resolve: ({ layers, files, pipeline }) =>
      resolve({ layers: { ...layers, project: files.config }, files, pipeline, deps, builtIn: builtInPipelines() }),
    webhooks: webhookSettings,
    poll: pollIntervals,
    listPipelines: (files) => listPipelines(builtInPipelines(), files.pipelines),
    checkPipeline: (file) => {
      const { pipeline, problems } = parsePipeline(file)
      return { pipeline, problems }
    },
    schema: jsonSchema,
    guess: guessCommands,
    render: renderConfig,
  }
}

/** The package's root: the nearest folder above `from` with the built-in pipelines. Works from `src/` and from `dist/`. Throws when there is none. */
export function findAssets(from: string): string {
  for (let dir = from; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'pipelines', 'direct.yml'))) return dir
    if (dirname(dir) === dir)
      throw new Error(`the package is incomplete: no pipelines/direct.yml above ${from}; install it again`)
  }
}

const SCHEMAS = { config: configSchema, user: userConfigSchema, pipeline: pipelineSchema }

/** JSON Schema (draft 7, which editors know best) of a file. */
export function jsonSchema(of: SchemaName): Record<string, unknown> {
  return { ...z.toJSONSchema(SCHEMAS[of], { io: 'input', target: 'draft-7' }) }
}

interface Request {
  layers: Parameters<typeof mergeLayers>[0]
  files: ProjectFiles
  pipeline: string | null
  deps: { assets: string; agents?: readonly string[] }
  builtIn: ConfigFile[]
}

function resolve(request: Request): Resolution {
  const { leaves, problems } = mergeLayers(request.layers)
  const { roles, agents, problems: agentProblems } = readAgents(leaves, request.deps.agents ?? [])
  const chosen = choosePipeline(request, leaves)
  const {
    prompts,
    sources: promptSources,
    problems: promptProblems,
  } = chosen.pipeline ? readPrompts(request, chosen.pipeline) : { prompts: {}, sources: [], problems: [] }
  const all = [
    ...problems,
    ...agentProblems,
    ...checkCheckout(leaves),
    ...checkLanding(leaves),
    ...checkApproval(leaves),
    ...chosen.problems,
    ...promptProblems,
  ]
  if (all.length > 0 || !chosen.pipeline) return { ok: false, problems: all }
  const policy = makePolicy({ leaves, roles, agents, pipeline: chosen.pipeline, prompts })
  const prefix = leaves.get('prefix')?.value as string | null
  const sources = [...sourcesOf(leaves), ...chosen.sources, ...promptSources].sort((a, b) => (a.key < b.key ? -1 : 1))
  return { ok: true, project: { policy, prefix, tracker: trackerSettings(leaves), prompts, sources } }
}

function choosePipeline(
  request: Request,
  leaves: Leaves,
): { pipeline: Pipeline | null; sources: ConfigSource[]; problems: ConfigProblem[] } {
  const leaf = leaves.get('pipeline')
  const name = request.pipeline ?? (leaf?.value as string)
  const at = request.pipeline === null && leaf ? leaf.at : { file: 'task', line: null }
  const listed = listPipelines(request.builtIn, request.files.pipelines)
  const found = listed.find((entry) => entry.name === name)
  if (!found) {
    const names = listed.map((entry) => entry.name)
    return {
      pipeline: null,
      sources: [],
      problems: [
        { ...at, key: 'pipeline', text: `unknown pipeline "${name}"${hint(name, names)}; known: ${names.join(', ')}` },
      ],
    }
  }
  const stages = found.pipeline?.stages.map((stage) => stage.name) ?? []
  const sources = [{ key: `pipelines.${name}`, value: stages, source: found.file }]
  return { pipeline: found.pipeline, sources, problems: found.problems }
}

/** Instructions of every role of the pipeline: the project's own, else the package's. */
function readPrompts(
  request: Request,
  pipeline: Pipeline,
): { prompts: Record<string, string>; sources: ConfigSource[]; problems: ConfigProblem[] } {
  const prompts: Record<string, string> = {}
  const sources: ConfigSource[] = []
  const problems: ConfigProblem[] = []
  for (const stage of pipeline.stages) {
    const { role } = stage
    if (role === undefined || Object.hasOwn(prompts, role)) continue
    const own = Object.hasOwn(request.files.prompts, role) ? request.files.prompts[role] : undefined
    const file = own ?? builtInPrompt(request.deps.assets, role)
    const fault = file ? promptFault(file.text) : `role "${role}" has no instructions: write .orch/prompts/${role}.md`
    if (fault)
      problems.push({
        file: file?.name ?? `pipeline ${pipeline.name}`,
        line: null,
        key: `prompts.${role}`,
        text: fault,
      })
    else if (file) {
      prompts[role] = file.text
      sources.push({ key: `prompts.${role}`, value: `${Buffer.byteLength(file.text)} bytes`, source: file.name })
    }
  }
  return { prompts, sources, problems }
}

function builtInPrompt(assets: string, role: string): ConfigFile | null {
  const file = join(assets, 'prompts', `${role}.md`)
  return existsSync(file) ? { name: `built-in ${role}.md`, text: readFileSync(file, 'utf8') } : null
}

function promptFault(text: string): string | null {
  if (!text.trim()) return 'the instructions are empty; write some, or delete the file to use the built-in ones'
  if (Buffer.byteLength(text) > MAX_PROMPT_BYTES)
    return `the instructions have more than ${MAX_PROMPT_BYTES} bytes; every run would pay for them`
  return null
}
