// Following a run's folder: waking when something in it changes, and reading a growing log line by line.
// Invariant: a change is seen within milliseconds by the watch, within a second without it; nothing else is polled.

import { type FSWatcher, watch } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { makeLineSplitter } from './lines.ts'

/** When the watch says nothing (network file systems, exhausted watches), look again after this. */
const FALLBACK_MS = 1_000
const CHUNK_BYTES = 64 << 10

export interface Waker {
  /** Resolves at the next change since the last call, after the fallback time, or when `signal` aborts. */
  next(signal?: AbortSignal): Promise<void>
  close(): void
}

/** Watches a folder's files. Never throws: without a watch the fallback time alone wakes. */
export function makeWaker(dir: string): Waker {
  let changed = false
  let wake: (() => void) | undefined
  const onChange = (): void => {
    changed = true
    wake?.()
  }
  let watcher: FSWatcher | undefined
  try {
    watcher = watch(dir, { persistent: true }, onChange)
    watcher.on('error', () => undefined)
  } catch {
    watcher = undefined
  }
  return {
    async next(signal) {
      if (!changed && !signal?.aborted) {
        await new Promise<void>((resolve) => {
          const settle = (): void => {
            clearTimeout(timer)
            signal?.removeEventListener('abort', settle)
            wake = undefined
            resolve()
          }
          const timer = setTimeout(settle, FALLBACK_MS)
          signal?.addEventListener('abort', settle, { once: true })
          wake = settle
        })
      }
      changed = false
    },
    close() {
      watcher?.close()
      wake?.()
    },
  }
}

/** Lines of a file from its beginning to its present end, a chunk's at a time; nothing when there is no file. Bounded memory. */
export async function* readLines(path: string): AsyncGenerator<string[]> {
  const reader = makeTail(path, 0)
  try {
    yield* reader.fresh()
    yield reader.rest()
  } finally {
    await reader.close()
  }
}

export interface FollowRequest {
  dir: string
  path: string
  from: 'start' | 'now'
  /** True when nothing will be written any more. */
  ended: () => Promise<boolean>
  signal?: AbortSignal
}

/** Lines of a log as they are written, until the run has ended and everything was read, or `signal` aborts. */
export async function* followLines({ dir, path, from, ended, signal }: FollowRequest): AsyncGenerator<string> {
  const waker = makeWaker(dir)
  const tail = makeTail(path, from === 'now' ? await sizeOf(path) : 0)
  try {
    while (!signal?.aborted) {
      // Asked before reading: what was written before the end is then read for sure.
      const last = await ended()
      for await (const lines of tail.fresh()) yield* lines
      if (last) {
        yield* tail.rest()
        return
      }
      await waker.next(signal)
    }
  } finally {
    waker.close()
    await tail.close()
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}

interface Tail {
  fresh(): AsyncGenerator<string[]>
  rest(): string[]
  close(): Promise<void>
}

/** Reads what was appended since the last time. Starting inside a line skips to the next one. */
function makeTail(path: string, start: number): Tail {
  const splitter = makeLineSplitter()
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  // One byte back: a line break there says that we stand at the beginning of a line.
  let position = Math.max(0, start - 1)
  let skipping = start > 0
  let file: Awaited<ReturnType<typeof open>> | undefined
  return {
    async *fresh() {
      try {
        file ??= await open(path, 'r')
      } catch {
        return
      }
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position)
        if (bytesRead === 0) return
        position += bytesRead
        let chunk = buffer.subarray(0, bytesRead)
        if (skipping) {
          const at = chunk.indexOf(10)
          if (at < 0) continue
          skipping = false
          chunk = chunk.subarray(at + 1)
        }
        yield splitter.push(chunk)
      }
    },
    rest: () => splitter.end(),
    async close() {
      await file?.close()
      file = undefined
    },
  }
}
