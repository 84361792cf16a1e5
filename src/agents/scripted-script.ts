// The script of the scripted agent: YAML in a ```script block of the task's body. Per stage a list, one entry for each
// attempt (the last repeats), each a list of steps. Invariant: a script that can't be read is refused as a whole.

import { parse } from 'yaml'
import { z } from 'zod'
import { RUN_FAILURES } from '../core/run.ts'

const file = z.strictObject({ path: z.string().min(1), content: z.string().default('') })

/** One step: an object with exactly one key. */
const step = z.union([
  z.strictObject({ write: file }),
  z.strictObject({ append: file }),
  z.strictObject({ delete: z.string().min(1) }),
  z.strictObject({ run: z.string().min(1) }),
  z.strictObject({ commit: z.string().min(1) }),
  z.strictObject({ say: z.string() }),
  z.strictObject({ sleep: z.number().nonnegative() }),
  z.strictObject({ handoff: z.record(z.string(), z.unknown()) }),
  z.strictObject({ 'no-handoff': z.literal(true) }),
  z.strictObject({ exit: z.int().min(0).max(255) }),
  z.strictObject({ crash: z.literal(true) }),
  z.strictObject({ hang: z.union([z.literal(true), z.literal('deaf')]) }),
  z.strictObject({ flood: z.int().positive() }),
  z.strictObject({ 'invalid-json': z.literal(true) }),
  z.strictObject({
    error: z.strictObject({
      code: z.enum(RUN_FAILURES),
      text: z.string().optional(),
      retryAfterMs: z.number().nonnegative().optional(),
    }),
  }),
])

const script = z.record(z.string(), z.array(z.array(step)).min(1))

export type Step = z.infer<typeof step>

/** The fixed header of a prompt. */
export interface Header {
  task: string
  stage: string
  role: string
  attempt: number
  handoff: string
}

/** Steps of one stage and attempt, or a sentence that says what is wrong. An unnamed stage has no steps. */
export function readScript(
  prompt: string,
  header: Header,
): { ok: true; steps: Step[]; scripted: boolean } | { ok: false; problem: string } {
  const block = /^```script[ \t]*\r?\n([\s\S]*?)^```[ \t]*\r?$/m.exec(prompt)?.[1]
  if (block === undefined) {
    return {
      ok: false,
      problem:
        'the task has no ```script block: the scripted agent does only what such a block says (use a real agent for real tasks)',
    }
  }
  let data: unknown
  try {
    // Bare words such as `crash` and `hang` are steps without a value.
    data = spread(parse(block))
  } catch (error) {
    return {
      ok: false,
      problem: `the script is not valid YAML: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
  const read = script.safeParse(data)
  if (!read.success) {
    const [issue] = read.error.issues
    return {
      ok: false,
      problem: `the script can't be read at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? 'unknown'}`,
    }
  }
  const attempts = read.data[header.stage]
  return { ok: true, scripted: attempts !== undefined, steps: attempts?.[header.attempt - 1] ?? attempts?.at(-1) ?? [] }
}

function spread(data: unknown): unknown {
  if (!data || typeof data !== 'object') return data
  const stages = Object.entries(data).map(([stage, attempts]) => {
    if (!Array.isArray(attempts)) return [stage, attempts]
    return [
      stage,
      attempts.map((steps: unknown) =>
        Array.isArray(steps) ? steps.map((one: unknown) => (typeof one === 'string' ? { [one]: true } : one)) : steps,
      ),
    ]
  })
  return Object.fromEntries(stages)
}

/** Reads the header, which is valid only as the prompt's first lines; null when it isn't one. */
export function readHeader(prompt: string): Header | null {
  const lines = prompt.split('\n', 5)
  const value = (index: number, name: string): string | null => {
    const line = lines[index] ?? ''
    return line.startsWith(`${name}: `) ? line.slice(name.length + 2).trim() : null
  }
  const [task, stage, role] = [value(0, 'Orch-Task'), value(1, 'Orch-Stage'), value(2, 'Orch-Role')]
  const [attempt, handoff] = [Number(value(3, 'Orch-Attempt')), value(4, 'Orch-Handoff')]
  if (task === null || stage === null || role === null || handoff === null || !Number.isInteger(attempt) || attempt < 1)
    return null
  return { task, stage, role, attempt, handoff }
}
