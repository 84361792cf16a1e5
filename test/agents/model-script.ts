// What the scripted model says: YAML in a ```model-script block of the task's body. Per stage a list, one entry for each
// attempt (the last repeats), each a list of steps. Each step but `say`, `answer` and `broken` becomes one tool call of the CLI.

import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { type Header, readHeader } from '../../src/agents/scripted-script.ts'
import { messageOf } from './error-front.ts'

const step = z.union([
  z.strictObject({ write: z.strictObject({ path: z.string(), content: z.string() }) }),
  z.strictObject({ bash: z.string() }),
  /** Ends the answer with this text. */
  z.strictObject({ say: z.string() }),
  /** The API's own error, on every try; with a body where the vendor's form matters. */
  z.strictObject({
    answer: z.int(),
    retryAfterSeconds: z.number().optional(),
    text: z.string().optional(),
    body: z.record(z.string(), z.unknown()).optional(),
  }),
  /** A tool that hangs; the CLI refuses a plain `sleep`. */
  z.strictObject({ hang: z.literal(true) }),
  /** The model's answer breaks off in the middle, on every try. */
  z.strictObject({ broken: z.literal(true) }),
  /** Front matter of handoff.md; the value HEAD stands for the checked-out commit. */
  z.strictObject({ handoff: z.record(z.string(), z.unknown()) }),
  z.strictObject({ 'no-handoff': z.literal(true) }),
])
const script = z.record(z.string(), z.array(z.array(step)).min(1))
type Step = z.infer<typeof step>

/** One thing the model says next. Tools by what they do; each CLI has its own names for them. */
export type Turn =
  | { kind: 'write'; path: string; content: string }
  | { kind: 'shell'; command: string }
  /** An answer that is cut off in the middle of its stream. */
  | { kind: 'broken' }
  | { kind: 'text'; text: string }
  | { kind: 'error'; status: number; retryAfterSeconds?: number; text: string }

/** The turns for a prompt. Without a handoff step the usual good handoff is written at the end. */
export function turnsOf(prompt: string): Turn[] {
  // The CLI joins a prompt that got no answer with the next one of the session: the last one counts.
  const start = [...prompt.matchAll(/^Orch-Task: /gm)].at(-1)?.index
  const header = start === undefined ? null : readHeader(prompt.slice(start))
  if (!header) return [{ kind: 'text', text: 'no Orch- header in this prompt' }]
  const block = /^```model-script[ \t]*\r?\n([\s\S]*?)^```[ \t]*\r?$/m.exec(prompt.slice(start))?.[1]
  const attempts = block === undefined ? undefined : script.parse(parse(block))[header.stage]
  const steps = attempts?.[header.attempt - 1] ?? attempts?.at(-1) ?? []
  const ownEnd = steps.some((one) => 'handoff' in one || 'no-handoff' in one || 'answer' in one || 'broken' in one)
  const all: Step[] = ownEnd ? steps : [...steps, { handoff: goodHandoff(header) }]
  return [...all.flatMap((one) => turnOf(one, header)), { kind: 'text', text: 'All done.' }]
}

function goodHandoff({ role, stage, attempt }: Header): Record<string, unknown> {
  if (role === 'reviewer') return { verdict: 'approve', sha: 'HEAD', findings: [] }
  return { status: 'done', summary: `${stage}, attempt ${attempt}`, tests: [] }
}

function turnOf(one: Step, header: Header): Turn[] {
  if ('write' in one) return [{ kind: 'write', path: one.write.path, content: one.write.content }]
  if ('bash' in one) return [shell(one.bash)]
  if ('say' in one) return [{ kind: 'text', text: one.say }]
  if ('hang' in one) return [shell('tail -s 5 -f /dev/null')]
  if ('broken' in one) return [{ kind: 'broken' }]
  if ('handoff' in one) return [shell(handoffCommand(one.handoff, header.handoff))]
  if ('no-handoff' in one) return []
  const { answer, retryAfterSeconds, text, body } = one
  return [
    {
      kind: 'error',
      status: answer,
      text: body === undefined ? (text ?? `scripted ${answer}`) : messageOf(body),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  ]
}

function shell(command: string): Turn {
  return { kind: 'shell', command }
}

function handoffCommand(keys: Record<string, unknown>, dir: string): string {
  const front = stringify(keys)
    .replace(/[\\$`]/g, '\\$&')
    .replace(/^sha: HEAD$/m, 'sha: $(git rev-parse HEAD)')
  return `cat > "${dir}/handoff.md" <<END-OF-HANDOFF\n---\n${front}---\nWritten by the scripted model.\nEND-OF-HANDOFF`
}
