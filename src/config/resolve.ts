// The cascade: flag > environment > project > user (for this project, then for all) > default, one leaf at a time, and the policy made of it.
// Invariant: pure; the same layers give the same policy and the same hash, in whatever order their keys stand.

import { createHash } from 'node:crypto'
import type { Pipeline } from '../core/pipeline.ts'
import type { AgentProgram, Policy, RoleChoice } from '../core/policy.ts'
import type { ConfigLayers, ConfigProblem, ConfigSource } from './config.ts'
import { environmentLayer } from './environment.ts'
import { type Layer, type Leaf, fileLayer, flagLayer, userLayers } from './layers.ts'
import { LEAVES, PROTECTED_PATHS } from './schema.ts'

/** All leaves that count, by key, defaults included. */
export type Leaves = Map<string, Leaf>

const DEFAULT_AT = { source: 'default', at: { file: 'default', line: null } }

/** Lays the layers over each other. Leaves of layers with problems are missing from the result. */
export function mergeLayers(layers: ConfigLayers): { leaves: Leaves; problems: ConfigProblem[] } {
  const leaves: Leaves = new Map(Object.entries(LEAVES).map(([key, { value }]) => [key, { value, ...DEFAULT_AT }]))
  const problems: ConfigProblem[] = []
  const lowestFirst: Layer[] = [
    ...userLayers(layers.user, layers.projectId),
    fileLayer(layers.project),
    environmentLayer(layers.env),
    flagLayer(layers.flags ?? {}),
  ]
  for (const layer of lowestFirst) {
    problems.push(...layer.problems)
    dropForeignModels(leaves, layer)
    for (const [key, leaf] of layer.leaves) leaves.set(key, key === 'protected' ? withBuiltIn(leaf) : leaf)
  }
  return { leaves, problems }
}

/** A model or command belongs to the agent it was written for: when a higher layer changes a role's agent, they go. */
function dropForeignModels(leaves: Leaves, layer: Layer): void {
  for (const [key, leaf] of layer.leaves) {
    const role = /^agents\.([^.]+)\.agent$/.exec(key)?.[1]
    const old = leaves.get(key)
    if (!role || !old || old.value === leaf.value) continue
    for (const field of ['model', 'bin', 'command']) leaves.delete(`agents.${role}.${field}`)
  }
}

function withBuiltIn(leaf: Leaf): Leaf {
  const own = leaf.value as string[]
  return {
    ...leaf,
    value: [...new Set([...PROTECTED_PATHS, ...own])],
    source: `${leaf.source}, beside the built-in ones`,
  }
}

/** One line for each effective value, sorted by key. */
export function sourcesOf(leaves: Leaves): ConfigSource[] {
  return [...leaves]
    .map(([key, { value, source }]) => ({ key, value, source }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** The policy of merged leaves, a pipeline and the prompts of its roles, with its hash. */
export function makePolicy(parts: {
  leaves: Leaves
  roles: Record<string, RoleChoice>
  agents: Record<string, AgentProgram>
  pipeline: Pipeline
  prompts: Record<string, string>
}): Policy {
  const value = <T>(key: string): T => parts.leaves.get(key)?.value as T
  const set = Object.fromEntries(
    [...parts.leaves].flatMap(([key, leaf]) =>
      key.startsWith('env.set.') ? [[key.slice('env.set.'.length), String(leaf.value)]] : [],
    ),
  )
  const policy: Omit<Policy, 'configHash'> = {
    pipeline: parts.pipeline,
    base: value('base'),
    checkout: { sparse: value('checkout.sparse') },
    setup: value('setup'),
    verify: value('verify'),
    verifyParallel: value('parallelVerify'),
    knownFailures: value('knownFailures'),
    env: { pass: value('env.pass'), set },
    approval: value('approval'),
    land: { method: value('land.method') },
    roles: parts.roles,
    agents: parts.agents,
    limits: {
      attempts: value('limits.attempts'),
      transient: value('limits.transient'),
      infra: value('limits.infra'),
      runMinutes: value('limits.runMinutes'),
      parallel: value('limits.parallel'),
    },
    protected: value('protected'),
    diffBudget: { files: value('diffBudget.files'), addedLines: value('diffBudget.addedLines') },
    sandbox: { network: value('sandbox.network'), read: value('sandbox.read') },
    commits: { pattern: value('commits.pattern') },
  }
  return { ...policy, configHash: hashOf(policy, parts.prompts) }
}

/** Budgets and parallelism say how often and when, never what passes: changing them must not void a green verdict. */
function hashOf(policy: Omit<Policy, 'configHash'>, prompts: Record<string, string>): string {
  const { limits: _limits, verifyParallel: _verifyParallel, ...judges } = policy
  return createHash('sha256').update(canonicalJson({ judges, prompts })).digest('hex')
}

/** JSON with sorted keys: equal values have equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
