-- What users say of a set: another name, tags, a priority, whether it is locked or may go early. JSON.
ALTER TABLE backup_sets ADD COLUMN marks TEXT NOT NULL DEFAULT '{}';
