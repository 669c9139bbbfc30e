-- What came from accounts of the client: sets by root, contents and signatures. The client itself does not rely on it.
CREATE TABLE account_sets (
  set_number INTEGER NOT NULL,
  root_id    INTEGER NOT NULL,
  account    TEXT NOT NULL,
  PRIMARY KEY (set_number, root_id)
) WITHOUT ROWID;
CREATE TABLE unproven_contents (
  content_id INTEGER PRIMARY KEY
);
CREATE TABLE unproven_signatures (
  content_id INTEGER PRIMARY KEY
);
