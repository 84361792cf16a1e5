// Version 1: aggregates and their journal, the queue with its lanes, what runs left behind, the local forge.

export const foundation = `
CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  remote TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- Outlives its project: a number is never given twice.
CREATE TABLE counters (
  project TEXT PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The columns before state are copies of it for lists; state comes last so that a list never reads its pages.
CREATE TABLE tasks (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  version INTEGER NOT NULL,
  origin TEXT NOT NULL,
  is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
  -- created_at while it is open, the time of its end after that.
  sort_at INTEGER NOT NULL,
  title TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  stage TEXT NOT NULL,
  status TEXT NOT NULL,
  waiting_for TEXT,
  waiting_until REAL,
  reason_code TEXT,
  paused INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  agent TEXT,
  run_id TEXT,
  cost_usd REAL NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  since INTEGER NOT NULL,
  state TEXT NOT NULL,
  CHECK (is_open = (status NOT IN ('done', 'cancelled')))
) STRICT;
CREATE INDEX tasks_listed ON tasks (status, sort_at, n, project);
CREATE UNIQUE INDEX tasks_origin ON tasks (project, origin) WHERE is_open = 1;

CREATE TABLE task_counts (
  project TEXT NOT NULL,
  status TEXT NOT NULL,
  n INTEGER NOT NULL CHECK (n >= 0),
  PRIMARY KEY (project, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tasks_counted AFTER INSERT ON tasks BEGIN
  INSERT INTO task_counts VALUES (new.project, new.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER tasks_recounted AFTER UPDATE OF status ON tasks WHEN old.status <> new.status BEGIN
  UPDATE task_counts SET n = n - 1 WHERE project = old.project AND status = old.status;
  INSERT INTO task_counts VALUES (new.project, new.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- Which open task waits for which task.
CREATE TABLE open_dependencies (
  dependency TEXT NOT NULL,
  task TEXT NOT NULL REFERENCES tasks (id),
  PRIMARY KEY (dependency, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_dependencies_task ON open_dependencies (task);

CREATE TABLE repositories (id TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE accounts (id TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) STRICT;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  stream TEXT NOT NULL,
  id TEXT NOT NULL,
  task TEXT,
  type TEXT NOT NULL,
  v INTEGER NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  cause TEXT NOT NULL,
  correlation TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX events_task ON events (task, seq) WHERE task IS NOT NULL;
CREATE TRIGGER events_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  task TEXT NOT NULL,
  epoch INTEGER,
  effect TEXT NOT NULL,
  lane TEXT NOT NULL,
  rank REAL NOT NULL,
  run_at REAL NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'delayed', 'running', 'done', 'cancelled')),
  -- 1 until it is done or cancelled. Apart from state, so that a claim leaves the index of a task's jobs alone.
  is_live INTEGER NOT NULL DEFAULT 1,
  token INTEGER NOT NULL DEFAULT 0,
  claims INTEGER NOT NULL DEFAULT 0,
  worker TEXT,
  lease_until REAL,
  error TEXT,
  -- Only a running job has a worker and a lease (S3).
  CHECK ((state = 'running') = (worker IS NOT NULL)),
  CHECK ((state = 'running') = (lease_until IS NOT NULL)),
  CHECK (is_live = (state IN ('queued', 'delayed', 'running')))
) STRICT;
CREATE INDEX jobs_ready ON jobs (lane, rank, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (run_at) WHERE state = 'delayed';
CREATE INDEX jobs_leased ON jobs (lease_until, worker) WHERE state = 'running';
CREATE INDEX jobs_live ON jobs (task) WHERE is_live = 1;

-- A lane counts its running jobs and knows its first ready one, so that a claim looks at no job it can't take.
CREATE TABLE lanes (
  key TEXT PRIMARY KEY,
  capacity INTEGER NOT NULL,
  running INTEGER NOT NULL CHECK (running >= 0),
  head_rank REAL,
  head_id INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_open ON lanes (head_rank, head_id) WHERE running < capacity AND head_id IS NOT NULL;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  task TEXT NOT NULL REFERENCES tasks (id),
  project TEXT NOT NULL,
  stage TEXT NOT NULL,
  role TEXT NOT NULL,
  agent TEXT NOT NULL,
  model TEXT,
  attempt INTEGER NOT NULL,
  why TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  outcome TEXT,
  session_id TEXT,
  usage TEXT NOT NULL DEFAULT '{"input":0,"output":0,"cacheRead":0,"cacheWrite":0}',
  cost_usd REAL NOT NULL DEFAULT 0,
  head_sha TEXT,
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX runs_task ON runs (task);
CREATE INDEX runs_live ON runs (started_at) WHERE ended_at IS NULL;

CREATE TABLE evidence (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  task TEXT,
  project TEXT NOT NULL,
  gate TEXT NOT NULL,
  stage TEXT NOT NULL,
  sha TEXT NOT NULL,
  tree TEXT,
  config_hash TEXT NOT NULL,
  environment_id TEXT,
  result TEXT NOT NULL CHECK (result IN ('pass', 'fail', 'wait', 'unknown')),
  at INTEGER NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_task ON evidence (task) WHERE task IS NOT NULL;
CREATE INDEX evidence_tree ON evidence (tree, config_hash) WHERE tree IS NOT NULL;
CREATE INDEX evidence_project ON evidence (project, gate);

CREATE TABLE artifacts (
  n INTEGER PRIMARY KEY,
  task TEXT NOT NULL,
  run_id TEXT,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX artifacts_name ON artifacts (task, coalesce(run_id, ''), name);

CREATE TABLE intents (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('change', 'merge')),
  task TEXT NOT NULL REFERENCES tasks (id),
  key TEXT NOT NULL,
  data TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'confirmed', 'compensated', 'held')),
  opened_at INTEGER NOT NULL,
  settled_at INTEGER,
  UNIQUE (task, kind, key),
  CHECK ((state = 'open') = (settled_at IS NULL))
) STRICT;
CREATE INDEX intents_state ON intents (state) WHERE state = 'open';

CREATE TABLE idempotency (
  task TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (task, key)
) STRICT, WITHOUT ROWID;

-- What outside systems delivered, each once (S7).
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  delivery_id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  event TEXT NOT NULL,
  payload_hash TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('received', 'applied', 'failed')),
  error TEXT
) STRICT;

CREATE TABLE changes (
  project TEXT NOT NULL,
  number INTEGER NOT NULL,
  task TEXT NOT NULL,
  branch TEXT NOT NULL,
  base TEXT NOT NULL,
  head TEXT NOT NULL,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'merged', 'closed')),
  merged_sha TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (project, number),
  UNIQUE (task, project)
) STRICT;

CREATE TABLE reviews (
  project TEXT NOT NULL,
  change INTEGER NOT NULL,
  sha TEXT NOT NULL,
  by TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'request_changes')),
  text TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (project, change, sha, by),
  FOREIGN KEY (project, change) REFERENCES changes (project, number)
) STRICT;
`
