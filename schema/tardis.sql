-- The catalog of one client: an index of what its packs hold, and nothing else. Everything in it can
-- be made anew from the packs (docs/formats.md). Version: PRAGMA user_version, set by the migrations.
--
-- Times ending in _ns are nanoseconds since 1970, in _ms milliseconds; sizes are bytes.

PRAGMA application_id = 0x54415244; -- "TARD"

-- Single values: the last commit the catalog holds, and the counters.
CREATE TABLE state (
  key   TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE roots (
  root_id      INTEGER PRIMARY KEY,
  path         BLOB NOT NULL UNIQUE,
  directory_id INTEGER NOT NULL,
  device       TEXT NOT NULL DEFAULT '' -- that it was on when a set last took it
);

CREATE TABLE backup_sets (
  set_number     INTEGER PRIMARY KEY,
  name           TEXT NOT NULL,
  -- 'unfinished' (running, or broken off), 'complete', or 'superseded' (an unfinished one after
  -- which a set of the same roots completed; not listed)
  state          TEXT NOT NULL,
  opened_at_ms   INTEGER NOT NULL, -- the server's clock
  client_time_ms INTEGER NOT NULL,
  closed_at_ms   INTEGER,
  stats          TEXT NOT NULL DEFAULT '{}', -- JSON: counts and bytes
  marks          TEXT NOT NULL DEFAULT '{}'  -- JSON: title, priority, isLocked, isExpendable, tags
);

CREATE TABLE set_roots (
  set_number INTEGER NOT NULL,
  root_id    INTEGER NOT NULL,
  PRIMARY KEY (set_number, root_id)
) WITHOUT ROWID;

-- What could not be saved in a set, or not surely.
CREATE TABLE set_notes (
  set_number   INTEGER NOT NULL,
  directory_id INTEGER NOT NULL,
  name         BLOB NOT NULL,
  what         TEXT NOT NULL, -- 'unreadable', 'vanished', 'changed'
  reason       TEXT NOT NULL,
  PRIMARY KEY (set_number, directory_id, name)
) WITHOUT ROWID;

-- A directory keeps its id when it is renamed within its root, so that nothing below it changes.
CREATE TABLE directories (
  directory_id  INTEGER PRIMARY KEY,
  root_id       INTEGER NOT NULL,
  parent_id     INTEGER NOT NULL, -- 0 for a root
  name          BLOB NOT NULL,
  inode         INTEGER NOT NULL,
  birth_time_ns INTEGER NOT NULL,
  skip_hash     BLOB              -- its listing, if that is known to be complete
);
CREATE INDEX directories_by_inode ON directories (root_id, inode);

-- Directories whose entry was closed and that were met nowhere else yet: if the set completes and
-- they were not, what is under them is closed too.
CREATE TABLE unplaced_directories (
  directory_id INTEGER PRIMARY KEY
);

-- One row for each version of a name in a directory, valid from first_set to last_set. An open row
-- (last_set NULL) is part of the head: only a change closes it. The metadata is a part of a packed row
-- (docs/formats.md, "Rows"): from the type to the inode, then a device node's number or a symlink's
-- target. They are the bytes that came over the wire, so listing and comparing cost no conversion.
CREATE TABLE entries (
  directory_id INTEGER NOT NULL,
  name         BLOB NOT NULL,
  first_set    INTEGER NOT NULL,
  last_set     INTEGER,
  type         INTEGER NOT NULL,
  flags        INTEGER NOT NULL, -- as in rows; what may change without a new version
  size_bytes   INTEGER NOT NULL,
  content_id   INTEGER, -- files that are not empty
  child_id     INTEGER, -- directories
  metadata     BLOB NOT NULL,
  PRIMARY KEY (directory_id, name, first_set)
) WITHOUT ROWID;
-- There is no index by content: "which versions hold this damaged content" may take a scan, and every
-- backup would pay for the index.

-- Names of users and groups: each holds from first_set on, until the same number's next one.
CREATE TABLE owner_names (
  is_group  INTEGER NOT NULL, -- 0: a user, 1: a group
  id        INTEGER NOT NULL,
  first_set INTEGER NOT NULL,
  name      BLOB NOT NULL, -- empty: no longer any
  PRIMARY KEY (is_group, id, first_set)
) WITHOUT ROWID;

-- Records of the packs that hold contents. pack 0: an object of its own, named by the digest.
CREATE TABLE records (
  record_id    INTEGER PRIMARY KEY,
  kind         INTEGER NOT NULL,
  pack         INTEGER NOT NULL,
  position     INTEGER NOT NULL,
  record_bytes INTEGER NOT NULL,
  raw_bytes    INTEGER NOT NULL,
  codec        INTEGER NOT NULL,
  scheme       INTEGER NOT NULL,
  epoch        INTEGER NOT NULL
);

-- Contents by digest. record_id NULL: wanted (named by an entry) but not there.
CREATE TABLE contents (
  content_id INTEGER PRIMARY KEY,
  digest     BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  record_id  INTEGER,
  offset     INTEGER NOT NULL DEFAULT 0, -- within the decoded frame
  is_damaged INTEGER NOT NULL DEFAULT 0, -- asked for again; the place is kept, it may prove sound
  basis_id   INTEGER                     -- the content it is a delta on; NULL when whole
);
-- Eight bytes of the digest find a content in a much smaller index than the whole would make.
CREATE INDEX contents_by_digest ON contents (substr(digest, 1, 8));
-- Large ones by size: a file of a size nobody has need not be hashed before it is sent.
CREATE INDEX contents_by_size ON contents (size_bytes) WHERE size_bytes > 1048576;
-- From a basis to what is a delta on it.
CREATE INDEX contents_by_basis ON contents (basis_id) WHERE basis_id IS NOT NULL;

-- Signatures of contents, from which deltas on them are made.
CREATE TABLE signatures (
  content_id INTEGER PRIMARY KEY,
  record_id  INTEGER NOT NULL
);

-- The parts of a content in parts (record kind "assembly"), in order.
CREATE TABLE content_parts (
  content_id  INTEGER NOT NULL,
  part_number INTEGER NOT NULL,
  part_id     INTEGER NOT NULL,
  PRIMARY KEY (content_id, part_number)
) WITHOUT ROWID;

-- Parts by the size of the whole file they were cut from, for resuming an upload.
CREATE TABLE part_sources (
  content_id      INTEGER PRIMARY KEY,
  file_size_bytes INTEGER NOT NULL
);
CREATE INDEX part_sources_by_size ON part_sources (file_size_bytes);

-- Of clients that encrypt: what proves that a directory, and which ones a set has, are the client's own
-- (docs/formats.md, "Seals"). Opaque here. Intervals as those of entries.
CREATE TABLE directory_seals (
  directory_id INTEGER NOT NULL,
  first_set    INTEGER NOT NULL,
  last_set     INTEGER,
  seal         BLOB NOT NULL,
  PRIMARY KEY (directory_id, first_set)
) WITHOUT ROWID;

-- Beside a skip hash: what proves that it is of that listing.
CREATE TABLE skip_seals (
  directory_id INTEGER PRIMARY KEY,
  seal         BLOB NOT NULL
);

CREATE TABLE set_seals (
  set_number INTEGER PRIMARY KEY,
  seal       BLOB NOT NULL
);

-- Packs and objects that nothing needs any more; they are deleted when nobody can be reading them.
CREATE TABLE removed_packs (
  pack          INTEGER PRIMARY KEY,
  removed_at_ms INTEGER NOT NULL -- the server's clock
);
CREATE TABLE removed_objects (
  digest        BLOB PRIMARY KEY,
  removed_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
-- How much of a pack is no content, once somebody has looked.
CREATE TABLE pack_metadata (
  pack  INTEGER PRIMARY KEY,
  bytes INTEGER NOT NULL
);

-- Settings of the server that hold for this client only.
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Paths that are to be forgotten in all sets up to one, when their time has come.
CREATE TABLE forget_requests (
  request_id  INTEGER PRIMARY KEY,
  path        BLOB NOT NULL, -- absolute; sealed as names of entries are
  last_set    INTEGER NOT NULL,
  asked_at_ms INTEGER NOT NULL, -- the clock of the store's machine
  due_at_ms   INTEGER NOT NULL
);

-- What the client of a set was set to, in its own words (sealed where it encrypts).
CREATE TABLE set_configs (
  set_number INTEGER PRIMARY KEY,
  config     TEXT NOT NULL
);
