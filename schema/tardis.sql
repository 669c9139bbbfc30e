-- The catalog of one client: an index of its packs. It can be rebuilt from the packs at any time
-- (docs/inside/formats.md). PRAGMA user_version holds its version (src/store/catalog/versions.ts).
--
-- Times ending in _ns are nanoseconds since 1970, in _ms milliseconds; sizes are bytes.

PRAGMA application_id = 0x54415244; -- "TARD"

-- Single values: the last applied commit, the counters, and others (docs/inside/formats.md, "The catalog").
CREATE TABLE state (
  key   TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE roots (
  root_id      INTEGER PRIMARY KEY,
  path         BLOB NOT NULL UNIQUE,
  directory_id INTEGER NOT NULL,
  device       TEXT NOT NULL DEFAULT '' -- the device it was on in the last set that saved it
);

CREATE TABLE backup_sets (
  set_number     INTEGER PRIMARY KEY,
  name           TEXT NOT NULL,
  -- 'unfinished' (running or interrupted), 'complete', or 'superseded' (an unfinished set all of
  -- whose roots are in a later complete set; not listed)
  state          TEXT NOT NULL,
  opened_at_ms   INTEGER NOT NULL, -- the server's clock
  client_time_ms INTEGER NOT NULL,
  closed_at_ms   INTEGER,
  stats          BLOB, -- msgpack map: counts and bytes; NULL: none
  marks          BLOB  -- msgpack map: title, priority, isLocked, isExpendable, tags; NULL: none
);

CREATE TABLE set_roots (
  set_number INTEGER NOT NULL,
  root_id    INTEGER NOT NULL,
  PRIMARY KEY (set_number, root_id)
) WITHOUT ROWID;

-- Entries of a set that could not be saved, or whose saved state is uncertain.
CREATE TABLE set_notes (
  set_number   INTEGER NOT NULL,
  directory_id INTEGER NOT NULL,
  name         BLOB NOT NULL,
  what         TEXT NOT NULL, -- 'unreadable', 'vanished', 'changed', 'incomplete', 'protected', 'inconsistent'
  reason       TEXT NOT NULL,
  PRIMARY KEY (set_number, directory_id, name)
) WITHOUT ROWID;

-- Directories. A directory that is renamed within its root keeps its id, so nothing below it changes.
CREATE TABLE directories (
  directory_id  INTEGER PRIMARY KEY,
  root_id       INTEGER NOT NULL,
  parent_id     INTEGER NOT NULL, -- 0 for a root
  name          BLOB NOT NULL,
  inode         INTEGER NOT NULL,
  birth_time_ns INTEGER NOT NULL,
  skip_hash     BLOB              -- hash of its listing; NULL if the stored listing may be incomplete
);
CREATE INDEX directories_by_inode ON directories (root_id, inode);

-- Directories whose entry was closed and that the set has not met elsewhere yet. If they are still
-- here when the set completes, the entries below them are closed too.
CREATE TABLE unplaced_directories (
  directory_id INTEGER PRIMARY KEY
);

-- One row for each version of a name in a directory, valid from first_set to last_set. An open row
-- (last_set NULL) is part of the head: only a change closes it. The metadata is a part of a packed row
-- (docs/inside/formats.md, "Rows"): from the type to the inode, then a device node's number or a symlink's
-- target. These bytes are as the client sent them, so listing and comparing need no conversion.
CREATE TABLE entries (
  directory_id INTEGER NOT NULL,
  name         BLOB NOT NULL,
  first_set    INTEGER NOT NULL,
  last_set     INTEGER,
  type         INTEGER NOT NULL,
  flags        INTEGER NOT NULL, -- as in rows; they may change without a new version
  size_bytes   INTEGER NOT NULL,
  content_id   INTEGER, -- for files that are not empty
  child_id     INTEGER, -- for directories
  metadata     BLOB NOT NULL,
  PRIMARY KEY (directory_id, name, first_set)
) WITHOUT ROWID;
-- There is no index by content. Only a search for the versions that have a damaged content would use
-- it, and that search can scan the table; each backup would have to maintain the index.

-- Names of users and groups. A name is valid from first_set until the next row of the same number.
CREATE TABLE owner_names (
  is_group  INTEGER NOT NULL, -- 0: a user, 1: a group
  id        INTEGER NOT NULL,
  first_set INTEGER NOT NULL,
  name      BLOB NOT NULL, -- empty: has no name any more
  PRIMARY KEY (is_group, id, first_set)
) WITHOUT ROWID;

-- Records that hold contents or signatures. Pack 0 stands for an object named by its digest.
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

-- Contents by digest. record_id is NULL if an entry names the content but its bytes are missing.
CREATE TABLE contents (
  content_id INTEGER PRIMARY KEY,
  digest     BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  record_id  INTEGER,
  offset     INTEGER NOT NULL DEFAULT 0, -- in the decoded frame
  is_damaged INTEGER NOT NULL DEFAULT 0, -- 1: counts as missing; the place is kept, since it may be sound
  basis_id   INTEGER                     -- the content it is a delta on; NULL if it is whole
);
-- Eight bytes of the digest make a much smaller index than the whole digest.
CREATE INDEX contents_by_digest ON contents (substr(digest, 1, 8));
-- Large contents by size: a file whose size no content has is sent without being hashed first.
CREATE INDEX contents_by_size ON contents (size_bytes) WHERE size_bytes > 1048576;
-- The deltas on a basis.
CREATE INDEX contents_by_basis ON contents (basis_id) WHERE basis_id IS NOT NULL;

-- Signatures of contents, which are needed to make deltas on them.
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

-- Parts by the size of the file that they are parts of, to resume an interrupted upload.
CREATE TABLE part_sources (
  content_id      INTEGER PRIMARY KEY,
  file_size_bytes INTEGER NOT NULL
);
CREATE INDEX part_sources_by_size ON part_sources (file_size_bytes);

-- Seals of clients that encrypt. They prove that directories, and the choice of directories in a set, are the
-- client's own (docs/inside/formats.md, "Seals"). The server cannot interpret them. Intervals are as those of entries.
CREATE TABLE directory_seals (
  directory_id INTEGER NOT NULL,
  first_set    INTEGER NOT NULL,
  last_set     INTEGER,
  seal         BLOB NOT NULL,
  PRIMARY KEY (directory_id, first_set)
) WITHOUT ROWID;

-- Seals stored with skip hashes. Each proves that the skip hash belongs to the listing.
CREATE TABLE skip_seals (
  directory_id INTEGER PRIMARY KEY,
  seal         BLOB NOT NULL
);

CREATE TABLE set_seals (
  set_number INTEGER PRIMARY KEY,
  seal       BLOB NOT NULL
);

-- Packs and objects that are no longer needed. They are deleted when no reader can be using them any more.
CREATE TABLE removed_packs (
  pack          INTEGER PRIMARY KEY,
  removed_at_ms INTEGER NOT NULL -- the server's clock
);
CREATE TABLE removed_objects (
  digest        BLOB PRIMARY KEY,
  removed_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
-- Bytes of a pack that are not contents, stored when they were first counted.
CREATE TABLE pack_metadata (
  pack  INTEGER PRIMARY KEY,
  bytes INTEGER NOT NULL
);

-- Server settings for this client only.
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Requests to delete a path from all sets up to last_set, pending until they are carried out.
CREATE TABLE forget_requests (
  request_id  INTEGER PRIMARY KEY,
  path        BLOB NOT NULL, -- absolute; sealed like the names of entries
  last_set    INTEGER NOT NULL,
  requested_at_ms INTEGER NOT NULL, -- the clock of the machine with the store
  due_at_ms   INTEGER NOT NULL
);

-- The configuration of the client that made a set, as the client reported it: a msgpack map (sealed if it encrypts).
CREATE TABLE set_configs (
  set_number INTEGER PRIMARY KEY,
  config     BLOB NOT NULL
);

-- Sets that an account of the client made, by root. A row stays when its set is deleted, since versions from
-- that set may still be open.
CREATE TABLE account_sets (
  set_number INTEGER NOT NULL,
  root_id    INTEGER NOT NULL,
  account    TEXT NOT NULL,
  PRIMARY KEY (set_number, root_id)
) WITHOUT ROWID;

-- Contents and signatures whose record was written by an account. The client does not rely on them and sends
-- them again.
CREATE TABLE unproven_contents (
  content_id INTEGER PRIMARY KEY
);
CREATE TABLE unproven_signatures (
  content_id INTEGER PRIMARY KEY
);
