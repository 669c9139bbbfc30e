-- What proves that directories and sets are the client's own, where the client encrypts.
CREATE TABLE directory_seals (
  directory_id INTEGER NOT NULL,
  first_set    INTEGER NOT NULL,
  last_set     INTEGER,
  seal         BLOB NOT NULL,
  PRIMARY KEY (directory_id, first_set)
) WITHOUT ROWID;
CREATE TABLE skip_seals (
  directory_id INTEGER PRIMARY KEY,
  seal         BLOB NOT NULL
);
CREATE TABLE set_seals (
  set_number INTEGER PRIMARY KEY,
  seal       BLOB NOT NULL
);
