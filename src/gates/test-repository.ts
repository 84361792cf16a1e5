// For tests: a real git repository in a temporary folder, read as gates read it, by the real mirror's reader.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Policy } from '../core/policy.ts'
import { runProcess } from '../lib/process.ts'
import { isolatedGitEnv } from '../workspace/git.ts'
import { makeMirrorReader } from '../workspace/mirror-read.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { GateInput } from './gate.ts'

export interface TestRepository {
  dir: string
  git(...args: string[]): Promise<string>
  /** Writes files (null deletes one) and commits; gives the sha. */
  commit(files: Record<string, string | Buffer | null>, message?: string): Promise<string>
  mirror: Mirror
  remove(): Promise<void>
}

export async function makeTestRepository(): Promise<TestRepository> {
  const dir = await mkdtemp(join(tmpdir(), 'orch-gates-'))
  const git = async (...args: string[]): Promise<string> => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: dir,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'T',
      GIT_AUTHOR_EMAIL: 't@t.test',
      GIT_COMMITTER_NAME: 'T',
      GIT_COMMITTER_EMAIL: 't@t.test',
    }
    const result = await runProcess({
      argv: ['git', ...args],
      cwd: dir,
      env,
      timeoutMs: 30_000,
      outputCapBytes: 64 << 20,
    })
    if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`)
    return result.stdout
  }
  await git('init', '-q', '-b', 'main')
  const commit: TestRepository['commit'] = async (files, message = 'work') => {
    for (const [path, content] of Object.entries(files)) {
      if (content === null) await git('rm', '-q', '--', path)
      else {
        await mkdir(dirname(join(dir, path)), { recursive: true })
        await writeFile(join(dir, path), content)
      }
    }
    await git('add', '-A')
    await git('commit', '-q', '--allow-empty', '-m', message)
    return (await git('rev-parse', 'HEAD')).trim()
  }
  return { dir, git, commit, mirror: testMirror(dir), remove: () => rm(dir, { recursive: true, force: true }) }
}

/** The real reader on the test's own repository; gates never write or ask the remote. */
function testMirror(dir: string): Mirror {
  const notHere = (): never => {
    throw new Error('the gates have no use for this')
  }
  const folder = join(dir, '.git')
  return {
    path: folder,
    masked: [],
    identity: { name: 'T', email: 't@t.test' },
    ...makeMirrorReader({ folder, local: isolatedGitEnv(process.env), remote: {}, address: '' }),
    fetchBase: notHere,
    remoteBranches: notHere,
    push: notHere,
    deleteBranch: notHere,
    canPush: notHere,
    pin: notHere,
    listPins: notHere,
  }
}

/** A policy with nothing in it; tests lay their own over it. */
export function testPolicy(over: Partial<Policy> = {}): Policy {
  return {
    pipeline: {
      name: 'test',
      description: '',
      stages: [{ name: 'develop', kind: 'agent', role: 'developer', gates: [] }],
    },
    configHash: 'c0ffee',
    base: null,
    checkout: { sparse: [] },
    setup: [],
    verify: [],
    verifyParallel: false,
    knownFailures: [],
    env: { pass: [], set: {} },
    approval: 'human',
    land: { method: 'merge' },
    roles: {},
    agents: {},
    limits: { attempts: 3, transient: 6, infra: 3, runMinutes: 60, stallMinutes: 30, parallel: 4 },
    protected: [],
    diffBudget: { files: 50, addedLines: 2000 },
    sandbox: { network: true, read: [] },
    commits: { pattern: null },
    ...over,
  }
}

/** A gate's input for the repository; `headSha` and `baseSha` come from the test. */
export function testInput(
  repository: TestRepository,
  over: Partial<GateInput> & Pick<GateInput, 'baseSha' | 'headSha'>,
): GateInput {
  return {
    stage: 'develop',
    role: 'developer',
    policy: testPolicy(),
    handoff: { ok: true, keys: { status: 'done' }, prose: '' },
    mirror: repository.mirror,
    verify: () => Promise.reject(new Error('this gate runs no command')),
    approved: false,
    sentBackSha: null,
    ...over,
  }
}
