-- Settings that are kept with a client, and what a set's client was set to. A setting counts until it is removed.
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE set_configs (
  set_number INTEGER PRIMARY KEY,
  config     TEXT NOT NULL
);
-- Paths that are to be forgotten.
CREATE TABLE forget_requests (
  request_id  INTEGER PRIMARY KEY,
  path        BLOB NOT NULL,
  last_set    INTEGER NOT NULL,
  asked_at_ms INTEGER NOT NULL,
  due_at_ms   INTEGER NOT NULL
);
