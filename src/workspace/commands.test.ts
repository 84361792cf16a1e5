import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { ExternalError } from '../lib/errors.ts'
import { runCommand } from './commands.ts'
import type { Context } from './context.ts'
import { temporaryFolder, userEnv } from './__fixtures__/world.ts'

test('S13: a sandbox that does not let a command start is the host’s trouble, whatever it exits with', async () => {
  const folder = await temporaryFolder()
  const [tree, runtimeDir] = [path.join(folder, 'tree'), path.join(folder, 'runtime')]
  for (const place of [tree, runtimeDir]) await mkdir(place)
  const env = userEnv(folder)
  const place = { tree, runtimeDir, cwd: tree, env, objects: tree, masked: [], read: [], network: true }
  const limits = { outputCapBytes: 1 << 16, timeoutMs: 10_000 }
  const wrap = () => ({
    file: 'sh',
    args: ['-c', 'echo "no permission" >&2; exit 1'],
    env,
    containment: 'marker',
  })
  // Only what starting a command asks of these is there: all else fails.
  const context = { sandbox: { means: { kind: 'bubblewrap' }, wrap }, readPaths: [] } as never as Context
  const error = await runCommand(context, 'true', { ...place, ...limits }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ExternalError)
  expect(error).toMatchObject({
    system: 'sandbox',
    kind: 'tool-missing',
    message: expect.stringContaining('no permission'),
  })
})
