-- Packs and objects that nothing needs any more; they are deleted when nobody can be reading them.
CREATE TABLE removed_packs (
  pack          INTEGER PRIMARY KEY,
  removed_at_ms INTEGER NOT NULL
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
