-- Signatures of contents, from which deltas on them are made, and a way from a basis to what is a delta
-- on it.
CREATE TABLE signatures (
  content_id INTEGER PRIMARY KEY,
  record_id  INTEGER NOT NULL
);
CREATE INDEX contents_by_basis ON contents (basis_id) WHERE basis_id IS NOT NULL;
