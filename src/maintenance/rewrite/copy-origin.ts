/**
 * Origin of a copied client: the file copy.json in its directory. It has the highest number of a set that copies may
 * have brought. So it shows which sets at the target are copies.
 */
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { jsonFields, type SetNumber } from '../../model/index.js';
import type { BackupSet, Catalog } from '../../store/catalog/index.js';
import {
  type ClientDirectory,
  COPY_NOTE,
  readClientNote,
  writeClientNote,
} from '../../store/index.js';
import { readStart, replaceFile, type System } from '../../system/index.js';

const ORIGIN_FILE = COPY_NOTE;
const ORIGIN_VERSION = 1;
const MAX_ORIGIN_BYTES = 4096;

export interface CopyOrigin {
  /** The id in the source's `format.json`. */
  readonly clientId: string;
  /** Highest number of a set that a copy may have brought. */
  readonly upToSet: SetNumber;
  /** The last complete copy. */
  readonly done?: DoneCopy;
}

interface DoneCopy {
  /** States of source and target after this copy (`pointText`). */
  readonly source: string;
  readonly target: string;
  /** True if this copy also deleted sets that had been deleted at the source. */
  readonly deletes: boolean;
  /** True if this copy also copied marks. */
  readonly marks: boolean;
}

/**
 * Returns the origin of a client; undefined if `sonic copy` did not make the client. Throws RECORD_DAMAGED if the file
 * is damaged, STORE_NEWER if it has a newer version.
 */
export async function readOrigin(
  system: System,
  directory: ClientDirectory,
): Promise<CopyOrigin | undefined> {
  const { client, bucket } = directory;
  const file = bucket === undefined ? path.join(directory.path, ORIGIN_FILE) : ORIGIN_FILE;
  const bytes =
    bucket === undefined
      ? readStart(system.files, file, MAX_ORIGIN_BYTES)
      : await readClientNote(system, bucket, { client, name: file, maxBytes: MAX_ORIGIN_BYTES });
  const text = bytes?.toString('utf8');
  if (text === undefined) return undefined;
  const { version, clientId, upToSet, done } = jsonFields(text);
  if (typeof version === 'number' && version > ORIGIN_VERSION) {
    throw new TardisError('STORE_NEWER', `${file} has version ${version}`);
  }
  const isWhole = version === ORIGIN_VERSION && typeof clientId === 'string';
  if (isWhole && Number.isSafeInteger(upToSet)) {
    return { clientId, upToSet: upToSet as number, ...(isDone(done) ? { done } : {}) };
  }
  throw recordDamaged(`${file} is damaged: remove it, and copy again`);
}

/** Writes the origin of a client. It is durable when the promise resolves. */
export async function writeOrigin(
  system: System,
  directory: ClientDirectory,
  origin: CopyOrigin,
): Promise<void> {
  const { client, bucket } = directory;
  const bytes = Buffer.from(`${JSON.stringify({ version: ORIGIN_VERSION, ...origin })}\n`);
  if (bucket !== undefined)
    await writeClientNote(system, bucket, { client, name: ORIGIN_FILE, bytes });
  else await replaceFile(system.files, path.join(directory.path, ORIGIN_FILE), bytes);
}

/** True if the value is a complete record of the last copy. Otherwise the next copy examines all data. */
function isDone(value: unknown): value is DoneCopy {
  if (typeof value !== 'object' || value === null) return false;
  const { source, target, deletes, marks } = value as Readonly<Record<string, unknown>>;
  const areTexts = typeof source === 'string' && typeof target === 'string';
  return areTexts && typeof deletes === 'boolean' && typeof marks === 'boolean';
}

/** Source and target of a copy. */
interface Ends {
  readonly source: Catalog;
  readonly sourceId: string;
  readonly target: Catalog;
  /** Origin of the target; undefined if no copy has been made to it. */
  readonly origin: CopyOrigin | undefined;
}

/**
 * Throws COPY_DIFFERS unless the target has the history of the source up to the target's newest set. Copied sets may
 * be missing at the source if they were deleted there since.
 */
export function requireSameHistory({ source, sourceId, target, origin }: Ends): void {
  if (origin !== undefined && origin.clientId !== sourceId) {
    throw differs(
      'it was copied from another store, or another client, and only that one continues it',
    );
  }
  if (origin !== undefined && source.state.readCounters().set < origin.upToSet) {
    throw differs(`the source shows an older state than the copy: it had set ${origin.upToSet}`);
  }
  for (const mine of target.sets.all()) {
    const theirs = source.sets.find(mine.set);
    if (theirs === undefined) {
      if (origin !== undefined && mine.set <= origin.upToSet) continue;
      throw differs(`set ${mine.set} is not from the source`);
    }
    if (!areSame(mine, theirs) || !haveSameRoots(source, target, mine.set)) {
      throw differs(`set ${mine.set} is another one at the source`);
    }
    const [seal, otherSeal] = [target.seals.ofSet(mine.set), source.seals.ofSet(mine.set)];
    const isSealed = mine.state === 'complete' && seal !== undefined;
    if (isSealed && otherSeal?.equals(seal) !== true) {
      throw differs(`set ${mine.set} has another seal at the source`);
    }
  }
}

function areSame(mine: BackupSet, theirs: BackupSet): boolean {
  const isSameEnd =
    theirs.state === 'complete' &&
    mine.closedAtMs === theirs.closedAtMs &&
    isDeepStrictEqual(mine.stats, theirs.stats);
  return (
    (mine.state !== 'complete' || isSameEnd) &&
    mine.firstName === theirs.firstName &&
    mine.openedAtMs === theirs.openedAtMs &&
    mine.clientTimeMs === theirs.clientTimeMs
  );
}

function haveSameRoots(source: Catalog, target: Catalog, set: SetNumber): boolean {
  const pathsIn = ({ sets }: Catalog): string[] =>
    sets.rootsOf(set).map(({ root, path: where }) => `${root} ${where.toString('latin1')}`);
  return isDeepStrictEqual(pathsIn(target).sort(), pathsIn(source).sort());
}

/** Returns the error for a target with another history. */
export function differs(why: string): TardisError {
  return new TardisError('COPY_DIFFERS', `the target has another history than the source: ${why}`);
}
