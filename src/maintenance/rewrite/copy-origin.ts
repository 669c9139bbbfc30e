/**
 * Origin of a copied client: the file copy.json in its directory. It has the highest number of a set that copies may
 * have brought. So it shows which sets at the target are copies.
 */
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ownSetSeal, sealBefore } from '../../crypto/index.js';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { displayLine, jsonFields, NO_BYTES, type SetNumber } from '../../model/index.js';
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

/** Maximum number of sets that an error names. */
const MAX_NAMED = 5;

/**
 * Throws COPY_DIFFERS unless the source has the history of the target, and continues it. Copied sets may be missing at
 * the source if they were deleted there since. After a loss, the source may be another store than that of the last
 * copy, if it was made from a copy of that one. Then the numbers of the target's sets that it lacks are returned;
 * otherwise undefined. With `deletes` such sets are an error, since only the user knows that they may go.
 */
export function requireSameHistory(ends: Ends, deletes: boolean): SetNumber[] | undefined {
  const { source, sourceId, target, origin } = ends;
  const mine = target.sets.all();
  const other = mine.find((set) => isOther(ends, set))?.set ?? otherInChain(ends);
  if (other !== undefined) {
    const [here, there] = [target, source].map(({ sets }) => named(setsFrom(sets.all(), other)));
    const what = `set ${other} is another one at the source`;
    throw differs(`${what}: from there on the target has ${here!}, and the source ${there!}`);
  }
  const upToSet = Math.max(origin?.upToSet ?? 0, mine.at(-1)?.set ?? 0);
  const newest = source.state.readCounters().set;
  if (newest < upToSet) {
    const beyond = named(setsFrom(mine, newest + 1));
    const what = `the source shows an older state than the copy, which had set ${upToSet}`;
    throw differs(`${what}: the source ends at ${newest}, and beyond it the copy has ${beyond}`);
  }
  const gone = mine.filter(({ set }) => source.sets.find(set) === undefined);
  const isFormer = origin?.clientId === sourceId && gone.every(({ set }) => set <= origin.upToSet);
  if (isFormer || (origin === undefined && mine.length === 0)) return undefined;
  if (!mine.some(({ set, state }) => state === 'complete' && source.sets.find(set))) {
    throw differs('it was copied from another store or client, and they have no set in common');
  }
  requireSameRoots(ends);
  if (deletes && gone.length > 0) {
    const what = `the source is not the store of the last copy, and --delete would delete ${named(gone)}`;
    throw differs(`${what}: copy once without --delete, which keeps them`);
  }
  return gone.map(({ set }) => set);
}

/** True if source and target have different sets of this number. */
function isOther({ source, target }: Ends, mine: BackupSet): boolean {
  const theirs = source.sets.find(mine.set);
  if (theirs === undefined) return false;
  if (!areSame(mine, theirs) || !haveSameRoots(source, target, mine.set)) return true;
  const [seal, otherSeal] = [target.seals.ofSet(mine.set), source.seals.ofSet(mine.set)];
  const isSealed = mine.state === 'complete' && seal !== undefined;
  return isSealed && otherSeal?.equals(seal) !== true;
}

/** Returns the number of a set of the target in whose place a sealed set of the source followed another one. */
function otherInChain({ source, target }: Ends): SetNumber | undefined {
  for (const { set } of source.sets.all()) {
    const seal = source.seals.ofSet(set);
    const { previousSet, previousSeal } = sealBefore(seal ?? NO_BYTES);
    const known = target.seals.ofSet(previousSet);
    if (known !== undefined && !ownSetSeal(known).equals(previousSeal)) return previousSet;
  }
  return undefined;
}

/** Throws COPY_DIFFERS if the stores have given one number to two roots, since they went different ways. */
function requireSameRoots({ source, target }: Ends): void {
  const paths = new Map(target.sets.roots().map(({ root, path: where }) => [root, where]));
  for (const { root, path: where } of source.sets.roots()) {
    const number = target.sets.findRoot(where)?.root ?? root;
    if (number === root && paths.get(root)?.equals(where) !== false) continue;
    throw differs(`root ${root} is another one at the source`);
  }
}

function setsFrom(sets: readonly BackupSet[], first: SetNumber): BackupSet[] {
  return sets.filter(({ set }) => set >= first);
}

/** Returns the numbers of sets, with their names unless these may be sealed. */
function named(sets: readonly BackupSet[]): string {
  const shown = sets
    .slice(0, MAX_NAMED)
    .map(({ set, name, isSealed }) => (isSealed ? `${set}` : `${set} (${displayLine(name)})`));
  const more = sets.length > MAX_NAMED ? ` and ${sets.length - MAX_NAMED} more` : '';
  return sets.length === 0 ? 'no set' : `${shown.join(', ')}${more}`;
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
