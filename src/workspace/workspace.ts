// The contract of the code's places: the mirror (engine-owned), a task's workspace (the agent's), checkouts for verification.
// Invariant: the engine never runs git inside a directory an agent can write, except inside the sandbox (S15).

import type { CommandEvidence } from '../core/verdict.ts'
import type { VerifyCommand } from '../core/policy.ts'

export type PushResult =
  | { ok: true }
  /** The ref was not where it was expected: look again. */
  | { ok: false; because: 'moved'; text: string }
  /** The remote said no (protected branch, hook, read only). */
  | { ok: false; because: 'refused'; text: string }
  | { ok: false; because: 'unreachable' | 'auth'; text: string }

export interface DiffFile {
  path: string
  /** Old path of a rename. */
  from?: string
  status: 'added' | 'modified' | 'deleted' | 'renamed' | 'mode'
  addedLines: number
  deletedLines: number
  binary: boolean
}

export interface CommitInfo {
  sha: string
  subject: string
  message: string
  authorName: string
  authorEmail: string
}

export interface MergeCommitRequest {
  tree: string
  parents: string[]
  message: string
  author: { name: string; email: string }
  committer: { name: string; email: string }
}

/** One bare repository per project, owned by the engine. All shas are full. Failures throw ExternalError (lib/errors.ts). */
export interface Mirror {
  path: string
  /** Local places an agent must not see: the registered clone, a remote that is a folder. For `SandboxRequest.masked`. */
  masked: string[]
  /** Who commits are made as: the clone's `user.name` and `user.email`, else the user's, else Orch's own. */
  identity: Identity
  /** Fetches the base branch (only) and gives its name and sha. `base` null: the remote's HEAD. Errors: empty origin, unreachable, auth. */
  fetchBase(base: string | null): Promise<{ branch: string; sha: string }>
  /** Exact refs of the remote under the given prefix, asked of the remote now. */
  remoteBranches(prefix: string): Promise<Map<string, string>>
  /** Content of a file at a commit, or null; refuses links and files above 1 MiB. */
  readFile(sha: string, path: string): Promise<string | null>
  /** Names of the regular files directly under a folder at a commit. */
  listFiles(sha: string, dir: string): Promise<string[]>
  treeOf(sha: string): Promise<string>
  mergeBase(a: string, b: string): Promise<string | null>
  isAncestor(ancestor: string, descendant: string): Promise<boolean>
  diffFiles(base: string, head: string): Promise<DiffFile[]>
  /** Unified diff text; cut at `maxBytes` with a line that says so. */
  diffText(base: string, head: string, options: { maxBytes: number; contextLines?: number }): Promise<string>
  /** Oldest first. */
  commitsBetween(base: string, head: string): Promise<CommitInfo[]>
  /** What a branch itself was since `base`, one after the other, its tip last: commits that a merge brought in are not. */
  mainline(base: string, tip: string): Promise<string[]>
  /** Whether any file of a commit holds this text, word for word. */
  holdsText(sha: string, text: string): Promise<boolean>
  /** Merges in memory. */
  mergeTree(ours: string, theirs: string): Promise<{ ok: true; tree: string } | { ok: false; files: string[] }>
  commitTree(request: MergeCommitRequest): Promise<string>
  /** Pushes with a lease: `expected` null means the branch must not exist. Never forces beyond that. */
  push(request: { sha: string; branch: string; expected: string | null }): Promise<PushResult>
  /** Deletes a remote branch if it still is at `expected`. Idempotent. Never the base. */
  deleteBranch(request: { branch: string; expected: string }): Promise<PushResult>
  /** A push to nowhere (`--dry-run`): can the user write? */
  canPush(branch: string): Promise<PushResult>
  /** Pins a commit under refs/orch/…, so that nothing a workspace borrows can vanish. */
  pin(ref: string, sha: string): Promise<void>
  /** All refs under refs/orch/. */
  listPins(): Promise<string[]>
}

/** What backups need of mirrors. Failures throw ExternalError. */
export interface WorkKeeper {
  /** Writes what lies under refs/orch/ and not at origin into a bundle; false, and no file, when that is nothing. */
  bundle(project: MirrorOf, file: string): Promise<boolean>
  /** Takes in what such a bundle holds, making the mirror if need be; gives how many refs were new. Moves none that is there. */
  take(project: MirrorOf, file: string): Promise<number>
  /** Asks the remote for the base, and gives the tasks that Orch landed on it since then (ms), each with its commit there. */
  landings(project: MirrorOf, on: { base: string | null; since: number }): Promise<Map<string, string>>
}

/**
 * What git may reach a remote with where the user gave it no way of its own: a forge's token. Null where there is none for
 * that address. May throw ExternalError when a token can't be had just now.
 */
export type LendCredential = (address: string) => Promise<{ username: string; password: string } | null>

/** Clones of Orch's own, for projects that were named by their address. Failures throw ExternalError. */
export interface ManagedClones {
  isManaged(dir: string): boolean
  /** Where the clone of a repository is or would be: by its host and path. */
  placeFor(parts: string[]): string
  /** Clones with the user's own credentials; whole or not at all. One that is there with the same address is kept. */
  make(request: { address: string; dir: string }): Promise<'made' | 'existed'>
  /** The repository is elsewhere now. Leaves other people's clones alone. */
  moveAlong(dir: string, address: string): Promise<void>
  /** Its files as they are at a commit that the mirror at `from` has; one with a person's work in it is left as it is. */
  catchUp(request: { dir: string; from: string; sha: string }): Promise<void>
  /** False, and it stays, where it is not ours or holds work of a person. */
  remove(dir: string): Promise<boolean>
}

/** The project of a mirror. */
export interface MirrorOf {
  id: string
  path: string
  remote: string
}

export interface WorkspaceRequest {
  task: string
  branch: string
  /** Where the branch starts when the workspace is new. */
  baseSha: string
  /** The branch's head when it already has one (from refs/orch/…), else null. */
  headSha: string | null
  baseBranch: string
  /** Folders that are checked out, with all root files; none or absent: everything. */
  sparse?: string[]
}

/** What the pool of checkouts should hold for a project. */
export interface StockRequest {
  /** The project's id. */
  project: string
  /** A commit near to where its tasks start. */
  sha: string
  sparse: string[]
}

/** How a place was made ready for its commands. */
export interface SetupUse {
  /** `none`: nothing to set up. `copied`: pristine products of the same inputs. `ran`: the commands, there and then. */
  how: 'none' | 'copied' | 'ran'
  /** Why products can't be reused; said once for each set of setup commands, when it is found out. */
  note: string | null
}

export interface Workspace {
  task: string
  path: string
  /** Caches, prefixes, temp files: writable, outlives runs, not part of the tree. */
  runtimeDir: string
}

export interface Collected {
  headSha: string
  /** True when uncommitted files had to be committed for the agent. */
  leftovers: boolean
  /** What the agent tried that a sandbox or the engine stopped or ignored, in sentences (moved refs, planted config …). */
  tampering: string[]
}

export interface SandboxMeans {
  kind: 'bubblewrap' | 'unshare' | 'none'
  version: string | null
  /** What stays open with this kind, in sentences; empty for bubblewrap. */
  open: string[]
  /**
   * By what a run's whole tree is ended: its pid namespace, a cgroup of its own, or (with a hole, named in `open`) a mark
   * in its environment.
   */
  ends: 'pid-namespace' | 'cgroup' | 'marker'
}

export interface SandboxRequest {
  argv: string[]
  cwd: string
  /** The complete environment of the command. */
  env: Record<string, string>
  writable: string[]
  readable: string[]
  /** Hidden besides what always is (HOME, ORCH_HOME, temp folders, /run). The most specific path of all lists wins. */
  masked?: string[]
  network: boolean
}

export interface Wrapped {
  file: string
  args: string[]
  env: Record<string, string>
  containment: SandboxMeans['ends']
}

export interface Sandbox {
  means: SandboxMeans
  /** Wraps a command; with kind `none` the command comes back as it is. */
  wrap(request: SandboxRequest): Wrapped
}

export interface CommandRun {
  commands: CommandEvidence[]
  environmentId: string
}

export interface Workspaces {
  mirror(project: { id: string; path: string; remote: string }): Promise<Mirror>
  /** Makes the task's workspace or finds it; the branch is checked out at head (or base), the base ref is up to date in it. */
  ensure(mirror: Mirror, request: WorkspaceRequest): Promise<Workspace>
  /** A fresh checkout for a reader (a reviewer): its own folder, removed with `discard`; writes there count for nothing. */
  ensureReadCopy(
    mirror: Mirror,
    request: { task: string; runId: string; sha: string; baseSha: string; baseBranch: string; sparse?: string[] },
  ): Promise<Workspace>
  /** Where a task's workspace (or a run's read copy) is; null when there is none. Touches nothing. */
  find(task: string): Workspace | null
  findReadCopy(request: { task: string; runId: string }): Workspace | null
  discard(workspace: Workspace): Promise<void>
  /**
   * Makes a workspace or a read copy ready: pristine products of setup are copied where its inputs are those of a commit
   * on the base, else the commands run in it, sandboxed. Throws ExternalError kind `setup-failed` with the output's end.
   */
  setup(
    mirror: Mirror,
    workspace: Workspace,
    request: {
      /** The commit that is checked out. */
      sha: string
      commands: string[]
      env: PlaceEnv
      network: boolean
      timeoutMs: number
      read?: string[]
      sparse?: string[]
      signal?: AbortSignal
    },
  ): Promise<SetupUse>
  /** After the run's tree is dead: commits leftovers inside the sandbox, takes the branch's commits into refs/orch/<task>/<n>. */
  collect(
    mirror: Mirror,
    workspace: Workspace,
    request: { branch: string; baseSha: string; n: string; identity: Identity; message: string },
  ): Promise<Collected>
  /** Setup and verify in an engine-owned checkout that no agent has been in, deleted afterwards. Setup failure: outcome in `commands` is never a verify failure; throws ExternalError `setup-failed`. */
  verify(mirror: Mirror, request: VerifyRequest): Promise<VerifyRun>
  /** What there is on the disk, whoever it was made for: folders of tasks, and of the runs that have a read copy in them. */
  list(): Promise<{ task: string; readCopies: string[] }[]>
  /** Saves anything uncommitted under ORCH_HOME/saved/, then removes the task's workspace. Idempotent. */
  remove(task: string): Promise<{ saved: string | null }>
  /** The environment of a run or a command: allowlist, caches and prefixes redirected into `runtimeDir`, then `set`. */
  environment(
    runtimeDir: string,
    workspace: string,
    env: PlaceEnv,
    options: { passSecrets: boolean },
  ): Record<string, string>
  /** Identity of this machine's tools and sandbox; a verdict is reused only under the same. Cheap after the first call. */
  environmentId(): Promise<string>
  /**
   * Keeps what makes places cheap: the pools of the `wanted` projects are filled, one checkout at a time and behind
   * whoever waits for a place; pools of others, products of projects that are not `known` and what a crash left go.
   * Aborted, it removes and makes nothing more. May be called again at any time.
   */
  stock(request: { wanted: StockRequest[]; known: string[]; signal: AbortSignal }): Promise<void>
  diskUse(): Promise<{ path: string; bytes: number }[]>
  sandbox: Sandbox
}

/** A verification's commands, and how its checkout was made ready. */
export interface VerifyRun extends CommandRun {
  setup: SetupUse
}

export interface PlaceEnv {
  /** Names that setup alone may see from the user's environment. */
  pass: string[]
  /** Values with placeholders {repo_dir} {runtime_dir} {cache_dir} {data_dir} {tmp_dir}. */
  set: Record<string, string>
}

export interface Identity {
  name: string
  email: string
}

export interface VerifyRequest {
  sha: string
  setup: string[]
  verify: VerifyCommand[]
  /** Paths changed against the base, for `paths` of a command; null runs all. */
  changedPaths: string[] | null
  env: PlaceEnv
  network: boolean
  /** More that commands may read although it lies under HOME (`sandbox.read`). */
  read?: string[]
  setupTimeoutMs: number
  /** Kept output of each command, in bytes, before trimming. */
  outputCapBytes: number
  sparse?: string[]
  /** Runs setup even where pristine products are at hand: a red that is looked at again. */
  runSetup?: boolean
  signal?: AbortSignal
}

/** What a user's own clone is, for `init` and `doctor`. Reads alone; never throws for what it finds there. */
export interface RepositoryFacts {
  /** Such as `2.43.0`; null when git can't be run. */
  gitVersion(): Promise<string | null>
  /** Tries in a scratch repository what Orch needs git for: what went well, and the first thing that did not. */
  tryGit(): Promise<{ tried: string[]; problem: string | null }>
  /** Root of the working copy around a folder, links followed; `text` is git's own word when there is none. */
  findRoot(dir: string): Promise<{ ok: true; root: string } | { ok: false; text: string }>
  /** Address of `origin` as the clone's configuration has it, or null. */
  originOf(root: string): Promise<string | null>
  /** Asks `origin` now for its branches. */
  probeOrigin(
    root: string,
  ): Promise<{ state: 'ok'; branches: number } | { state: 'empty' } | { state: 'failed'; text: string }>
  /** What Orch can't handle yet: where it was seen, or null. */
  unsupported(root: string): Promise<{ lfs: string | null; submodules: string | null; signatures: string | null }>
}
