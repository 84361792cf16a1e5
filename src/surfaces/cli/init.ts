import { APPROVAL_POLICIES } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { printInit } from './init-report.ts'

const options = {
  yes: { kind: 'flag', short: 'y', description: 'Ask nothing' },
  agent: {
    kind: 'text',
    value: 'NAME',
    description: 'The agent that does the work, such as `claude`',
    complete: 'agent',
  },
  pipeline: {
    kind: 'text',
    value: 'NAME',
    description: 'The stages tasks go through (default: direct)',
    complete: 'pipeline',
  },
  setup: { kind: 'list', value: 'CMD', description: 'Command that prepares a checkout, such as `npm ci`' },
  verify: {
    kind: 'list',
    value: 'CMD',
    description: 'Command that must pass before anything lands, such as `npm test`',
  },
  approval: {
    complete: APPROVAL_POLICIES,
    kind: 'text',
    value: 'POLICY',
    description: `Who says yes to a landing: ${APPROVAL_POLICIES.join(', ')} (default: human)`,
  },
  prefix: {
    kind: 'text',
    value: 'PREFIX',
    description: 'Prefix of task ids (default: made from the repository’s name)',
  },
} as const

export const command = defineCommand({
  summary: 'Register this clone and write its .orch.yml',
  details:
    'Guesses setup and verify commands from what the repository has. A file that is there already is never touched.',
  positionals: [],
  options,
  examples: [
    'orch init',
    'orch init --yes --agent claude --verify "npm test"',
    'orch init --yes --prefix SHOP --approval auto --json',
  ],
  mutates: true,
  needs: ['home', 'git'],
  run: init,
})

async function init({ values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const approval = APPROVAL_POLICIES.find((policy) => policy === values.approval)
  if (values.approval !== undefined && approval === undefined) {
    const known = APPROVAL_POLICIES.join(', ')
    throw new UserError(EXIT.usage, 'bad-value', `--approval: "${values.approval}" is none of ${known}`)
  }
  for (const [name, list] of [
    ['--setup', values.setup],
    ['--verify', values.verify],
  ] as const) {
    if (list.some((command) => command.trim() === ''))
      throw new UserError(EXIT.usage, 'bad-value', `${name}: the command is empty`)
  }
  if (!values.yes && !(await confirm(context))) {
    context.stderr.write('orch: nothing was done\n')
    return EXIT.failed
  }
  const app = await context.app()
  const result = await app.init({
    cwd: context.cwd,
    prefix: values.prefix ?? null,
    agent: values.agent ?? null,
    pipeline: values.pipeline ?? null,
    setup: values.setup.length > 0 ? values.setup : null,
    verify: values.verify.length > 0 ? values.verify : null,
    approval: approval ?? null,
  })
  printInit(result, { json, context })
  return EXIT.ok
}

/** Throws UserError(5) when there is nobody to ask. */
async function confirm(context: CliContext): Promise<boolean> {
  if (!context.canAsk)
    throw new UserError(
      EXIT.needsPerson,
      'needs-confirmation',
      'init asks before it writes and there is no terminal to ask on: run `orch init --yes`',
    )
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(
    `Register ${context.cwd} with Orch, and write .orch.yml if there is none? [Y/n] `,
  )
  terminal.close()
  return /^(?:y|yes)?$/i.test(answer.trim())
}
