// A trial of one agent: the smallest real task there is, from its text to a merge on the sample repository's main.
// The sample and all state are the trial's own; the agent's program and login are the person's.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Actor } from '../core/messages.ts'
import { UserError } from '../lib/errors.ts'
import type { App, TrialAgent } from './app.ts'
import { DEMO_TASKS } from './demo.ts'

/** Registers the sample clone and opens one small task for the agent. `home` is the trial's own. Throws UserError when it is refused. */
export async function openTrialTask(
  app: Pick<App, 'init' | 'addTask'>,
  request: { home: string; clone: string; agent: TrialAgent; actor: Actor },
): Promise<{ project: string; task: string }> {
  const { home, clone, agent, actor } = request
  const choice = {
    agent: agent.name,
    ...(agent.model === null ? {} : { model: agent.model }),
    ...(agent.effort === null ? {} : { effort: agent.effort }),
  }
  const agents = {
    ...(Object.keys(agent.program).length === 0 ? {} : { [agent.name]: agent.program }),
    developer: choice,
    reviewer: choice,
  }
  await mkdir(home, { recursive: true, mode: 0o700 })
  // JSON is YAML too. One attempt: a trial tells what is wrong, it doesn't spend three times to tell it.
  await writeFile(join(home, 'config.yml'), JSON.stringify({ agents, limits: { attempts: 1, transient: 0, infra: 0 } }))
  const { project } = await app.init({
    cwd: clone,
    prefix: 'TRY',
    agent: agent.name,
    pipeline: null,
    setup: [],
    verify: ['node --test'],
    approval: 'auto',
  })
  const [{ title, prose, script }] = DEMO_TASKS
  const body = agent.name === 'scripted' ? `${prose}\n\n\`\`\`script\n${script}\n\`\`\`\n` : prose
  const fields = { project: project.id, title, body, labels: ['trial'], priority: 0, dependsOn: [], pipeline: null }
  const opened = await app.addTask(fields, actor)
  if (!opened.ok) throw new UserError(4, opened.refusal.code, `the trial's task was refused: ${opened.refusal.text}`)
  return { project: project.id, task: opened.value.id }
}
