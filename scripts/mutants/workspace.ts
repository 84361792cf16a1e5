// The safeguards of git and of places: leases, what is checked on its way in, what an agent planted, the sandbox.

import { inFile, type Mutant } from './mutant.ts'

const MIRROR = 'src/workspace/mirror.test.ts'
const ESCAPE = 'src/workspace/escape.test.ts'
const VERIFY = 'src/workspace/verify.test.ts'
const SANDBOX = 'src/workspace/sandbox.test.ts'
const WORKSPACES = 'src/workspace/workspaces.test.ts'

export const workspaceMutants: Mutant[] = [
  ...inFile(
    'src/workspace/mirror-remote.ts',
    [MIRROR],
    [
      {
        name: 'git-push-lease',
        breaks: ['S5', 'S15'],
        find: "`--force-with-lease=refs/heads/${branch}:${expected === null ? '' : safeSha(expected)}`",
        replace: "'--force'",
      },
      {
        name: 'git-base-onward-only',
        breaks: ['S5'],
        find: 'if (!onward)',
        replace: 'if (!onward && sha === expected)',
      },
      {
        name: 'git-delete-lease',
        breaks: ['S15'],
        find: '`--force-with-lease=refs/heads/${branch}:${safeSha(request.expected)}`',
        replace: "'--force'",
      },
      {
        name: 'git-base-not-deleted',
        breaks: ['S12'],
        find: "if (branch === (await knownBase(access)))\n    return { ok: false, because: 'refused', text: `${branch} is the base",
        replace: "if (branch === '')\n    return { ok: false, because: 'refused', text: `${branch} is the base",
      },
      {
        name: 'git-unreachable-is-not-refused',
        breaks: ['S13', 'S9'],
        find: "if (kind === 'unreachable' || kind === 'not-found') return { ok: false, because: 'unreachable', text }",
        replace: '',
      },
      {
        name: 'git-base-fetched-anew',
        breaks: ['S5'],
        find: 'if ((await resolve(access, tracking)) !== there) await fetchBranch(',
        replace: 'if ((await resolve(access, tracking)) === null) await fetchBranch(',
      },
    ],
  ),
  ...inFile(
    'src/workspace/mirror-read.ts',
    [MIRROR],
    [
      {
        name: 'git-conflict-is-no-merge',
        breaks: ['S5'],
        find: "if (result.outcome === 'exited' && result.exitCode === 0) return { ok: true, tree: tree.trim() }",
        replace: "if (result.outcome === 'exited' && tree) return { ok: true, tree: tree.trim() }",
      },
      {
        name: 'git-link-not-read',
        breaks: ['S16'],
        find: "if (entry.mode === '120000') throw refuse(",
        replace: "if (entry.mode === '') throw refuse(",
      },
    ],
  ),
  ...inFile(
    'src/workspace/git.ts',
    [ESCAPE, MIRROR],
    [
      {
        name: 'git-hooks-off',
        breaks: ['S15'],
        find: "'core.hooksPath=/dev/null',",
        replace: "'core.bigFileThreshold=512m',",
        killers: ['src/workspace/git.test.ts'],
      },
      {
        name: 'git-no-replaced-objects',
        breaks: ['S15', 'S5'],
        find: "    GIT_NO_REPLACE_OBJECTS: '1',\n",
        replace: '',
        killers: ['src/workspace/git.test.ts'],
      },
      {
        name: 'git-never-asks',
        breaks: ['L2'],
        find: "result['GIT_TERMINAL_PROMPT'] = '0'",
        replace: '',
        killers: ['src/workspace/git.test.ts'],
      },
      {
        name: 'git-credentials-not-told',
        breaks: ['S14'],
        find: "text.replace(/(\\b[a-z][a-z0-9+.-]*:\\/\\/)[^/\\s@]+@/gi, '$1')",
        replace: 'text',
        killers: ['src/workspace/git.test.ts', MIRROR],
      },
      {
        name: 'git-relative-path-dropped',
        breaks: ['S15'],
        find: ".filter((entry) => entry.startsWith('/'))\n  return [...new Set(entries)].join(':')",
        replace: "\n  return [...new Set(entries)].join(':')",
        killers: ['src/workspace/environment.test.ts', 'src/workspace/git.test.ts'],
      },
    ],
  ),
  ...inFile(
    'src/workspace/collect.ts',
    [ESCAPE, WORKSPACES],
    [
      {
        name: 'git-objects-checked',
        breaks: ['S15'],
        find: "options: ['-c', 'transfer.fsckObjects=true', '-c', 'fetch.fsckObjects=true'],",
        replace: 'options: [],',
        killers: ['src/workspace/escape.test.ts#forged objects'],
      },
      {
        name: 'git-broken-directory-refused',
        breaks: ['S15'],
        find: 'if (broken !== null)\n    throw notFound(',
        replace: "if (broken === '')\n    throw notFound(",
        killers: ['src/workspace/escape.test.ts#as a file'],
        failsWith: 'ENOTDIR',
      },
      {
        name: 'git-planted-things-removed',
        breaks: ['S15'],
        find: 'await cleanGitDir(gitDir, gitDirFacts(memory))',
        replace: '',
        killers: ['src/workspace/escape.test.ts#runs nothing that is planted'],
      },
      {
        name: 'git-leftovers-taken',
        breaks: ['S12'],
        find: 'state.changed.length > 0 &&',
        replace: 'state.changed.length > 1e9 &&',
        killers: [WORKSPACES],
      },
    ],
  ),
  ...inFile(
    'src/workspace/git-dir.ts',
    [ESCAPE],
    [
      {
        name: 'git-link-in-directory-refused',
        breaks: ['S15'],
        find: 'if (part?.isSymbolicLink()) return',
        replace: 'if (part?.isSymbolicLink() && !part) return',
        killers: ['src/workspace/escape.test.ts#runs nothing that is planted'],
      },
      {
        name: 'git-own-configuration-restored',
        breaks: ['S15'],
        find: "await replaceFile(path.join(gitDir, 'config'), gitDirConfig(facts))",
        replace:
          "await writeFile(path.join(gitDir, 'config'), gitDirConfig(facts), { flag: 'wx' }).catch(() => undefined)",
        killers: ['src/workspace/escape.test.ts#runs nothing that is planted'],
      },
      {
        name: 'git-alternates-restored',
        breaks: ['S15'],
        find: "await replaceFile(path.join(gitDir, 'objects/info/alternates'), `${facts.objects}\\n`)",
        replace:
          "await writeFile(path.join(gitDir, 'objects/info/alternates'), `${facts.objects}\\n`, { flag: 'wx' }).catch(() => undefined)",
        killers: ['src/workspace/escape.test.ts#runs nothing that is planted'],
        failsWith: 'Could not take the commits',
      },
    ],
  ),
  ...inFile(
    'src/workspace/owned.ts',
    [`${VERIFY}#whose process is gone`],
    [
      {
        name: 'owned-folder-of-the-dead-removed',
        breaks: ['L5'],
        find: 'isAlive === false || ',
        replace: '',
      },
      {
        name: 'owned-folder-of-the-living-stays',
        breaks: ['S3'],
        find: 'isAlive === false || ',
        replace: 'isAlive !== null || ',
      },
      {
        name: 'owned-folder-by-start-time',
        breaks: ['S3'],
        find: 'now.startTime === Number.parseInt(startTime, 36) && ',
        replace: '',
      },
      {
        name: 'owned-folder-by-boot',
        breaks: ['S3'],
        find: ' && bootTag(now.bootId) === tag',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/workspace/verify.ts',
    [VERIFY],
    [
      {
        name: 'verify-checkout-removed',
        breaks: ['S16'],
        find: '} finally {\n    await removeTree(folder)\n  }',
        replace: '} finally {\n  }',
      },
      {
        name: 'verify-abandoned-removed',
        breaks: ['L5'],
        find: 'await removeAbandoned(parent, () => true)',
        replace: '',
      },
      {
        name: 'verify-has-no-secrets',
        breaks: ['S15'],
        find: 'passSecrets: false',
        replace: 'passSecrets: true',
      },
      {
        name: 'verify-stopped-is-no-red',
        breaks: ['S13'],
        find: "const outcome = result.outcome === 'cancelled' ? 'killed' : result.outcome",
        replace:
          "const outcome = result.outcome === 'cancelled' || result.outcome === 'killed' ? 'exited' : result.outcome",
        killers: ['src/flow/dispatch.test.ts#could not be verified'],
      },
      {
        name: 'verify-inside-checkout',
        breaks: ['S15'],
        find: 'return await placeInside(tree, command.cwd)',
        replace: 'return path.join(tree, command.cwd)',
      },
    ],
  ),
  ...inFile(
    'src/workspace/commands.ts',
    [VERIFY],
    [
      {
        name: 'verify-unstarted-is-no-red',
        breaks: ['S13'],
        find: "if (result.outcome === 'exited' && (await readdir(marker)).length === 0) {",
        replace: "if (result.outcome === 'could-not-start' && (await readdir(marker)).length === 0) {",
        killers: ['src/workspace/commands.test.ts'],
      },
      {
        name: 'verify-failed-setup-is-no-red',
        breaks: ['S13'],
        find: "if (result.outcome === 'exited' && result.exitCode === 0) continue",
        replace: "if (result.outcome === 'exited') continue",
      },
    ],
  ),
  ...inFile(
    'src/workspace/mounts.ts',
    [SANDBOX],
    [
      {
        name: 'sandbox-writable-link-refused',
        breaks: ['S15'],
        find: '|| lstatSync(real).isSymbolicLink()) {',
        replace: ') {',
        killers: ['src/workspace/escape.test.ts#makes nothing else writable'],
      },
      {
        name: 'sandbox-masks',
        breaks: ['S15'],
        find: 'for (const place of request.masked) {',
        replace: 'for (const place of request.masked.slice(0, 0)) {',
      },
      {
        name: 'sandbox-specific-path-wins',
        breaks: ['S15'],
        find: 'depth(a.at) - depth(b.at) ||',
        replace: '',
      },
    ],
  ),
]
