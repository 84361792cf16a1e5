import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import { kindsHere, temporaryFolder } from './__fixtures__/world.ts'
import { planMounts, programPaths } from './mounts.ts'
import { probeSandbox } from './sandbox.ts'
import { runSandboxed } from './sandboxed.ts'

const held = (await kindsHere()).includes('bubblewrap')

test('the most specific path wins, and writable beats readable beats hidden', async () => {
  const folder = await temporaryFolder()
  for (const name of ['home/tools/bin', 'home/tools/secret', 'home/work'])
    await mkdir(path.join(folder, name), { recursive: true })
  await writeFile(path.join(folder, 'home/token'), 'x')
  const at = (name: string): string => path.join(folder, name)
  const mounts = planMounts({
    masked: [at('home'), at('home/tools/secret'), at('none'), at('home/work'), at('home/token')],
    readable: [at('home/tools'), at('home/tools/bin'), at('none'), '/usr/bin'],
    writable: [at('home/work')],
  })
  expect(mounts).toEqual([
    { kind: 'hide', at: at('home') },
    { kind: 'hide-file', at: at('home/token') },
    { kind: 'read', at: at('home/tools') },
    { kind: 'write', at: at('home/work') },
    { kind: 'hide', at: at('home/tools/secret') },
  ])
  await symlink('/etc', at('link'))
  expect(() => planMounts({ masked: [], readable: [], writable: [at('link')] })).toThrow('is a link')
  expect(() => planMounts({ masked: [], readable: [], writable: [at('none')] })).toThrow('not there')
})

test('a link that its readable folder shows already is not made again', async () => {
  const folder = await temporaryFolder()
  const at = (name: string): string => path.join(folder, name)
  await mkdir(at('hidden/bin'), { recursive: true })
  await writeFile(at('hidden/program'), '')
  await symlink('../program', at('hidden/bin/program'))
  const mounts = planMounts({
    masked: [at('hidden')],
    readable: [at('hidden/bin'), at('hidden/bin/program')],
    writable: [],
  })
  expect(mounts.map(({ kind, at: place }) => `${kind} ${path.relative(folder, place)}`)).toEqual([
    'hide hidden',
    'read hidden/bin',
    'read hidden/program',
  ])
})

test('programs under HOME are found with what their links need, credentials beside them are not', async () => {
  const home = path.join(await temporaryFolder(), 'ada')
  for (const name of [
    '.local/bin',
    '.local/share/claude/versions/1.0',
    '.config/gh',
    '.nvm/versions/node/v24/bin',
    '.nvm/versions/node/v24/lib/node_modules/npm/bin',
    '.cargo/bin',
    'tools',
  ]) {
    await mkdir(path.join(home, name), { recursive: true })
  }
  await writeFile(path.join(home, '.cargo/credentials.toml'), 'token')
  await writeFile(path.join(home, 'tools/agent'), '')
  await symlink(path.join(home, 'tools/agent'), path.join(home, '.local/bin/agent'))
  const PATH = [
    `${home}/.local/bin`,
    `${home}/.nvm/versions/node/v24/bin`,
    `${home}/.cargo/bin`,
    `${home}/not-there`,
    home,
    '/usr/bin',
  ].join(':')
  const found = programPaths({ PATH, HOME: home }, [home])
  for (const name of ['.local/bin', '.local/share/claude', '.nvm/versions/node/v24', '.cargo/bin', 'tools/agent'])
    expect(found).toContain(path.join(home, name))
  for (const name of ['', '.cargo', '.config', 'tools', '.local'])
    expect(found).not.toContain(path.join(home, name).replace(/\/$/, ''))
})

test.skipIf(!held)('a program under HOME runs although HOME is hidden, also over links', async () => {
  const folder = await temporaryFolder()
  const home = path.join(folder, 'ada')
  await mkdir(path.join(home, 'opt/deep/tool/bin'), { recursive: true })
  await mkdir(path.join(home, '.ssh'))
  await writeFile(path.join(home, '.ssh/key'), 'PRIVATE')
  await writeFile(path.join(home, 'opt/deep/tool/bin/hello'), '#!/bin/sh\necho hello\n', { mode: 0o755 })
  await symlink('opt/deep/tool', path.join(home, 'current'))
  const env = { PATH: `${home}/current/bin:/usr/bin:/bin`, HOME: home }
  const sandbox = await probeSandbox(env, { prefer: 'bubblewrap' })
  const wrapped = sandbox.wrap({
    argv: ['sh', '-c', 'hello; cat "$HOME/.ssh/key"; ls "$HOME"'],
    cwd: '/',
    env,
    writable: [],
    readable: [],
    network: false,
  })
  const result = await runProcess({ argv: [wrapped.file, ...wrapped.args], env: wrapped.env, timeoutMs: 10_000 })
  expect(result.stdout).toBe('hello\ncurrent\nopt\n')
})

test.skipIf(!held)('without the network nothing answers', async () => {
  const sandbox = await probeSandbox(process.env, { prefer: 'bubblewrap' })
  const look = async (network: boolean): Promise<string> => {
    const wrapped = sandbox.wrap({
      argv: ['sh', '-c', 'wc -l < /proc/net/route'],
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
      writable: [],
      readable: [],
      network,
    })
    return (
      await runProcess({ argv: [wrapped.file, ...wrapped.args], env: wrapped.env, timeoutMs: 10_000 })
    ).stdout.trim()
  }
  expect(await look(false)).toBe('1')
})

test("a kind that can't be had is refused when it is asked for, else passed over", async () => {
  const folder = await temporaryFolder()
  await writeFile(
    path.join(folder, 'bwrap'),
    '#!/bin/sh\n[ "$1" = --version ] && echo "bubblewrap 9.9" && exit 0\necho "bwrap: no permission" >&2\nexit 1\n',
    { mode: 0o755 },
  )
  await writeFile(path.join(folder, 'unshare'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  const env = { PATH: `${folder}:/usr/bin:/bin`, HOME: folder }
  expect((await probeSandbox(env)).means.kind).toBe('none')
  await expect(probeSandbox({ ...env, ORCH_SANDBOX: 'bubblewrap' })).rejects.toMatchObject({
    exit: 6,
    code: 'sandbox-missing',
    message: expect.stringContaining('no permission'),
  })
  await expect(probeSandbox({ ...env, ORCH_SANDBOX: 'jail' })).rejects.toMatchObject({
    exit: 6,
    code: 'sandbox-unknown',
  })
  expect((await probeSandbox({ ...env, ORCH_SANDBOX: 'none' })).means.kind).toBe('none')
})

const bare = await probeSandbox({ ...process.env, ORCH_SANDBOX: 'none' })

test('what ends the processes where there is no sandbox is named, and what stays open is told as it is', () => {
  const { ends, open } = bare.means
  expect(ends).toBe(open.some((sentence) => sentence.includes("out of its run's cgroup")) ? 'cgroup' : 'marker')
  expect(open.some((sentence) => sentence.includes('only by chance'))).toBe(ends === 'marker')
})

test.skipIf(bare.means.ends !== 'cgroup')(
  'without a sandbox a command that hid from its mark is ended by its cgroup (needs cgroup v2 that can be written)',
  async () => {
    const folder = await temporaryFolder()
    const result = await runSandboxed(bare, {
      argv: ['sh', '-c', '(env -i setsid /bin/sleep 60 </dev/null >/dev/null 2>&1 & echo $!)'],
      cwd: folder,
      env: { PATH: '/usr/bin:/bin' },
      writable: [folder],
      readable: [],
      network: true,
      timeoutMs: 10_000,
    })
    const pid = Number(result.stdout)
    expect(pid).toBeGreaterThan(1)
    expect(identifyProcess(pid)).toBeNull()
  },
)
