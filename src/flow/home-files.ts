// Which files of ORCH_HOME can't be made anew, and how one of them is put back.
// Invariant: nothing is read or written outside of ORCH_HOME, whatever a name or a link in it says.

import { createReadStream } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, readlink, rename, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../lib/errors.ts'

export type HomeFile =
  | { kind: 'file'; path: string; mode: number; content: () => AsyncIterable<Uint8Array> }
  | { kind: 'link'; path: string; target: string }

/** Kept of a run that has ended; the rest serves only the processes of a live one. */
const RUN_FILES = ['prompt.md', 'output.log', 'stderr.log']

/** Bundles of unpushed work lie in a backup, and after a restore in ORCH_HOME, under this folder. */
export const BUNDLES = 'restored-work'

/** Every file worth keeping. Logins, workspaces and what is made anew from others are left out. */
export async function* homeFiles(
  home: string,
  options: { endedRuns: readonly string[]; logs: boolean },
): AsyncGenerator<HomeFile> {
  yield* walk(home, 'config.yml')
  for (const folder of ['artifacts', 'handoffs', 'saved']) yield* walk(home, folder)
  for (const run of options.endedRuns)
    for (const name of options.logs ? RUN_FILES : RUN_FILES.slice(0, 1)) yield* walk(home, `runs/${run}/${name}`)
}

/** A file, a link, or all that is below a folder; sockets and pipes hold nothing to keep. */
async function* walk(home: string, path: string): AsyncGenerator<HomeFile> {
  const place = join(home, path)
  const found = await lstat(place).catch(() => null)
  if (found?.isSymbolicLink()) yield { kind: 'link', path, target: await readlink(place) }
  else if (found?.isFile())
    yield { kind: 'file', path, mode: found.mode & 0o777, content: () => createReadStream(place) }
  else if (found?.isDirectory())
    for (const name of (await readdir(place)).toSorted()) yield* walk(home, `${path}/${name}`)
}

/** Throws UserError(1) for a name that a backup of Orch can't hold. */
export function checkName(path: string): void {
  const [top = '', ...rest] = path.split('/')
  const known =
    top === 'config.yml' ? rest.length === 0 : ['artifacts', 'handoffs', 'saved', 'runs', BUNDLES].includes(top)
  const plain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
  if (!known || !plain)
    throw new UserError(1, 'damaged-backup', `the backup holds a file that no backup has: ${JSON.stringify(path)}`)
}

/** Whether what is there is what the backup has, byte for byte. */
export async function isSame(
  home: string,
  file: { path: string; kind: string; bytes: number },
  content: Iterable<Uint8Array>,
) {
  const place = join(home, file.path)
  const found = await lstat(place).catch(() => null)
  if (!found) return 'absent'
  if (file.kind === 'link')
    return found.isSymbolicLink() && (await readlink(place)) === Buffer.concat([...content]).toString()
      ? 'same'
      : 'other'
  if (!found.isFile() || found.size !== file.bytes) return 'other'
  await using present = await open(place, 'r')
  for (const piece of content) {
    const { buffer } = await present.read(Buffer.alloc(piece.length), 0, piece.length)
    if (Buffer.compare(buffer, piece) !== 0) return 'other'
  }
  return 'same'
}

/** Writes a file whole, or makes a link. Throws UserError when a folder on the way is a link. */
export async function putBack(
  home: string,
  file: { path: string; kind: string; mode: number },
  content: Iterable<Uint8Array>,
): Promise<void> {
  const place = join(home, file.path)
  await makeFolders(home, dirname(file.path))
  const draft = `${place}.${process.pid}.new`
  if (file.kind === 'link') await symlink(Buffer.concat([...content]).toString(), draft)
  else {
    await using handle = await open(draft, 'wx', 0o600)
    for (const piece of content) await handle.writeFile(piece)
    await handle.sync()
    await chmod(draft, file.mode & 0o777)
  }
  await rename(draft, place)
}

/** A folder that a link stands for would lead out of ORCH_HOME. */
async function makeFolders(home: string, path: string): Promise<void> {
  let place = home
  for (const part of path.split('/').filter((one) => one !== '.')) {
    place = join(place, part)
    await mkdir(place, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    if (!(await lstat(place)).isDirectory())
      throw new UserError(6, 'not-a-folder', `${place} is no folder of its own; move it away and restore again`)
  }
}
