// The folders of one task's runs: a workspace with git, a handoff folder, the run's configuration, the person's home.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PATH } from '../../src/agents/__fixtures__/runs.ts'
import { runProcess } from '../../src/lib/process.ts'
import type { Subject } from './subject.ts'

export interface Site {
  dir: string
  workspace: string
  handoff: string
  config: string
  /** The person's. What runs see as HOME is `runHome`, which is empty. */
  home: string
  runHome: string
}

/** Makes a site's folders, the person's files in their home, and a repository with one commit. */
export async function makeSiteIn(dir: string, subject: Subject, url: string): Promise<Site> {
  const [workspace, handoff, config, home, runHome] = ['workspace', 'handoff', 'config', 'home', 'run-home'].map(
    (name) => join(dir, name),
  ) as [string, string, string, string, string]
  const site = { dir, workspace, handoff, config, home, runHome }
  for (const folder of Object.values(site)) mkdirSync(folder, { recursive: true })
  writeHome(subject, { url, home })
  await git(site, 'init', '--quiet', '--initial-branch=main')
  await git(site, 'commit', '--quiet', '--allow-empty', '-m', 'Start')
  return site
}

/** The person's own files, such as a login. */
export function writeHome(subject: Subject, place: { url: string; home: string }): void {
  for (const [path, text] of Object.entries(subject.homeFiles?.(place) ?? {})) {
    const file = join(place.home, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode: 0o600 })
  }
}

/** What every run of a site sees, before its adapter adds to it. */
export function environmentOf(site: Site): Record<string, string> {
  return {
    HOME: site.runHome,
    PATH,
    TMPDIR: site.runHome,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ann Example',
    GIT_AUTHOR_EMAIL: 'ann@example.com',
    GIT_COMMITTER_NAME: 'Ann Example',
    GIT_COMMITTER_EMAIL: 'ann@example.com',
  }
}

/** Plain git in a site's workspace; what it printed. */
export async function git(site: Site, ...args: string[]): Promise<string> {
  const request = { cwd: site.workspace, env: environmentOf(site), timeoutMs: 30_000 }
  const result = await runProcess({ argv: ['git', ...args], ...request })
  if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`)
  return result.stdout.trim()
}
