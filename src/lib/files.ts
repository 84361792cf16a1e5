// The few calls on files that the flow makes itself, handed in as everything else of the world is.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'

/** Each rejects as its namesake of node:fs/promises does, unless it says otherwise. */
export interface Files {
  /** Makes a folder and those above it; one that is there is fine. `mode` default: what the process has. */
  makeDir(path: string, mode?: number): Promise<void>
  /** Names in a folder. */
  list(path: string): Promise<string[]>
  read(path: string): Promise<Uint8Array>
  write(path: string, bytes: Uint8Array): Promise<void>
  /** Removes a folder with all in it; one that is gone is fine. */
  removeDir(path: string): Promise<void>
}

export const diskFiles: Files = {
  makeDir: async (path, mode) => {
    await mkdir(path, { recursive: true, ...(mode === undefined ? {} : { mode }) })
  },
  list: (path) => readdir(path),
  read: (path) => readFile(path),
  write: (path, bytes) => writeFile(path, bytes),
  removeDir: (path) => rm(path, { recursive: true, force: true, maxRetries: 3 }),
}
