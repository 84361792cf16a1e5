// The cascade: flag > environment > project > user (for this project, then for all) > default, one leaf at a time, and the policy made of it.
// Invariant: pure; the same layers give the same policy and the same hash, in whatever order their keys stand.

import { createHash } from 'node:crypto'
import type { Pipeline } from '../core/pipeline.ts'
import type { AgentProgram, Policy, RoleChoice } from '../core/policy.ts'
import type { ConfigLayers, ConfigProblem, ConfigSource, TrackerSettings } from './config.ts'
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
    approveBy: { label: value('approvalBy.label'), column: value('approvalBy.column') },
    land: { method: value('land.method'), via: value('land.via'), markers: value('land.markers') },
    change: {
      draft: value('change.draft'),
      labels: value('change.labels'),
      reviewers: value('change.reviewers'),
      followUps: value('change.followUps'),
    },
    roles: parts.roles,
    agents: parts.agents,
    limits: {
      attempts: value('limits.attempts'),
      transient: value('limits.transient'),
      infra: value('limits.infra'),
      runMinutes: value('limits.runMinutes'),
      stallMinutes: value('limits.stallMinutes'),
      parallel: value('limits.parallel'),
    },
    protected: value('protected'),
    diffBudget: { files: value('diffBudget.files'), addedLines: value('diffBudget.addedLines') },
    sandbox: { network: value('sandbox.network'), read: value('sandbox.read') },
    commits: { pattern: value('commits.pattern') },
  }
  return { ...policy, configHash: hashOf(policy, parts.prompts) }
}

/** What the tracker's issues mean to the project, and what they are to show. */
export function trackerSettings(leaves: Leaves): TrackerSettings {
  const value = <T>(key: string): T => leaves.get(key)?.value as T
  const columns = Object.fromEntries(
    [...leaves].flatMap(([key, leaf]) =>
      key.startsWith('tracker.columns.') ? [[key.slice('tracker.columns.'.length), String(leaf.value)]] : [],
    ),
  )
  return {
    intake: {
      labels: value('intake.labels'),
      columns: value('intake.columns'),
      assignees: value('intake.assignees'),
      mention: value('intake.mention'),
      people: value('intake.people'),
      strangers: value('intake.strangers'),
    },
    show: { columns, labels: value('tracker.labels'), comments: value('tracker.comments') },
    commands: value('tracker.commands'),
  }
}

/** Rebase is something only a forge does for us. */
export function checkLanding(leaves: Leaves): ConfigProblem[] {
  const method = leaves.get('land.method')
  if (method?.value !== 'rebase' || leaves.get('land.via')?.value === 'forge') return []
  return [{ ...method.at, key: 'land.method', text: 'rebase needs `land.via: forge`: Orch itself merges or squashes' }]
}

/** Orch's own account may write, so a label that it sets itself would count as a yes. */
export function checkApproval(leaves: Leaves): ConfigProblem[] {
  const labels = leaves.get('change.labels')
  const yes = String(leaves.get('approvalBy.label')?.value)
  const names = (labels?.value ?? []) as readonly string[]
  const isOwn = names.some((name) => name.toLowerCase() === yes.toLowerCase())
  if (!labels || leaves.get('approval')?.value !== 'label' || !isOwn) return []
  const text = `"${yes}" says yes under \`approval: label\`: Orch would say yes to its own changes; take it out here or name another in approvalBy.label`
  return [{ ...labels.at, key: 'change.labels', text }]
}

/** Budgets, parallelism and how a change is shown say how often, when and where, never what passes: changing them must not void a green verdict. */
function hashOf(policy: Omit<Policy, 'configHash'>, prompts: Record<string, string>): string {
  const { limits: _limits, verifyParallel: _verifyParallel, change: _change, ...judges } = policy
  return createHash('sha256').update(canonicalJson({ judges, prompts })).digest('hex')
}

/** JSON with sorted keys: equal values have equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
