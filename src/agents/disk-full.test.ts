import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { AGENT, PATH, SUPERVISOR } from './__fixtures__/runs.ts'

const root = mkdtempSync(join(tmpdir(), 'orch-full-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Runs a shell line in a mount namespace of its own, where a small file system of our own may be mounted. */
async function inNamespace(line: string): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const argv = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', line] as const
  return runProcess({ argv, cwd: root, env: { PATH }, timeoutMs: 30_000 })
}

const possible = (await inNamespace(`mkdir -p probe && mount -t tmpfs -o size=1m tmpfs probe`)).exitCode === 0
test.skipIf(!possible)('an agent that fills the disk still leaves an outcome (needs a mount namespace)', async () => {
  const spec = {
    runId: `full-${process.pid}`,
    task: 'T-1',
    agent: 'command',
    resumed: false,
    file: AGENT,
    args: ['flood'],
    env: { PATH },
    cwd: root,
    timeLimitMs: 10_000,
    stallMs: 10_000,
    graceMs: 100,
    logCapBytes: 1 << 30,
    containment: 'marker',
  }
  writeFileSync(join(root, 'spec.json'), JSON.stringify(spec))
  const result = await inNamespace(
    [
      'mkdir run && mount -t tmpfs -o size=128k tmpfs run',
      'cp spec.json run/ && echo hello > run/prompt.md',
      `${process.execPath} ${SUPERVISOR} ${root}/run`,
      'df -k run | tail -1',
      'cat run/outcome.json',
    ].join(' && '),
  )
  // The program that filled it was told so by the system; its supervisor still had room for what it had to say.
  expect(result.stdout).toMatch(/100%/)
  expect(JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ exitCode: 1, endedBy: null })
})
