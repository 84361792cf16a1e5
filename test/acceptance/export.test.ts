// A task taken to another machine as one file, looked at there; and files that are no such thing.

import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, gunzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { type Orch, type World, makeWorld } from './harness.ts'

let world: World
afterEach(() => world.close())

/** Another ORCH_HOME, on which nothing was ever done. */
const elsewhere = (args: string[], input?: string): Promise<Orch> =>
  world.orch(args, {
    cwd: world.dir,
    env: { ORCH_HOME: join(world.dir, 'other-home') },
    ...(input === undefined ? {} : { input }),
  })

const TOKEN = `ghp_${'aB3dE5fG7h'.repeat(4).slice(0, 36)}`

async function exported(): Promise<string> {
  world = await makeWorld()
  await world.add(
    'Mend it',
    `behaviour: break-then-mend\nIt failed with ${TOKEN} at https://ann:s3cr3tPw9@git.corp.io/x`,
  )
  await world.upUntilIdle()
  const file = join(world.dir, 'task.json.gz')
  const said = await world.ok(['export', 'T-1', '--output', file], { env: { MY_API_TOKEN: 'always-broken-no-more' } })
  expect(said.stdout).toContain('that look like secrets were taken out')
  expect(statSync(file).mode & 0o077).toBe(0)
  return file
}

test('every verb that looks at a task says elsewhere what it says here, and nothing is written there', async () => {
  const file = await exported()
  const text = gunzipSync(readFileSync(file)).toString()
  for (const secret of [TOKEN, 's3cr3tPw9']) expect(text).not.toContain(secret)
  const overview = await elsewhere(['import', file])
  expect(overview).toMatchObject({ code: 0, stderr: '' })
  expect(overview.stdout).toMatch(/T-1: Mend it[\s\S]*Status +done[\s\S]*developer[\s\S]*task events T-1 --from/)
  for (const args of [
    ['task', 'show'],
    ['task', 'runs'],
    ['task', 'events'],
    ['task', 'logs', '--raw'],
    ['task', 'logs', '--prompt'],
    ['task', 'diff'],
    ['task', 'diff', '--stat'],
    ['task', 'inspect'],
    ['why', '--json'],
  ]) {
    const here = await world.ok([...args, 'T-1'])
    const there = await elsewhere([...args, 'T-1', '--from', file])
    expect([args, there.code, there.stderr]).toEqual([args, 0, ''])
    const plain = (out: string): string =>
      out
        .replaceAll(TOKEN, '[hidden: GitHub token]')
        .replaceAll('s3cr3tPw9', '[hidden: password in a URL]')
        .replaceAll(`${world.home}/`, '')
        .replaceAll(`${join(world.dir, 'other-home')}/`, '')
        .replaceAll(world.home, '')
    // Texts of commands are longer by what was hidden: columns may be wider.
    const words = (out: string): string[] => plain(out).split(/\s+/).filter(Boolean)
    expect(words(there.stdout)).toEqual(words(here.stdout))
  }
  const json = (await elsewhere(['task', 'show', '1', '--from', file, '--json'])).json<{ id: string; status: string }>()
  expect(json).toMatchObject({ id: 'T-1', status: 'done' })
  expect(existsSync(join(world.dir, 'other-home'))).toBe(false)
  expect((await elsewhere(['task', 'cancel', 'T-1', '--from', file])).code).toBe(2)
  expect((await elsewhere(['task', 'show', 'T-2', '--from', file])).code).toBe(3)

  // Through a pipe, unpacked; the same file again only with --force.
  const piped = await elsewhere(['import', '-', '--json'], (await world.ok(['export', 'T-1'])).stdout)
  const parts = piped.json<{
    diffs: unknown[]
    runs: { prompt: { text: string } }[]
    artifacts: { content: string }[]
  }>()
  expect(parts.diffs).toHaveLength(2)
  expect(parts.runs[0]?.prompt.text).toContain('Orch-Task: T-1')
  expect(parts.artifacts[0]?.content).toContain('status: done')
  expect((await world.orch(['export', 'T-1', '--output', file])).stderr).toContain('[file-exists]')
  await world.ok(['export', 'T-1', '--force', '--output', file])
  expect(readdirSync(world.dir).filter((name) => name.includes('.part-'))).toEqual([])
})

test('a hostile, cut or foreign file is refused with a sentence, and writes nothing', async () => {
  const good = JSON.parse(gunzipSync(readFileSync(await exported())).toString()) as Record<string, unknown>
  const bad = join(world.dir, 'bad')
  const inspection = good.inspection as Record<string, object>
  const events = good.events as { type: string; data: unknown }[]
  const cases: [string, string | Buffer, number][] = [
    ['empty', '', 1],
    ['no JSON', 'a letter', 1],
    ['cut', JSON.stringify(good).slice(0, 5_000), 1],
    ['cut gzip', gzipSync(JSON.stringify(good)).subarray(0, 500), 1],
    ['another value', '[1, 2]', 1],
    ['null', 'null', 1],
    ['another version', JSON.stringify({ ...good, format: 'orch-task/99' }), 6],
    ['a wrong type', JSON.stringify({ ...good, events: 'none' }), 1],
    [
      'a policy that is none',
      JSON.stringify({ ...good, inspection: { ...inspection, policy: { configHash: 'x' } } }),
      1,
    ],
    ['data of another event', JSON.stringify({ ...good, events: events.map((event) => ({ ...event, data: {} })) }), 1],
    ['a bomb', gzipSync(Buffer.alloc(600 << 20)), 1],
    ['deep', '['.repeat(1_000_000), 1],
  ]
  mkdirSync(join(world.dir, 'folder'))
  for (const [name, bytes, code] of cases) {
    writeFileSync(bad, bytes)
    const result = await elsewhere(['import', bad])
    expect([name, result.code]).toEqual([name, code])
    expect(result.stderr, name).not.toMatch(/a fault of Orch|\n.*\n/)
  }
  expect((await elsewhere(['import', join(world.dir, 'folder')])).code).toBe(2)
  expect((await elsewhere(['import', join(world.dir, 'none')])).code).toBe(3)

  // Names that lead elsewhere and what a terminal would obey are texts to show, no more.
  const task = { ...(inspection.task as Record<string, unknown>), title: '\u001b]0;pwned\u0007../../etc' }
  const artifacts = [{ name: '../evil-artifact', run: null, bytes: 1, encoding: 'utf8', content: 'x', cut: false }]
  writeFileSync(bad, JSON.stringify({ ...good, artifacts, inspection: { ...inspection, task } }))
  const shown = await elsewhere(['import', bad])
  expect(shown.code).toBe(0)
  expect(shown.stdout).not.toContain('\u001b')
  expect(existsSync(join(world.dir, 'other-home'))).toBe(false)
  expect(readdirSync(world.dir)).not.toContain('evil-artifact')
})
