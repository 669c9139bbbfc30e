/** Copies of the catalog in a bucket that somebody with the access key has changed, named by commits of theirs. */
import fs from 'node:fs';
import {
  buildEvent,
  type ClientDirectory,
  type SnapshotFacts,
  snapshotsOf,
} from '../../src/store/index.js';
import { applyEvent } from '../../src/store/catalog/index.js';
import { packPiece, StoreWriter } from '../../src/store/writer/index.js';
import { inlineSystem, SMALL_STORE } from './inline.js';

/** Commits the name of a copy that was changed by statements. Returns the commit at which the copy ends. */
export async function forgeSnapshot(forger: ClientDirectory, sql: string): Promise<number> {
  const system = inlineSystem();
  const store = await StoreWriter.open(system, forger, SMALL_STORE.store);
  await store.checkpoint();
  foldNow(store);
  const copy = `${forger.catalogPath}.forged`;
  fs.copyFileSync(forger.catalogPath, copy);
  const database = system.openDatabase(copy, { readonly: false });
  database.pragma('journal_mode = TRUNCATE');
  database.exec(sql);
  database.close();
  const sizeBytes = fs.statSync(copy).size;
  const place = { commit: store.commitPoint.commit, id: 'f'.repeat(16) };
  const fd = fs.openSync(copy, 'r');
  const bytes = await packPiece(system.files, { fd, at: 0, sizeBytes }, () => undefined);
  fs.closeSync(fd);
  const digest = await snapshotsOf(store.backend)!.create(place, 0, bytes);
  const facts: SnapshotFacts = { ...place, sizeBytes, usedBytes: sizeBytes, pieces: [digest] };
  const event = { type: 'snapshot', ...facts } as const;
  store.appendOwn(buildEvent(store.nextSequence(), event));
  applyEvent(store.catalog, event);
  await store.checkpoint();
  store.close();
  return place.commit;
}

/** Folds the log of a catalog that is open, behind a checkpoint. */
export function foldNow({ catalog }: StoreWriter): void {
  catalog.rollback();
  const isWhole = catalog.foldLog();
  catalog.begin();
  if (!isWhole) throw new Error('the log of the catalog stays');
}
