// bin/orch.js in temporary layouts: a checkout and a package, on a Node that is new enough, and on one that isn't with
// and without a pinned Node near it. "Too old" is a real old Node where the machine has one, and else this Node told
// by a preload to say it is 18.

import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runProcess } from '../../src/lib/process.ts'

const LAUNCHER = join(import.meta.dirname, '../../bin/orch.js')
const base = realpathSync(mkdtempSync(join(tmpdir(), 'orch-launcher-')))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const fakeOld = join(base, 'say-18.cjs')
writeFileSync(
  fakeOld,
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.19.1' } })\n",
)

interface OldNode {
  name: string
  node: string
  env: Record<string, string>
}
const oldNodes: OldNode[] = [
  { name: 'a Node that says 18', node: process.execPath, env: { NODE_OPTIONS: `--require ${fakeOld}` } },
]
const systemNode = '/usr/bin/node'
if (existsSync(systemNode) && majorOf(systemNode) < 24)
  oldNodes.push({ name: `Node ${majorOf(systemNode)}`, node: systemNode, env: {} })

const ECHO =
  'console.log(JSON.stringify({ file: FILE, argv: process.argv.slice(2), guard: process.env.ORCH_LAUNCHED ?? null }))\n'

test('in a checkout the sources run, in a package the build', async () => {
  const checkout = layOut('checkout', {
    'src/main.ts': `const FILE: string = 'source'\n${ECHO}`,
    'dist/main.js': `const FILE = 'build'\n${ECHO}`,
  })
  const packed = layOut('packed/node_modules/orch', { 'dist/main.js': `const FILE = 'build'\n${ECHO}` })
  expect(await launch(process.execPath, checkout, ['task', 'add', 'a b'])).toMatchObject({
    exitCode: 0,
    said: { file: 'source', argv: ['task', 'add', 'a b'], guard: null },
  })
  expect(await launch(process.execPath, packed, [])).toMatchObject({ exitCode: 0, said: { file: 'build', argv: [] } })
})

test('a main that cannot be loaded is an error with its reason', async () => {
  const broken = layOut('broken', { 'src/main.ts': "throw new Error('no such thing')\n" })
  const { exitCode, stderr } = await launch(process.execPath, broken, [])
  expect(exitCode).toBe(1)
  expect(stderr).toContain('no such thing')
})

describe.each(oldNodes)('on $name', ({ name, node, env }) => {
  const folder = name.replaceAll(' ', '-')
  const main = { 'dist/main.js': `const FILE = 'build'\n${ECHO}process.exitCode = 5\n` }

  test('without a pinned Node one line says what is needed', async () => {
    const packed = layOut(`${folder}/alone/node_modules/orch`, main)
    const { exitCode, stdout, stderr } = await launch(node, packed, ['version'], env)
    expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: '' })
    expect(stderr).toMatch(/^orch: needs Node 24 or newer, this is \d+\.\d+\.\d+; run `npm install node@24`.*\n$/)
  })

  test('a Node in a folder above that is not an installation is left alone', async () => {
    const packed = layOut(`${folder}/planted/deep/orch`, main)
    pin(`${folder}/planted/node_modules`, 'echo planted')
    const { exitCode, stdout } = await launch(node, packed, [], env)
    expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: '' })
  })

  test.each(['inside/node_modules/orch/node_modules', 'beside/node_modules', 'above/node_modules'])(
    'the pinned Node in %s runs it, with its arguments and its exit code',
    async (place) => {
      const home = `${folder}/${place.split('/')[0]}`
      const packed = layOut(
        place.startsWith('above') ? `${home}/node_modules/@scope/orch` : `${home}/node_modules/orch`,
        main,
      )
      pin(`${folder}/${place}`)
      expect(await launch(node, packed, ['why', '1 2'], env)).toMatchObject({
        exitCode: 5,
        stderr: '',
        said: { file: 'build', argv: ['why', '1 2'], guard: null },
      })
    },
  )

  test('a pinned Node that is too old itself is not tried twice', async () => {
    const packed = layOut(`${folder}/loop/node_modules/orch`, main)
    pin(`${folder}/loop/node_modules`, `NODE_OPTIONS='--require ${fakeOld}' exec '${process.execPath}' "$@"`)
    const { exitCode, stderr } = await launch(node, packed, [], env)
    expect(exitCode).toBe(6)
    expect(stderr).toContain('the one beside Orch is 18.19.1')
  })

  test('a pinned Node that cannot be started is named', async () => {
    const packed = layOut(`${folder}/broken/node_modules/orch`, main)
    const binary = pin(`${folder}/broken/node_modules`)
    chmodSync(binary, 0o644)
    const { exitCode, stderr } = await launch(node, packed, [], env)
    expect(exitCode).toBe(6)
    expect(stderr).toContain(binary)
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s is sent on, and its end is our end', async (signal) => {
    const text = `process.on('${signal}', () => process.exit(7))\nsetTimeout(() => {}, 10_000)\nconsole.log('ready')\n`
    const packed = layOut(`${folder}/${signal}/node_modules/orch`, { 'dist/main.js': text })
    pin(`${folder}/${signal}/node_modules`)
    expect(await signalled(node, packed, { signal, env })).toEqual({ code: 7, signal: null })
  })

  test('death by a signal is passed on', async () => {
    const text = "setTimeout(() => {}, 10_000)\nconsole.log('ready')\n"
    const packed = layOut(`${folder}/killed/node_modules/orch`, { 'dist/main.js': text })
    pin(`${folder}/killed/node_modules`)
    expect(await signalled(node, packed, { signal: 'SIGTERM', env })).toEqual({ code: null, signal: 'SIGTERM' })
  })
})

function majorOf(node: string): number {
  return Number(execFileSync(node, ['--version'], { encoding: 'utf8' }).slice(1).split('.')[0])
}

/** A package of the launcher and these files; gives the path of its copy. */
function layOut(folder: string, files: Record<string, string>): string {
  const root = join(base, folder)
  for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  cpSync(LAUNCHER, join(root, 'bin/orch.js'))
  return join(root, 'bin/orch.js')
}

/** Puts a `node` package there that runs this Node, without what pretends it to be old. */
function pin(nodeModules: string, command = `unset NODE_OPTIONS; exec '${process.execPath}' "$@"`): string {
  const binary = join(base, nodeModules, 'node/bin/node')
  mkdirSync(dirname(binary), { recursive: true })
  writeFileSync(binary, `#!/bin/sh\n${command}\n`)
  chmodSync(binary, 0o755)
  return binary
}

async function launch(node: string, launcher: string, args: string[], env: Record<string, string> = {}) {
  const result = await runProcess({
    argv: [node, launcher, ...args],
    env: { PATH: '/usr/bin:/bin', ...env },
    timeoutMs: 20_000,
  })
  const { exitCode, stdout, stderr } = result
  return { exitCode, stdout, stderr, said: stdout.startsWith('{') ? (JSON.parse(stdout) as unknown) : null }
}

/** Starts it, sends the signal to the launcher alone once the program is ready, and says how the launcher ended. (A program that missed its signal ends by itself.) */
function signalled(
  node: string,
  launcher: string,
  options: { signal: NodeJS.Signals; env: Record<string, string> },
): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [launcher], {
      env: { PATH: '/usr/bin:/bin', ...options.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.once('data', () => child.kill(options.signal))
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
}
