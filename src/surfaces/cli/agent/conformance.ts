import type { Check } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { type Args, defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { paint, printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { stopOnInterrupt } from '../up.ts'

const PROTOCOLS = ['acp', 'command'] as const
const MARKS = { ok: ['✓', 'green'], warning: ['!', 'yellow'], failed: ['✗', 'red'] } as const

const options = {
  protocol: {
    kind: 'text',
    value: 'NAME',
    description: 'acp, or command for a program that reads a prompt from stdin (default: acp when it speaks it)',
    complete: PROTOCOLS,
  },
  'no-prompt': { kind: 'flag', description: 'Leave out the checks that give it a prompt, which your login pays for' },
} as const

export const command = defineCommand({
  summary: 'Try whether a command can be an agent here, check by check',
  details:
    'For whoever brings an agent that speaks the Agent Client Protocol, or writes one. The command is started in a scratch repository in a temporary folder, in the sandbox and with the login that a run of it would have: its handshake, a file, a commit, a handoff, a cancel, its end, a resumed session, what it tells of its cost.\n' +
    'Up to five short prompts are given to it; --no-prompt leaves them out.\n' +
    'Exit code 0 when no check failed; 1 when one did; warnings do not count.',
  positionals: [{ name: 'CMD', required: true, description: 'The command, as one word, such as "goose acp"' }],
  options,
  examples: [
    'orch agent conformance "opencode acp"',
    'orch agent conformance "goose acp" --no-prompt',
    'orch agent conformance --protocol command "./my-agent.sh" --json',
  ],
  mutates: true,
  needs: ['git'],
  run: runChecks,
})

async function runChecks(
  { positionals: [words = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const protocol = readProtocol(values.protocol)
  const prompts = !values['no-prompt']
  const stop = new AbortController()
  const release = stopOnInterrupt(stop, context)
  if (prompts) context.stderr.write('orch: this gives the agent up to five short prompts, which your login pays for\n')
  try {
    const app = await context.app()
    const result = await app.conformance({
      command: words,
      protocol,
      prompts,
      signal: stop.signal,
      onCheck: (check) => (json ? undefined : printLines(context, linesOf(check, context))),
    })
    const count = (status: Check['status']): number => result.checks.filter((check) => check.status === status).length
    const failed = count('failed')
    if (json) printJson(context, { ok: failed === 0, ...result })
    else
      printLines(context, [
        '',
        `${count('ok')} fine, ${count('warning')} warnings, ${failed} failed (${result.protocol})`,
      ])
    if (stop.signal.aborted) return EXIT.interrupted
    return failed === 0 ? EXIT.ok : EXIT.failed
  } finally {
    release()
  }
}

function readProtocol(text: string | undefined): 'acp' | 'command' | null {
  if (text === undefined) return null
  const known = PROTOCOLS.find((protocol) => protocol === text)
  if (known === undefined)
    throw new UserError(EXIT.usage, 'bad-protocol', `--protocol: "${text}" is none of ${PROTOCOLS.join(', ')}`)
  return known
}

function linesOf(check: Omit<Check, 'profile'>, context: CliContext): string[] {
  const [mark, color] = MARKS[check.status]
  const first = `${paint(context, color, mark)} ${check.name}: ${sanitizeLine(check.text)}`
  return check.fix === null ? [first] : [first, `  ${paint(context, 'dim', `→ ${sanitizeLine(check.fix)}`)}`]
}
