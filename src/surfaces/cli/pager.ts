// The user's pager, chosen and called as git does it.

import { runOnTerminal, runProcess } from '../../lib/process.ts'

/** Longest wait for git's answer; it takes about 3 ms. */
const ASK_MS = 5_000

/** Shows a text in the pager; false when there is none (`cat`, or nothing that can be started). */
export async function page(text: string, environment: Record<string, string | undefined>): Promise<boolean> {
  const given = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const env = Object.fromEntries(given)
  const pager = await pagerOf(env)
  if (pager === '' || pager === 'cat') return false
  // Ctrl-C is the pager's own key; what it was started from stays.
  const ignore = (): void => undefined
  process.on('SIGINT', ignore)
  try {
    // What git sets where the user set nothing: colours pass, a short text is simply printed (LESS=FRX, LV=-c).
    const code = await runOnTerminal({
      argv: ['/bin/sh', '-c', pager],
      env: { LESS: 'FRX', LV: '-c', ...env },
      input: text,
    })
    // The shell's words for "not found" and "not executable".
    return code !== null && code !== 127 && code !== 126
  } finally {
    process.off('SIGINT', ignore)
  }
}

/** Asked outside of any repository: a workspace's own configuration is written by agents and must start nothing. */
async function pagerOf(env: Record<string, string>): Promise<string> {
  const said = await runProcess({ argv: ['git', 'var', 'GIT_PAGER'], cwd: '/', env, timeoutMs: ASK_MS })
  return said.exitCode === 0 ? said.stdout.trim() : (env['PAGER'] ?? 'less')
}
