// `orch agent conformance`: tries whether a command can be an agent here, one check after another, in a scratch repository,
// wrapped and lent to as a run of it would be. Invariant: nothing of it is left: no process, no folder.

import { UserError } from '../lib/errors.ts'
import type { AgentAdapter } from './agent.ts'
import { checkAcp, speaksAcp } from './conformance-acp.ts'
import { checkCommand } from './conformance-command.ts'
import { type ConformanceCheck, makeReport } from './conformance-report.ts'
import { makeSite, type SiteDeps } from './conformance-site.ts'
import { tellLeft } from './conformance-work.ts'

export type ConformanceProtocol = 'acp' | 'command'

export interface ConformanceRequest {
  /** Shell words, as they would stand under `agents.acp.command`. */
  command: string
  /** Null: ACP when it speaks it, else a plain command. */
  protocol: ConformanceProtocol | null
  /** Whether it is given prompts, which the user's login pays for. */
  prompts: boolean
  onCheck(check: ConformanceCheck): void
  /** Ends what is under way, and begins nothing more. */
  signal: AbortSignal
}

export interface ConformanceResult {
  protocol: ConformanceProtocol
  checks: ConformanceCheck[]
}

interface ConformanceDeps extends SiteDeps {
  adapters: Record<string, AgentAdapter>
}

/** Makes the checks. They throw UserError when the command's program isn't here; every other trouble is a failed check. */
export function makeConformance(deps: ConformanceDeps): (request: ConformanceRequest) => Promise<ConformanceResult> {
  const adapterOf = (protocol: ConformanceProtocol): AgentAdapter => {
    const adapter = deps.adapters[protocol]
    if (!adapter) throw new Error(`there is no adapter ${protocol}`)
    return adapter
  }
  return async ({ command, protocol, prompts, onCheck, signal }) => {
    const found = await adapterOf('acp').find({ command }, deps.env)
    if (!found)
      throw new UserError(
        6,
        'agent-missing',
        `"${command}" can't be tried: its program was not found; install it, or give its path`,
      )
    const checks: ConformanceCheck[] = []
    const report = makeReport((check) => {
      checks.push(check)
      onCheck(check)
    })
    report.ok('found', [found.path, found.version, found.note].filter((part) => part !== null).join(', '))
    const trial = { report, prompts }
    if (protocol !== 'command') {
      const site = await makeSite(deps, { adapter: adapterOf('acp'), command, path: found.path, signal })
      try {
        if (protocol === 'acp' || (await speaksAcp(site))) {
          await checkAcp(site, trial)
          tellLeft(site, report)
          return { protocol: 'acp', checks }
        }
      } finally {
        await site.close()
      }
      report.warn(
        'protocol',
        'it gave no answer in the Agent Client Protocol, so it is tried as a plain command: prompt by stdin, lines of text, an exit code',
        'for an ACP agent give the words that start its ACP mode, such as "opencode acp"',
      )
    }
    const site = await makeSite(deps, { adapter: adapterOf('command'), command, path: '/bin/sh', signal })
    try {
      await checkCommand(site, trial)
      tellLeft(site, report)
    } finally {
      await site.close()
    }
    return { protocol: 'command', checks }
  }
}
