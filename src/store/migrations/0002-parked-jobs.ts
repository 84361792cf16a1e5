// Version 2: a job that can't be done is parked with its error; failures and what was mended are counted.

export const parkedJobs = `
CREATE TABLE jobs_2 (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  task TEXT NOT NULL,
  epoch INTEGER,
  effect TEXT NOT NULL,
  lane TEXT NOT NULL,
  rank REAL NOT NULL,
  run_at REAL NOT NULL,
  state TEXT NOT NULL,
  -- 1 while it is queued or running. Apart from state, so that a claim leaves the index of its lane alone.
  in_lane INTEGER NOT NULL,
  -- 1 until it is done or cancelled. Apart from state, so that a claim leaves the index of a task's jobs alone.
  is_live INTEGER NOT NULL DEFAULT 1,
  -- Grows with every claim.
  token INTEGER NOT NULL DEFAULT 0,
  -- How often it failed, or its worker died or fell silent. A service that was stopped does not count.
  failures INTEGER NOT NULL DEFAULT 0,
  -- 1 once its worker has lived on with it: what kills a worker at once was never renewed.
  renewed INTEGER NOT NULL DEFAULT 0,
  worker TEXT,
  lease_until REAL,
  error TEXT,
  -- Only a running job has a worker and a lease (S3).
  CHECK ((state = 'running') = (worker IS NOT NULL)),
  CHECK ((state = 'running') = (lease_until IS NOT NULL)),
  -- A CASE, because for an IN of three or more SQLite builds a table each time that it checks a row: 3 µs a write.
  CHECK (CASE state
    WHEN 'queued' THEN in_lane = 1 AND is_live = 1
    WHEN 'running' THEN in_lane = 1 AND is_live = 1
    WHEN 'delayed' THEN in_lane = 0 AND is_live = 1
    WHEN 'parked' THEN in_lane = 0 AND is_live = 1
    WHEN 'done' THEN in_lane = 0 AND is_live = 0
    WHEN 'cancelled' THEN in_lane = 0 AND is_live = 0
    ELSE 0 END),
  CHECK (state <> 'parked' OR error IS NOT NULL)
) STRICT;
INSERT INTO jobs_2 (id, kind, task, epoch, effect, lane, rank, run_at, state, in_lane, is_live, token, worker, lease_until, error)
  SELECT id, kind, task, epoch, effect, lane, rank, run_at, state, state IN ('queued', 'running'), is_live, token, worker, lease_until, error FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_2 RENAME TO jobs;
CREATE INDEX jobs_in_lane ON jobs (lane, rank, id) WHERE in_lane = 1;
CREATE INDEX jobs_due ON jobs (run_at) WHERE state = 'delayed';
CREATE INDEX jobs_leased ON jobs (lease_until, worker) WHERE state = 'running';
CREATE INDEX jobs_live ON jobs (task, epoch) WHERE is_live = 1;
CREATE INDEX jobs_parked ON jobs (id) WHERE state = 'parked';
CREATE INDEX jobs_faults ON jobs (task) WHERE error IS NOT NULL;
-- No code path writes such rows: empty indexes, so that looking for them costs nothing.
CREATE INDEX jobs_impossible ON jobs (id) WHERE state <> 'running' AND worker IS NOT NULL;
CREATE INDEX tasks_impossible ON tasks (id) WHERE status = 'queued' AND run_id IS NOT NULL;
CREATE INDEX intents_unsettled ON intents (id) WHERE state IN ('open', 'held');

-- What was found in a state that no code path leads to, and mended.
CREATE TABLE healed (
  what TEXT PRIMARY KEY,
  n INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
