// What the database's own rules hold: every UNIQUE, every CHECK of a state, the journal's triggers.

import { inFile, type Mutant } from './mutant.ts'

const CONTRACT = 'src/store/sqlite.test.ts'
const SCHEMA = 'src/store/schema.test.ts'
const FILE = 'src/store/migrations/0001-foundation.ts'

export const schemaMutants: Mutant[] = [
  ...inFile(
    FILE,
    [SCHEMA],
    [
      {
        name: 'schema-origin-unique',
        breaks: ['S7'],
        find: 'CREATE UNIQUE INDEX tasks_origin',
        replace: 'CREATE INDEX tasks_origin',
        killers: [CONTRACT],
      },
      {
        name: 'schema-origin-free-again',
        breaks: ['L4'],
        find: 'ON tasks (project, origin) WHERE is_open = 1',
        replace: 'ON tasks (project, origin)',
        killers: [CONTRACT],
      },
      {
        name: 'schema-ended-task-stays-ended',
        breaks: ['S12'],
        find: "CHECK (is_open = (status NOT IN ('done', 'cancelled')))",
        replace: 'CHECK (1)',
      },
      {
        name: 'schema-journal-not-deleted',
        breaks: ['S17'],
        find: "CREATE TRIGGER events_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;",
        replace: '',
      },
      {
        name: 'schema-journal-not-changed',
        breaks: ['S17'],
        find: "CREATE TRIGGER events_fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;",
        replace: '',
      },
      {
        name: 'schema-lane-not-negative',
        breaks: ['S6'],
        find: 'running INTEGER NOT NULL CHECK (running >= 0)',
        replace: 'running INTEGER NOT NULL',
      },
      {
        name: 'schema-run-ends-with-outcome',
        breaks: ['S10'],
        find: 'CHECK ((ended_at IS NULL) = (outcome IS NULL))',
        replace: 'CHECK (1)',
      },
      {
        name: 'schema-verdicts',
        breaks: ['S8'],
        find: "result TEXT NOT NULL CHECK (result IN ('pass', 'fail', 'wait', 'unknown'))",
        replace: 'result TEXT NOT NULL',
      },
      {
        name: 'schema-intent-settled-with-time',
        breaks: ['S9'],
        find: "CHECK ((state = 'open') = (settled_at IS NULL))",
        replace: 'CHECK (1)',
      },
      {
        name: 'schema-change-has-task',
        breaks: ['S8'],
        find: 'FOREIGN KEY (project, change) REFERENCES changes (project, number)',
        replace: 'CHECK (1)',
      },
    ],
  ),
  ...inFile(
    'src/store/migrations/0002-parked-jobs.ts',
    [SCHEMA],
    [
      {
        name: 'schema-only-running-has-worker',
        breaks: ['S3'],
        find: "CHECK ((state = 'running') = (worker IS NOT NULL)),",
        replace: '',
      },
      {
        name: 'schema-only-running-has-lease',
        breaks: ['S3'],
        find: "CHECK ((state = 'running') = (lease_until IS NOT NULL)),",
        replace: '',
      },
      {
        name: 'schema-job-is-live',
        breaks: ['L4'],
        find: "WHEN 'queued' THEN in_lane = 1 AND is_live = 1",
        replace: "WHEN 'queued' THEN in_lane = 1",
      },
      {
        name: 'schema-job-in-lane',
        breaks: ['L2'],
        find: "WHEN 'queued' THEN in_lane = 1 AND is_live = 1",
        replace: "WHEN 'queued' THEN is_live = 1",
      },
      {
        name: 'schema-job-states',
        breaks: ['L4'],
        find: 'ELSE 0 END',
        replace: 'ELSE 1 END',
      },
      {
        name: 'schema-parked-says-why',
        breaks: ['L6'],
        find: "CHECK (state <> 'parked' OR error IS NOT NULL)",
        replace: 'CHECK (1)',
      },
    ],
  ),
  // These are named by an upsert: without the index it has nothing to meet, so both go.
  {
    name: 'schema-intent-once',
    breaks: ['S9'],
    killers: [CONTRACT],
    edits: [
      { file: FILE, find: '  UNIQUE (task, kind, key),\n', replace: '' },
      {
        file: 'src/store/sqlite-commit.ts',
        find: "ON CONFLICT (task, kind, key) DO UPDATE SET data = excluded.data, state = 'open', opened_at = excluded.opened_at, settled_at = NULL\nWHERE state <> 'open'",
        replace: '',
      },
    ],
  },
  {
    name: 'schema-evidence-once',
    breaks: ['S8'],
    killers: [CONTRACT],
    edits: [
      {
        file: FILE,
        find: 'n INTEGER PRIMARY KEY,\n  id TEXT NOT NULL UNIQUE,\n  task TEXT,',
        replace: 'n INTEGER PRIMARY KEY,\n  id TEXT NOT NULL,\n  task TEXT,',
      },
      { file: 'src/store/sqlite-records.ts', find: ' ON CONFLICT (id) DO NOTHING`', replace: '`' },
    ],
  },
  {
    name: 'schema-change-of-a-task-once',
    breaks: ['S9'],
    killers: [CONTRACT],
    edits: [
      {
        file: FILE,
        find: 'PRIMARY KEY (project, number),\n  UNIQUE (task, project)',
        replace: 'PRIMARY KEY (project, number)',
      },
      {
        file: 'src/store/sqlite-records.ts',
        find: 'ON CONFLICT (task, project) DO UPDATE',
        replace: 'ON CONFLICT (project, number) DO UPDATE',
      },
    ],
  },
  {
    name: 'schema-artifact-once',
    breaks: ['S16'],
    killers: [CONTRACT],
    edits: [
      { file: FILE, find: 'CREATE UNIQUE INDEX artifacts_name', replace: 'CREATE INDEX artifacts_name' },
      {
        file: 'src/store/sqlite-records.ts',
        find: "ON CONFLICT (task, coalesce(run_id, ''), name) DO UPDATE SET path = excluded.path, bytes = excluded.bytes, at = excluded.at`",
        replace: '`',
      },
    ],
  },
]
