// Version 3: projects name their tracker and forge, deliveries are kept whole until they are applied, and what was last
// seen of an issue is remembered.

export const trackers = `
-- JSON {driver, ref}; NULL: Orch's own list, Orch's own changes.
ALTER TABLE projects ADD COLUMN tracker TEXT;
ALTER TABLE projects ADD COLUMN forge TEXT;
ALTER TABLE changes ADD COLUMN url TEXT;

DROP TABLE deliveries;
-- What outside systems delivered, as it came. All that is written before it is answered; what is newer than every row of
-- deliveries has no state yet. Gone once it is settled and old. An id is never given twice.
CREATE TABLE arrivals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  event TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
-- What became of each, once (S7), under the id of its arrival.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  event TEXT NOT NULL,
  -- SHA-256 of the body: the second check, for a vendor that gives one delivery two ids.
  hash BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  -- When it is worked on (again), while it is received; for one that is being worked on, when that is given up.
  next_at INTEGER,
  -- Who works on it.
  worker TEXT,
  -- Fencing: grows with each claim.
  token INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  -- Workers that died with it.
  deaths INTEGER NOT NULL DEFAULT 0,
  -- Times a person had it applied anew.
  replays INTEGER NOT NULL DEFAULT 0,
  settled_at INTEGER,
  -- What came of it, or what went wrong last.
  note TEXT,
  UNIQUE (source, delivery_id),
  -- Not with IN, which costs each write 3 µs (as in version 2).
  CHECK (state = 'received' OR state = 'applied' OR state = 'ignored' OR state = 'rejected' OR state = 'failed'),
  CHECK ((state = 'received') = (next_at IS NOT NULL)),
  CHECK ((state = 'received') = (settled_at IS NULL)),
  CHECK (worker IS NULL OR state = 'received')
) STRICT;
CREATE INDEX deliveries_due ON deliveries (source, next_at) WHERE state = 'received';
CREATE INDEX deliveries_held ON deliveries (worker) WHERE worker IS NOT NULL;
CREATE INDEX deliveries_received ON deliveries (received_at);
CREATE INDEX deliveries_hash ON deliveries (source, hash);
-- Those without a row of their own too.
CREATE VIEW all_deliveries AS
SELECT id, source, delivery_id, event, state, received_at, next_at, failures, replays, settled_at, note FROM deliveries
UNION ALL
SELECT id, source, delivery_id, event, 'received', received_at, received_at, 0, 0, NULL, NULL FROM arrivals
WHERE id > (SELECT coalesce(max(id), 0) FROM deliveries);

-- The newest state of an issue that was applied: an older snapshot that comes late changes nothing.
CREATE TABLE seen_issues (
  project TEXT NOT NULL,
  issue TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (project, issue)
) STRICT, WITHOUT ROWID;

-- Which tasks came from one issue, ended ones too.
CREATE INDEX tasks_of_origin ON tasks (project, origin);

-- How far something was read, and what was last told where.
CREATE TABLE marks (
  project TEXT NOT NULL,
  what TEXT NOT NULL,
  value TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (project, what)
) STRICT, WITHOUT ROWID;
`
