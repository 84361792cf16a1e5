// The safeguards around runs: one supervisor each, identities of processes, ends that are whole, logins.

import { inFile, type Mutant } from './mutant.ts'

const RUNNER = 'src/agents/runner.test.ts'
const IDENTITY = 'src/lib/process-identity.test.ts'
const CREDENTIALS = 'src/agents/credentials.test.ts'

export const agentMutants: Mutant[] = [
  ...inFile(
    'src/lib/process-identity.ts',
    [IDENTITY],
    [
      {
        name: 'run-identity-start-time',
        breaks: ['S3'],
        find: 'now.startTime === identity.startTime && ',
        replace: '',
      },
      {
        name: 'run-identity-boot',
        breaks: ['S3'],
        find: ' && now.bootId === identity.bootId',
        replace: '',
      },
      {
        name: 'run-identity-zombie',
        breaks: ['S3'],
        find: "if (fields[0] === 'Z' || fields[0] === 'X') return null",
        replace: '',
      },
      {
        name: 'run-identity-name-with-parenthesis',
        breaks: ['S3'],
        find: "stat.lastIndexOf(')')",
        replace: "stat.indexOf(')')",
      },
    ],
  ),
  ...inFile(
    'src/agents/run-files.ts',
    [RUNNER, 'src/agents/run-files.test.ts'],
    [
      {
        name: 'run-claimed-once',
        breaks: ['S2'],
        find: 'linkSync(temporary, path)',
        replace: "renameSync(temporary, path)\n    writeSynced(temporary, '')",
      },
      {
        name: 'run-record-written-whole',
        breaks: ['L5'],
        find: 'writeSynced(temporary, content)\n  renameSync(temporary, path)',
        replace: 'writeSynced(path, content)',
        killers: ['src/agents/run-files.test.ts'],
      },
    ],
  ),
  ...inFile(
    'src/agents/supervisor.ts',
    [RUNNER],
    [
      {
        name: 'run-second-supervisor-leaves',
        breaks: ['S2'],
        find: 'if (!claimWhole(files.supervisor, JSON.stringify(claim))) {',
        replace: 'if (!claimWhole(files.supervisor, JSON.stringify(claim)) && startedAt < 0) {',
      },
      {
        name: 'run-early-stop-remembered',
        breaks: ['L4'],
        find: "if (run.stopped()) return { exitCode: null, signal: null, endedBy: 'cancelled' }",
        replace: '',
      },
      {
        name: 'run-tree-over-before-outcome',
        breaks: ['S15', 'S16'],
        find: 'const survivors = await killRun({ mark, root: null, containment, known: [...strays.values()], group })',
        replace: 'const survivors = [...strays.keys()].map(Number).slice(0, 0)',
        killers: ['src/agents/containment.test.ts#left in a session of its own'],
      },
      {
        name: 'run-deaf-agent-killed',
        breaks: ['L2'],
        find: 'if (performance.now() >= deadline) return endNow(',
        replace: 'if (performance.now() >= deadline + 1e9) return endNow(',
        killers: ['src/agents/containment.test.ts#ignores SIGTERM'],
        failsWith: 'Test timed out',
      },
      {
        name: 'run-dies-with-supervisor',
        breaks: ['S2'],
        find: "if (process.platform !== 'linux' || basename(spec.file) === 'bwrap') return plain",
        replace: "if (basename(spec.file) !== '') return plain",
        killers: ['src/agents/containment.test.ts#killed supervisor leaves a lost run'],
      },
      {
        name: 'run-strays-remembered',
        breaks: ['S15'],
        find: "if (spec.containment !== 'pid-namespace' && group === undefined)",
        replace: "if (spec.containment !== 'pid-namespace' && group === '')",
        killers: ['src/agents/containment.test.ts#drops its environment'],
      },
      {
        name: 'run-hang-up-ignored',
        breaks: ['L5'],
        find: "process.on('SIGHUP', () => undefined)",
        replace: '',
        killers: ['src/agents/containment.test.ts#deaf to a hang-up'],
      },
      {
        name: 'run-environment-dropped',
        breaks: ['S14', 'S15'],
        find: 'dropEnvironment(files.spec, spec)\n\n',
        replace: '\n',
      },
    ],
  ),
  ...inFile(
    'src/agents/process-tree.ts',
    ['src/agents/containment.test.ts#left in a session of its own'],
    [
      {
        name: 'run-killed-by-mark',
        breaks: ['S15'],
        find: 'listed.filter((entry) => entry.marked || entry.pid === root)',
        replace: 'listed.filter((entry) => entry.pid === root)',
        killers: ['src/agents/kill-run.test.ts'],
      },
      {
        name: 'run-mark-is-a-folder',
        breaks: ['S3'],
        find: '`\\0${environment}`.includes(`\\0${RUN_MARKER}=${mark}\\0`)',
        replace: '`\\0${environment}`.includes(`\\0${RUN_MARKER}=`)',
        killers: ['src/agents/containment.test.ts#of the same name in another place'],
      },
      {
        name: 'run-known-stray-identified',
        breaks: ['S3'],
        find: '.filter((identity) => isSameProcessAlive(identity))',
        replace: '',
        killers: ['src/agents/kill-run.test.ts'],
      },
    ],
  ),
  ...inFile(
    'src/agents/runner.ts',
    [RUNNER],
    [
      {
        name: 'run-live-by-identity',
        breaks: ['S3', 'L5'],
        find: "if (isSameProcessAlive(record)) return 'running'",
        replace: "if (identifyProcess(record.pid)) return 'running'",
        killers: ['src/agents/run-identity.test.ts'],
      },
      {
        name: 'run-outcome-wins-over-loss',
        breaks: ['L5'],
        find: "if (outcome) return 'ended'",
        replace: "if (outcome && !record) return 'ended'",
        killers: ['src/agents/run-identity.test.ts'],
      },
      {
        name: 'run-lost-run-has-nobody',
        breaks: ['S15'],
        find: "if (now === 'lost')\n      await killRun(",
        replace: "if (now === 'lost' && !record)\n      await killRun(",
        killers: ['src/agents/run-identity.test.ts'],
      },
      {
        name: 'run-stop-ends-tree',
        breaks: ['L4'],
        find: '  await killRun({ mark: markOf(folder), root: null, containment: spec?.containment, group: supervisor?.group })\n}',
        replace: '}',
        killers: ['src/agents/run-identity.test.ts'],
      },
      {
        name: 'run-first-stop-counts',
        breaks: ['S1'],
        find: 'if (!existsSync(files.stop)) writeWhole(',
        replace: 'if (files.stop) writeWhole(',
      },
      {
        name: 'run-started-once',
        breaks: ['S1'],
        find: '    if (claimed()) return\n    const { prompt',
        replace: '    const { prompt',
        killers: ['src/agents/run-identity.test.ts', RUNNER],
      },
      {
        name: 'run-id-is-a-name',
        breaks: ['S15'],
        find: 'if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(runId))',
        replace: "if (runId === '')",
      },
    ],
  ),
  ...inFile(
    'src/agents/credentials.ts',
    [CREDENTIALS],
    [
      {
        name: 'run-login-of-its-kind',
        breaks: ['S15'],
        find: 'fresh.equals(known) || !isSameKind(known, fresh)',
        replace: 'fresh.equals(known)',
      },
      {
        name: 'run-newer-login-stays',
        breaks: ['S15'],
        find: 'ours === null || ours <= theirs ||',
        replace: 'ours === null ||',
      },
    ],
  ),
  ...inFile(
    'src/surfaces/cli/inside-run.ts',
    ['src/surfaces/cli/cli.test.ts'],
    [
      {
        name: 'run-may-not-change-orch',
        breaks: ['S16'],
        find: 'if (run === null) return',
        replace: 'if (run !== "") return',
      },
      {
        name: 'run-found-by-ancestors',
        breaks: ['S16'],
        find: 'if (run) return run',
        replace: 'if (run && depth < 0) return run',
      },
    ],
  ),
  ...inFile(
    'src/agents/limits-watch.ts',
    ['src/agents/limits-watch.test.ts'],
    [
      {
        name: 'run-time-limit',
        breaks: ['L2'],
        find: "else if (now >= spec.timeLimitMs) meet('time-limit')",
        replace: '',
        killers: ['src/agents/runner.test.ts#the time limit ends a run'],
        failsWith: 'Test timed out',
      },
      {
        name: 'run-log-cap',
        breaks: ['L2'],
        find: "if (size > spec.logCapBytes) meet('flood')\n    else if",
        replace: 'if',
        killers: ['src/agents/runner.test.ts#output past the cap'],
      },
      {
        name: 'run-stall-limit',
        breaks: ['L2'],
        find: "else if (now - saidAt >= stallMs) meet('stalled')",
        replace: '',
        failsWith: 'Test timed out',
      },
      {
        name: 'run-clock-does-not-jump',
        breaks: ['S13'],
        find: 'counted += Math.min(current - last, MOST_COUNTED_MS)',
        replace: 'counted += current - last',
        killers: ['src/agents/limits-watch.test.ts#a jump of an hour'],
      },
    ],
  ),
  ...inFile(
    'src/lib/redact.ts',
    ['src/lib/redact.test.ts'],
    [
      {
        name: 'redact-known-secrets',
        breaks: ['S14'],
        find: 'for (const value of values) if (clean.includes(value))',
        replace: 'for (const value of values) if (clean === value)',
      },
      {
        name: 'redact-patterns',
        breaks: ['S14'],
        find: 'for (const kind of SECRET_KINDS) {',
        replace: 'for (const kind of SECRET_KINDS.slice(0, 0)) {',
      },
      {
        name: 'redact-keys-to-their-end',
        breaks: ['S14'],
        find: 'if (!PEM_HEADER.test(text)) return text',
        replace: 'if (text) return text',
      },
    ],
  ),
  {
    name: 'run-login-through-no-link',
    breaks: ['S15'],
    killers: [CREDENTIALS],
    edits: [
      {
        file: 'src/agents/credentials.ts',
        find: 'constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK',
        replace: 'constants.O_RDONLY | constants.O_NONBLOCK',
      },
      {
        file: 'src/agents/credentials.ts',
        find: 'const found = await lstat(path).catch(() => null)',
        replace: 'const found = await stat(path).catch(() => null)',
      },
    ],
  },
]
