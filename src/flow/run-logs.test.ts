import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readLines, readLogs, streamRun } from './run-logs.ts'

const dir = mkdtempSync(join(tmpdir(), 'orch-run-logs-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

test('lines end at a line feed alone, wherever the chunks of a file end', async () => {
  const path = join(dir, 'lines')
  const long = 'é'.repeat(200_000)
  writeFileSync(path, `a\r\n\n\u2028b\n${long}\nno end`)
  expect(await all(readLines(path))).toEqual(['a\r', '', '\u2028b', long, 'no end'])
  expect(await all(readLines(join(dir, 'nowhere')))).toEqual([])
})

/** Two runs of one task; an adapter that makes a message of each line. */
function deps() {
  const streamed: unknown[] = []
  for (const run of ['r1', 'r2']) mkdirSync(join(dir, run), { recursive: true })
  const given = {
    store: {
      listRuns: () => [
        { id: 'r1', agent: 'own' },
        { id: 'r2', agent: 'own' },
      ],
    },
    runner: {
      dir: (id: string) => join(dir, id),
      stream: (id: string, { from }: { from: string }) => streamed.push(`${id} ${from}`),
    },
    adapters: { own: { parser: () => ({ push: (text: string) => [{ type: 'message', text }] }) } },
  }
  return { streamed, deps: given as unknown as Parameters<typeof readLogs>[0] }
}

test('logs are of the latest run or the one named, parsed or as printed', async () => {
  const { deps: given } = deps()
  writeFileSync(join(dir, 'r1', 'output.log'), 'old\n')
  writeFileSync(join(dir, 'r2', 'output.log'), 'new\n')
  writeFileSync(join(dir, 'r2', 'prompt.md'), '# Task\n')
  const lines = async (request: Partial<Parameters<typeof readLogs>[1]>): Promise<unknown[] | null> => {
    const found = readLogs(given, { task: 'T-1', of: 'output', raw: false, ...request })
    return found && all(found.lines)
  }
  expect(await lines({})).toEqual([{ type: 'message', text: 'new' }])
  expect(await lines({ raw: true })).toEqual(['new'])
  expect(await lines({ runId: 'r1' })).toEqual([{ type: 'message', text: 'old' }])
  expect(await lines({ of: 'prompt' })).toEqual(['# Task'])
  expect(await lines({ of: 'stderr' })).toEqual([])
  expect(await lines({ runId: 'r9' })).toBeNull()
})

test('a stream of what is recent begins at the start of a short log and at the end of a long one', async () => {
  const { deps: given, streamed } = deps()
  const request = { task: 'T-1', from: 'recent', raw: false, signal: new AbortController().signal } as const
  await streamRun(given, { ...request, runId: 'r1' })
  writeFileSync(join(dir, 'r2', 'output.log'), Buffer.alloc((8 << 20) + 1, 10))
  await streamRun(given, request)
  expect(streamed).toEqual(['r1 start', 'r2 now'])
})
