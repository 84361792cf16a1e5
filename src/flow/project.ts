// What a project says at one commit: its configuration, pipeline and prompts, read from the base and never from a task's branch.

import type { ConfigFile, ProjectFiles, ResolvedProject } from '../config/config.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'

/** Files that configure Orch at a commit; each falls back to the registered clone's when the commit has no `.orch.yml`. */
export async function filesAt(mirror: Mirror, sha: string, name: string): Promise<ProjectFiles> {
  const label = (path: string): string => `${path} at ${name}`
  const config = await mirror.readFile(sha, '.orch.yml')
  const read = async (path: string): Promise<ConfigFile | null> => {
    const text = await mirror.readFile(sha, path)
    return text === null ? null : { name: label(path), text }
  }
  const pipelines: ConfigFile[] = []
  for (const file of await mirror.listFiles(sha, '.orch/pipelines')) {
    const found = /\.ya?ml$/.test(file) ? await read(`.orch/pipelines/${file}`) : null
    if (found) pipelines.push(found)
  }
  const prompts: Record<string, ConfigFile> = {}
  for (const file of await mirror.listFiles(sha, '.orch/prompts')) {
    const found = file.endsWith('.md') ? await read(`.orch/prompts/${file}`) : null
    if (found) prompts[file.slice(0, -3)] = found
  }
  return { config: config === null ? null : { name: label('.orch.yml'), text: config }, pipelines, prompts }
}

/** Resolves a project's configuration at a commit. Throws ExternalError `rejected` (system `config`) with file, line and key. */
export async function resolveAt(
  capabilities: Pick<Capabilities, 'config' | 'env' | 'userConfig' | 'flags' | 'cloneFiles'>,
  at: { project: Project; mirror: Mirror; sha: string; baseName: string; pipeline: string | null },
): Promise<ResolvedProject> {
  const inBase = await filesAt(at.mirror, at.sha, at.baseName)
  const files = inBase.config ? inBase : mergeFiles(inBase, await capabilities.cloneFiles(at.project))
  const { config, env, flags } = capabilities
  const resolution = config.resolve({
    layers: { flags, env, user: capabilities.userConfig(), projectId: at.project.id },
    files,
    pipeline: at.pipeline,
  })
  if (resolution.ok) return resolution.project
  const [first] = resolution.problems
  const where = first
    ? `${first.file}${first.line ? `:${first.line}` : ''}: ${first.key}: ${first.text}`
    : 'unknown problem'
  throw new ExternalError({
    system: 'config',
    kind: 'rejected',
    message: `the project's configuration can't be used: ${where}; mend it and run \`orch config check\``,
  })
}

function mergeFiles(base: ProjectFiles, clone: ProjectFiles): ProjectFiles {
  return {
    config: clone.config,
    pipelines: base.pipelines.length > 0 ? base.pipelines : clone.pipelines,
    prompts: { ...clone.prompts, ...base.prompts },
  }
}
