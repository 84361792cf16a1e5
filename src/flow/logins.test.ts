// What a task's agents were lent goes back and is gone with the task.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { claudeAdapter } from '../agents/claude.ts'
import { lendCredentials, takeBackCredentials, writeSettings } from '../agents/credentials.ts'
import { NO_USAGE } from '../core/run.ts'
import { OPEN, taskIn, when, world } from '../core/test-spec.ts'
import { diskFiles } from '../lib/files.ts'
import type { RunRow } from '../store/store.ts'
import { configDirOf, removeLogins } from './logins.ts'

const dir = mkdtempSync(join(tmpdir(), 'orch-logins-'))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = (id: string, role: string, agent: string): RunRow => ({
  id,
  task: 'T-1',
  project: 'T',
  stage: role,
  role,
  agent,
  model: null,
  attempt: 1,
  why: '',
  startedAt: 1,
  endedAt: 2,
  outcome: { kind: 'succeeded' },
  sessionId: null,
  usage: NO_USAGE,
  costUsd: 0,
  headSha: null,
})

test('a login refreshed by one role is given back, then every copy is removed; twice is once', async () => {
  const runs = [
    run('T-1-1', 'developer', 'claude'),
    run('T-1-2', 'reviewer', 'claude'),
    run('T-1-3', 'reviewer', 'gone'),
  ]
  const deps = {
    home: join(dir, 'home'),
    env: { HOME: join(dir, 'user') },
    files: diskFiles,
    adapters: { claude: claudeAdapter },
    credentials: { lend: lendCredentials, writeSettings, takeBack: takeBackCredentials },
    store: { listRuns: () => runs },
  }
  const own = join(dir, 'user', '.claude', '.credentials.json')
  mkdirSync(join(dir, 'user', '.claude'), { recursive: true })
  writeFileSync(own, '{"token":"old"}')
  for (const role of ['developer', 'reviewer']) {
    const config = configDirOf(deps.home, { task: 'T-1', role, agent: 'claude' })
    await lendCredentials([{ from: own, to: '.credentials.json' }], config)
  }
  const refreshed = join(
    configDirOf(deps.home, { task: 'T-1', role: 'reviewer', agent: 'claude' }),
    '.credentials.json',
  )
  const later = Date.now() / 1_000 + 10
  writeFileSync(refreshed, '{"token":"new"}')
  utimesSync(refreshed, later, later)

  const task = taskIn(when(world(), OPEN))
  await removeLogins(deps, task)
  expect(readFileSync(own, 'utf8')).toBe('{"token":"new"}')
  expect(existsSync(join(deps.home, 'logins', 'T-1'))).toBe(false)
  await removeLogins(deps, task)
})
