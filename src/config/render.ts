// The text of a new `.orch.yml`: what was chosen, and the rest as comments to find one's way by.

import { stringify } from 'yaml'
import type { InitChoices } from './config.ts'

/** Renders the file; what it says parses back to the choices. Pure. */
export function renderConfig(choices: InitChoices): string {
  const commands = choices.verify === 'none' ? ['none'] : choices.verify
  return [
    // An editor that speaks to yaml-language-server checks and completes the file by what `orch init` puts beside it.
    '# yaml-language-server: $schema=.orch/schema.json',
    '# Orch: how tasks of this repository are worked on, judged and landed.',
    '# Every key is optional. `orch config check` checks this file, `orch config explain` shows what is in force and why.',
    '# What judges a change is read from the base branch: commit and push this file.',
    '',
    keyOr('prefix', choices.prefix, '# prefix: SHOP                 # task ids are SHOP-1, SHOP-2 …'),
    '# base: main                   # default: what origin/HEAD says',
    keyOr('pipeline', choices.pipeline, '# pipeline: direct             # see `orch pipeline list`'),
    '',
    '# Commands that make a fresh checkout ready. They run before each agent and before each verification.',
    listOr('setup', choices.setup, '# setup:\n#   - npm ci'),
    '',
    '# Commands that must exit 0 before anything lands. They run in a checkout that no agent has touched.',
    commands.length === 1 && commands[0] === 'none' ? 'verify: none' : verifyText(commands),
    '# A command may carry limits:',
    '#   - run: npm test',
    '#     timeout: 10m             # default 15m',
    '#     cwd: packages/app',
    '#     paths: ["packages/app/**"]',
    '',
    keyOr('approval', choices.approval, '# approval: human              # or auto'),
    ...agentsText(choices.agent),
    '',
    '# limits: { attempts: 3, runMinutes: 60, stallMinutes: 30, parallel: 4 }',
    '# diffBudget: { files: 50, addedLines: 2000 }',
    '# protected: ["migrations/**"]  # a change there waits for a person; CI and agent settings always do',
    '# commits: { pattern: "^(feat|fix|docs|chore): " }',
    '# land: { method: merge }       # or squash',
    '# sandbox: { network: true, read: [] }',
    '# env: { pass: [NPM_TOKEN], set: { TZ: UTC } }',
    '',
  ].join('\n')
}

function keyOr(key: string, value: string | null, otherwise: string): string {
  return value === null ? otherwise : stringify({ [key]: value }, { lineWidth: 0 }).trimEnd()
}

function listOr(key: string, items: string[], otherwise: string): string {
  return items.length === 0 ? otherwise : stringify({ [key]: items }, { lineWidth: 0 }).trimEnd()
}

function verifyText(commands: string[]): string {
  const missing =
    '# Nothing was found that tests this repository: until a command stands here (or `verify: none`), nothing lands.'
  return listOr('verify', commands, `${missing}\n# verify:\n#   - npm test`)
}

function agentsText(agent: string | null): string[] {
  const more =
    '# A role may also say: model: opus, effort: low|medium|high, fallback: [codex] (who takes over from a limited agent)'
  if (agent === null) return ['# agents:', '#   developer: { agent: claude }', '#   reviewer: { agent: claude }', more]
  return [stringify({ agents: { developer: { agent }, reviewer: { agent } } }, { lineWidth: 0 }).trimEnd(), more]
}
