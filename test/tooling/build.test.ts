// The build, on a small tree with the same programs: what it writes, and what it refuses.

import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { buildPackage } from '../../scripts/build.ts'
import { runProcess } from '../../src/lib/process.ts'

const TREE = {
  'package.json': '{"type":"module"}',
  'src/main.ts': "export {}\nif (process.argv[2] === 'add') console.log((await import('./verbs/add.ts')).add(2, 3))\n",
  'src/verbs/add.ts':
    "import { plus } from '../lib/plus.ts'\nexport const add = (a: number, b: number): number => plus(a, b)\n",
  'src/lib/plus.ts': 'export const plus = (a: number, b: number): number => a + b\n',
  'src/agents/supervisor.ts': "import { plus } from '../lib/plus.ts'\nconsole.log('supervisor', plus(1, 1))\n",
  'src/agents/scripted-agent.ts': "import { parse } from 'yaml'\nconsole.log(parse)\n",
  'src/agents/acp-agent.ts': 'console.log(1)\n',
}

let root = ''
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('each program is a file of its own, a verb is a chunk, packages stay outside', async () => {
  plant(TREE)
  mkdirSync(join(root, 'dist'))
  writeFileSync(join(root, 'dist/stale.js'), 'old')
  const files = await buildPackage(root, join(root, 'dist'))
  expect(files).toEqual(
    expect.arrayContaining(['dist/acp-agent.js', 'dist/main.js', 'dist/scripted-agent.js', 'dist/supervisor.js']),
  )
  expect(files.some((file) => /^dist\/add-\w+\.js$/.test(file))).toBe(true)
  expect(readFileSync(join(root, 'dist/main.js'), 'utf8')).not.toContain('a + b')
  expect(readFileSync(join(root, 'dist/scripted-agent.js'), 'utf8')).toMatch(/from ?"yaml"/)
  expect(() => readFileSync(join(root, 'dist/stale.js'))).toThrow('ENOENT')
  expect(await run('dist/main.js', 'add')).toBe('5\n')
  expect(await run('dist/supervisor.js')).toBe('supervisor 2\n')
  expect(readFileSync(join(root, 'dist/supervisor.js'), 'utf8')).not.toContain('import')
})

test('a plain `orch status` loads nothing of Node but what it needs: each of the others costs its start milliseconds', async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-build-')))
  const files = await buildPackage(join(import.meta.dirname, '../..'), root)
  const looking = files.map((file) => basename(file)).filter((file) => /^(main|look-.*)\.js$/.test(file))
  expect(looking).toHaveLength(2)
  const texts = looking.map((file) => readFileSync(join(root, file), 'utf8'))
  const loaded = texts.flatMap((text) =>
    [...text.matchAll(/^import .* from ?"(node:.*|[^.].*)";?$/gm)].map(([, name]) => name),
  )
  // `node:crypto` brings thirty modules and the streams: 4 of 43 ms.
  expect(new Set(loaded)).toEqual(new Set(['node:os', 'node:path', 'node:sqlite', 'node:timers/promises']))
})

test('the same sources give the same bytes, wherever they lie', async () => {
  const built: string[][] = []
  for (let round = 0; round < 2; round++) {
    plant(TREE)
    const files = await buildPackage(root, join(root, 'dist'))
    built.push(files.map((file) => `${file}\n${readFileSync(join(root, file), 'utf8')}`))
    rmSync(root, { recursive: true })
  }
  expect(built[0]).toEqual(built[1])
})

test('a missing program is named and nothing is written', async () => {
  const { 'src/agents/supervisor.ts': _, ...rest } = TREE
  plant(rest)
  await expect(buildPackage(root, join(root, 'dist'))).rejects.toThrow('no such entry: src/agents/supervisor.ts')
  expect(() => readFileSync(join(root, 'dist/main.js'))).toThrow('ENOENT')
})

test('a path counted from import.meta by a module that moves is refused', async () => {
  plant({ ...TREE, 'src/lib/plus.ts': 'export const plus = (a: number, b: number): string => import.meta.dirname\n' })
  await expect(buildPackage(root, join(root, 'dist'))).rejects.toThrow(
    'import.meta leads elsewhere in dist: src/lib/plus.ts',
  )
})

function plant(tree: Record<string, string>): void {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-build-')))
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

async function run(file: string, ...args: string[]): Promise<string> {
  const result = await runProcess({ argv: [process.execPath, join(root, file), ...args], env: {}, timeoutMs: 20_000 })
  return result.stdout + result.stderr
}
