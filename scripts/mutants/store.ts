// The store's safeguards: versions, fencing, leases, the idempotency key, the transaction itself.

import { inFile, type Mutant } from './mutant.ts'

const CONTRACT = 'src/store/sqlite.test.ts'
const JOBS = 'src/store/sqlite-jobs.test.ts'
const CONNECTION = 'src/store/sql-connection.test.ts'

export const storeMutants: Mutant[] = [
  ...inFile(
    'src/store/sqlite-commit.ts',
    [CONTRACT],
    [
      {
        name: 'store-task-version',
        breaks: ['S1'],
        find: 'SET ${SET_LINE}, version = ? WHERE id = ? AND version = ?',
        replace: 'SET ${SET_LINE}, version = ? WHERE id = ? AND (version = ? OR 1)',
      },
      {
        name: 'store-task-end-version',
        breaks: ['S1', 'S12'],
        find: 'sort_at = ? WHERE id = ? AND version = ?',
        replace: 'sort_at = ? WHERE id = ? AND (version = ? OR 1)',
      },
      {
        name: 'store-task-insert',
        breaks: ['S1'],
        find: 'ON CONFLICT (id) DO NOTHING',
        replace: 'ON CONFLICT (id) DO UPDATE SET state = excluded.state',
      },
      {
        name: 'store-repository-version',
        breaks: ['S1', 'S6'],
        find: 'UPDATE repositories SET version = ?, state = ? WHERE id = ? AND version = ?',
        replace: 'UPDATE repositories SET version = ?, state = ? WHERE id = ? AND (version = ? OR 1)',
      },
      {
        name: 'store-repository-insert',
        breaks: ['S1', 'S6'],
        find: 'INSERT INTO repositories (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO NOTHING',
        replace:
          'INSERT INTO repositories (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET state = excluded.state',
      },
      {
        name: 'store-account-version',
        breaks: ['S1', 'S10'],
        find: 'UPDATE accounts SET version = ?, state = ? WHERE id = ? AND version = ?',
        replace: 'UPDATE accounts SET version = ?, state = ? WHERE id = ? AND (version = ? OR 1)',
      },
      {
        name: 'store-account-insert',
        breaks: ['S1', 'S10'],
        find: 'INSERT INTO accounts (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO NOTHING',
        replace:
          'INSERT INTO accounts (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET state = excluded.state',
      },
      {
        name: 'store-idempotency-key',
        breaks: ['S7'],
        find: 'INSERT INTO idempotency (task, key) VALUES (?, ?) ON CONFLICT DO NOTHING',
        replace: 'INSERT INTO idempotency (task, key) VALUES (?, ?) ON CONFLICT DO UPDATE SET key = excluded.key',
      },
      {
        name: 'store-origin-duplicate-told',
        breaks: ['S7'],
        find: "if (isUniqueViolation(error)) return 'duplicate'",
        replace: '',
        failsWith: 'UNIQUE constraint failed',
      },
      {
        name: 'store-fence-ends-job',
        breaks: ['S1', 'S2'],
        find: "const owns = fence.then === 'done' ?",
        replace: "const owns = fence.then === 'done' && commit.at < 0 ?",
      },
      {
        name: 'store-fence-asked',
        breaks: ['S2'],
        find: "if (!owns) return 'stale-lease'",
        replace: '',
      },
      {
        name: 'store-refusal-undone',
        breaks: ['S1'],
        find: 'if (refusal) return undo(',
        replace: 'if (refusal) return keep(',
      },
      {
        name: 'store-commit-durable',
        breaks: ['S9'],
        find: "write('durable', () => applyCommit(sql, commit))",
        replace: "write('ordered', () => applyCommit(sql, commit))",
        killers: [JOBS],
      },
      {
        name: 'store-supersede',
        breaks: ['L4'],
        find: 'if (commit.supersede) cancelSteps(',
        replace: 'if (commit.supersede && commit.at < 0) cancelSteps(',
      },
      {
        name: 'store-run-ends-once',
        breaks: ['S10', 'S12'],
        find: 'head_sha = ? WHERE id = ? AND ended_at IS NULL',
        replace: 'head_sha = ? WHERE id = ?',
      },
      {
        name: 'store-intent-opened-once',
        breaks: ['S9'],
        find: "\nWHERE state <> 'open'",
        replace: '',
      },
      {
        name: 'store-intent-settled-once',
        breaks: ['S9'],
        find: " AND state IN ('open', 'held')",
        replace: '',
      },
      {
        name: 'store-dependencies-dropped',
        breaks: ['L4'],
        find: "sql.run('DELETE FROM open_dependencies WHERE task = ?', task.id)",
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/store/sqlite-jobs.ts',
    [CONTRACT],
    [
      {
        name: 'store-release-fenced',
        breaks: ['S2'],
        find: 'WHERE id = ?3 AND token = ?4',
        replace: 'WHERE id = ?3 AND (token = ?4 OR 1)',
      },
      {
        name: 'store-park-fenced',
        breaks: ['S2'],
        find: 'failures = failures + 1, error = ?, worker = NULL, lease_until = NULL\nWHERE id = ? AND token = ?',
        replace:
          'failures = failures + 1, error = ?, worker = NULL, lease_until = NULL\nWHERE id = ? AND (token = ? OR 1)',
      },
      {
        name: 'store-park-frees-lane',
        breaks: ['L2'],
        find: 'sql.get<{ lane: string }>(PARK, error, jobId, token)\n        if (job) gaveBack(sql, job.lane)',
        replace: 'sql.get<{ lane: string }>(PARK, error, jobId, token)',
        killers: [JOBS, CONTRACT],
      },
      {
        name: 'store-release-frees-lane',
        breaks: ['L2'],
        find: 'failed ?? null, jobId, token)\n        if (job) gaveBack(sql, job.lane)',
        replace: 'failed ?? null, jobId, token)',
        killers: [JOBS],
      },
      {
        name: 'store-reclaim-frees-lane',
        breaks: ['L2'],
        find: 'job.id)?.rank\n  gaveBack(sql, job.lane)',
        replace: 'job.id)?.rank',
        killers: [JOBS],
      },
      {
        name: 'store-poison-job-parked',
        breaks: ['L2'],
        find: "deaths >= MOST_DEATHS ? 'parked'",
        replace: "deaths >= MOST_DEATHS + 1e9 ? 'parked'",
      },
      {
        name: 'store-deaths-counted',
        breaks: ['L2'],
        find: 'job.failures + (isSuspect ? 1 : 0)',
        replace: '(isSuspect ? 1 : 0)',
      },
      {
        name: 'store-failures-counted',
        breaks: ['L2'],
        find: 'failures = failures + (?2 IS NOT NULL)',
        replace: 'failures = failures + (?2 IS NULL AND 0)',
      },
      {
        name: 'store-stop-is-no-failure',
        breaks: ['S13'],
        find: 'failures = failures + (?2 IS NOT NULL)',
        replace: 'failures = failures + 1 + (?2 IS NULL AND 0)',
      },
      {
        name: 'store-parked-step-withdrawn',
        breaks: ['L4'],
        find: "state IN ('queued', 'delayed', 'parked') AND kind",
        replace: "state IN ('queued', 'delayed') AND kind",
      },
      {
        name: 'store-renew-fenced',
        breaks: ['S2'],
        find: 'renewed = 1 WHERE id = ? AND token = ?',
        replace: 'renewed = 1 WHERE id = ? AND (token = ? OR 1)',
      },
      {
        name: 'store-finish-fenced',
        breaks: ['S2'],
        find: 'error = ?\nWHERE id = ? AND token = ?',
        replace: 'error = ?\nWHERE id = ? AND (token = ? OR 1)',
      },
      {
        name: 'store-finish-running',
        breaks: ['S2'],
        find: "error = ?\nWHERE id = ? AND token = ? AND state = 'running'",
        replace: 'error = ?\nWHERE id = ? AND token = ?',
        killers: [JOBS],
      },
      {
        name: 'store-hold-fenced',
        breaks: ['S2'],
        find: 'SELECT 1 FROM jobs WHERE id = ? AND token = ?',
        replace: 'SELECT 1 FROM jobs WHERE id = ? AND (token = ? OR 1)',
      },
      {
        name: 'store-hold-running',
        breaks: ['S2'],
        find: "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'",
        replace: 'SELECT 1 FROM jobs WHERE id = ? AND token = ?',
      },
      {
        name: 'store-lease-respected',
        breaks: ['S2'],
        find: '(lease_until <= ? OR',
        replace: '(lease_until >= -abs(?) OR',
      },
      {
        name: 'store-lease-expires',
        breaks: ['L1'],
        find: '(lease_until <= ? OR',
        replace: '(lease_until < -abs(?) OR',
      },
      {
        name: 'store-dead-worker-reclaimed',
        breaks: ['L1'],
        find: 'OR worker IN (SELECT value FROM json_each(?))',
        replace: 'OR worker = ?',
      },
      {
        name: 'store-finish-frees-lane',
        breaks: ['L2'],
        find: 'if (ended) gaveBack(',
        replace: 'if (!ended) gaveBack(',
        killers: [JOBS],
      },
      {
        name: 'store-supersede-older-only',
        breaks: ['L6'],
        find: 'AND epoch < ?',
        replace: 'AND epoch <= ?',
      },
      {
        name: 'store-delay-kept',
        breaks: ['S10'],
        find: "WHERE state = 'delayed' AND run_at <= ? ORDER BY run_at",
        replace: "WHERE state = 'delayed' AND run_at <= 1e18 + ? ORDER BY run_at",
        killers: [JOBS],
      },
    ],
  ),
  {
    name: 'store-token-grows',
    breaks: ['S2'],
    killers: [CONTRACT],
    edits: [
      { file: 'src/store/sqlite-jobs.ts', find: 'token = token + 1, renewed', replace: 'token = 1, renewed' },
      { file: 'src/store/sqlite-jobs.ts', find: 'token: job.token + 1', replace: 'token: 1' },
    ],
  },
  ...inFile(
    'src/store/sql.ts',
    [CONNECTION],
    [
      {
        name: 'store-busy-tried-again',
        breaks: ['L1'],
        find: 'if (!isBusy(error)) throw error',
        replace: 'throw error',
        failsWith: 'database is locked',
        killers: ['src/store/sqlite-processes.test.ts'],
      },
      {
        name: 'store-busy-ends',
        breaks: ['L2'],
        find: 'if (now >= deadline) {',
        replace: 'if (now >= deadline + 1e9) {',
        failsWith: 'Test timed out',
      },
      {
        name: 'store-error-rolls-back',
        breaks: ['S1'],
        find: "if (sql.inTransaction()) sql.run('ROLLBACK')",
        replace: "if (sql.inTransaction()) sql.run('COMMIT')",
        killers: [CONTRACT, JOBS],
      },
      {
        name: 'store-durability-restored',
        breaks: ['S9'],
        find: "sql.exec('PRAGMA synchronous = FULL')",
        replace: "sql.exec('PRAGMA synchronous = NORMAL')",
        killers: [JOBS],
      },
    ],
  ),
  ...inFile(
    'src/store/sql-connection.ts',
    [CONNECTION],
    [
      {
        name: 'store-newer-database-refused',
        breaks: ['S17'],
        find: 'if (version > VERSION) {',
        replace: 'if (version > VERSION + 1e9) {',
      },
      {
        name: 'store-foreign-database-refused',
        breaks: ['S15'],
        find: 'if (!isEmpty && owner !== APPLICATION_ID) {',
        replace: 'if (!isEmpty && owner === -1) {',
      },
      {
        name: 'store-foreign-keys',
        breaks: ['S9'],
        find: 'enableForeignKeyConstraints: true',
        replace: 'enableForeignKeyConstraints: false',
        killers: [JOBS],
      },
      {
        name: 'store-migrates-under-lock',
        breaks: ['S17'],
        find: 'const from = versionOf(sql)',
        replace: 'const from = 0',
        killers: [CONNECTION],
        failsWith: 'already exists',
      },
    ],
  ),
  ...inFile(
    'src/store/sqlite-heal.ts',
    ['src/flow/reconcile.test.ts', CONTRACT],
    [
      {
        name: 'store-impossible-job-mended',
        breaks: ['S3', 'L2'],
        find: "lease_until = NULL WHERE state <> 'running' AND worker IS NOT NULL",
        replace: "lease_until = NULL WHERE state <> 'running' AND worker = ''",
        failsWith: 'CHECK constraint failed',
      },
      {
        name: 'store-lane-count-mended',
        breaks: ['L2'],
        find: "sql.run('UPDATE lanes SET running = ? WHERE key = ?', running, key)",
        replace: '',
        killers: [JOBS],
      },
      {
        name: 'store-lane-head-mended',
        breaks: ['L2'],
        find: 'refreshHead(sql, key)',
        replace: '',
        killers: [JOBS],
      },
      {
        name: 'store-mended-counted',
        breaks: ['S3'],
        find: 'for (const { what, n } of mended) sql.run(COUNT, what, n, now)',
        replace: '',
      },
    ],
  ),
  ...inFile(
    'src/store/sqlite-records.ts',
    [CONTRACT],
    [
      {
        name: 'store-evidence-is-a-fact',
        breaks: ['S8'],
        find: 'ON CONFLICT (id) DO NOTHING`',
        replace: 'ON CONFLICT (id) DO UPDATE SET result = excluded.result`',
      },
      {
        name: 'store-number-given-once',
        breaks: ['S7'],
        find: 'DO UPDATE SET last = last + 1 RETURNING last',
        replace: 'DO UPDATE SET last = last RETURNING last',
      },
      {
        name: 'store-project-added-once',
        breaks: ['S7'],
        find: 'VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        replace: 'VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET path = excluded.path',
      },
    ],
  ),
  ...inFile(
    'src/store/lock.ts',
    ['src/store/lock.test.ts'],
    [
      {
        name: 'store-one-service',
        breaks: ['S6'],
        find: "database.exec('begin exclusive')",
        replace: "database.exec('begin')",
      },
    ],
  ),
]
