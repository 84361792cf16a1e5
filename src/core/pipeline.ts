// A pipeline is data: stages in order, each of one kind, with the gates that must pass before it is left.
// Nothing here knows the name of any preset's stage.

export const STAGE_KINDS = ['agent', 'check', 'approval', 'publish', 'await', 'land', 'release'] as const
export type StageKind = (typeof STAGE_KINDS)[number]

/** The kinds this version of Orch can carry out. The others are known words, refused by `validatePipeline`. */
const RUNNABLE_KINDS: readonly StageKind[] = ['agent', 'publish', 'await', 'land']

/** The gates that exist, and at which kind of stage each has something to judge. */
export const GATES = {
  handoff: ['agent'],
  changes: ['agent'],
  'diff-budget': ['agent'],
  protected: ['agent'],
  secrets: ['agent'],
  verify: ['agent'],
  review: ['agent'],
  ci: ['await'],
  reviews: ['await'],
} as const satisfies Record<string, readonly StageKind[]>
export type GateName = keyof typeof GATES
/** Gates that are judged by asking somebody outside, again and again. */
export type AwaitGateName = 'ci' | 'reviews'

/** Gates judged from what the run itself left: an unreadable one is repeated by running again, not by judging again. */
export const RUN_GATES: readonly GateName[] = ['handoff', 'review']

export interface Stage {
  name: string
  kind: StageKind
  /** For `agent` stages: whose prompt is used and which agent is chosen. */
  role?: string
  /** For `agent` stages: never the agent session that wrote the change; another agent when there is one. */
  independent?: boolean
  gates: GateName[]
  /** Where a code failure sends the task. Default: the stage itself if it is an agent's, else the nearest agent stage before it. */
  onFail?: string
  /** Time limit of one run at this stage, in minutes; the policy's `runMinutes` when absent. */
  timeoutMinutes?: number
}

export interface Pipeline {
  name: string
  description: string
  stages: Stage[]
}

export interface PipelineProblem {
  /** Path of the offending value, such as `stages[1].onFail`. */
  path: string
  text: string
}

export function stageOf(pipeline: Pipeline, name: string): Stage | undefined {
  return pipeline.stages.find((stage) => stage.name === name)
}

export function firstStage(pipeline: Pipeline): Stage {
  const stage = pipeline.stages[0]
  if (!stage) throw new Error(`pipeline ${pipeline.name} has no stages`)
  return stage
}

/** The stage after `name`, or undefined when `name` is the last one: the task is then done. */
export function nextStage(pipeline: Pipeline, name: string): Stage | undefined {
  const index = pipeline.stages.findIndex((stage) => stage.name === name)
  return index < 0 ? undefined : pipeline.stages[index + 1]
}

/** Where a code failure at `name` sends the task. */
export function backStage(pipeline: Pipeline, name: string): Stage {
  const index = pipeline.stages.findIndex((stage) => stage.name === name)
  const stage = pipeline.stages[index]
  const named = stage?.onFail ? stageOf(pipeline, stage.onFail) : undefined
  if (named) return named
  if (stage?.kind === 'agent') return stage
  return pipeline.stages.slice(0, index).findLast((earlier) => earlier.kind === 'agent') ?? firstStage(pipeline)
}

/** The stage at which CI and people at a forge are waited for, if there is one. */
export function awaitStage(pipeline: Pipeline): Stage | undefined {
  return pipeline.stages.find((stage) => stage.kind === 'await')
}

/** The stages whose work a fresh head at `name` voids: `name` itself and all that follow. */
export function stagesFrom(pipeline: Pipeline, name: string): string[] {
  const index = pipeline.stages.findIndex((stage) => stage.name === name)
  return pipeline.stages.slice(Math.max(index, 0)).map((stage) => stage.name)
}

/** Every problem of a pipeline, none when it can run. Parsing has already checked the shape. */
export function validatePipeline(pipeline: Pipeline): PipelineProblem[] {
  const problems: PipelineProblem[] = []
  const names = pipeline.stages.map((stage) => stage.name)
  if (names.length === 0) problems.push({ path: 'stages', text: 'a pipeline needs at least one stage' })
  pipeline.stages.forEach((stage, index) => {
    const at = `stages[${index}]`
    if (names.indexOf(stage.name) !== index) {
      problems.push({ path: `${at}.name`, text: `stage "${stage.name}" is named twice` })
    }
    if (!RUNNABLE_KINDS.includes(stage.kind)) {
      problems.push({
        path: `${at}.kind`,
        text: `kind "${stage.kind}" can't be carried out by this version; use ${RUNNABLE_KINDS.join(', ')}`,
      })
    }
    problems.push(...stageProblems(stage, at), ...backProblems(stage, { index, names, at }))
  })
  return [...problems, ...orderProblems(pipeline)]
}

function stageProblems(stage: Stage, at: string): PipelineProblem[] {
  const problems: PipelineProblem[] = []
  if (stage.kind === 'agent' && !stage.role) {
    problems.push({ path: `${at}.role`, text: `agent stage "${stage.name}" names no role` })
  }
  if (stage.kind !== 'agent' && stage.role) {
    problems.push({
      path: `${at}.role`,
      text: `only an agent stage has a role; "${stage.name}" is of kind ${stage.kind}`,
    })
  }
  stage.gates.forEach((gate, index) => {
    const kinds: readonly StageKind[] | undefined = GATES[gate]
    if (!kinds) {
      problems.push({
        path: `${at}.gates[${index}]`,
        text: `unknown gate "${gate}"; known: ${Object.keys(GATES).join(', ')}`,
      })
    } else if (!kinds.includes(stage.kind)) {
      problems.push({ path: `${at}.gates[${index}]`, text: `gate "${gate}" judges ${kinds.join(', ')} stages only` })
    }
  })
  return problems
}

function backProblems(stage: Stage, where: { index: number; names: string[]; at: string }): PipelineProblem[] {
  if (stage.onFail === undefined) return []
  const target = where.names.indexOf(stage.onFail)
  const path = `${where.at}.onFail`
  if (target < 0) return [{ path, text: `unknown stage "${stage.onFail}"` }]
  // Forward or to a later stage, a failure would skip work or go round without an agent in between.
  if (target > where.index) {
    return [
      {
        path,
        text: `"${stage.onFail}" comes after "${stage.name}": a failure may only go back (this would be a cycle without a fresh start)`,
      },
    ]
  }
  return []
}

function orderProblems(pipeline: Pipeline): PipelineProblem[] {
  const problems: PipelineProblem[] = []
  const kinds = pipeline.stages.map((stage) => stage.kind)
  if (kinds.length > 0 && kinds[0] !== 'agent') {
    problems.push({
      path: 'stages[0].kind',
      text: 'the first stage must be an agent stage: nothing else makes a change',
    })
  }
  kinds.forEach((kind, index) => {
    if (kind === 'land' && !kinds.slice(0, index).includes('publish')) {
      problems.push({ path: `stages[${index}].kind`, text: 'a land stage needs a publish stage before it' })
    }
    const back = pipeline.stages[index]?.onFail
    const target = pipeline.stages.find((stage) => stage.name === back)
    if (target && target.kind !== 'agent') {
      problems.push({
        path: `stages[${index}].onFail`,
        text: `"${target.name}" has no agent: going back to it would be a cycle in which nothing changes`,
      })
    }
  })
  return problems
}
