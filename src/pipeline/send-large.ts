/** The stage for large files, which are not cut into parcels. */
import { ignoreElements, type OperatorFunction } from 'rxjs';
import { blockBytesFor, samplePlaces } from '../delta/index.js';
import { copyRowWithDigest, DIGEST_BYTES, RowReader } from '../model/index.js';
import { MAX_SOUGHT } from '../transport/index.js';
import type { Failure, SimilarOutput } from '../workers/index.js';
import { NO_RECORDS } from './build.js';
import type { Context } from './context.js';
import { FileDelta, isDear, takerOf } from './file-delta.js';
import {
  countUnread,
  inconsistency,
  type LargeResult,
  nameOf,
  pathOf,
  type Source,
  UnreadableFile,
} from './large-file.js';
import { openLarge } from './open-large.js';
import type { LargeFile } from './parcel.js';
import type { OfferedBasis } from './peer.js';
import { GONE } from './presence.js';
import { PartsSender } from './send-parts.js';
import { stage } from './stage.js';

/**
 * Sends large files, `largeConcurrency` at once. This is more than the number of files being read, since some wait for
 * answers. It emits nothing. Files that wait for their turn hold no bytes; their directories hold entries of the budget,
 * which limits their number.
 */
export function sendLarge(context: Context): OperatorFunction<LargeFile, never> {
  const { counters, directories, flight } = context;
  const send = async (file: LargeFile): Promise<void> => {
    await sendFile(context, file).catch((error: unknown) => {
      noteUnreadable(context, file, error);
    });
    counters.large.count(1, file.sizeBytes, 0);
    directories.release(file.slot);
    flight.leave();
  };
  return (files) => files.pipe(stage(counters.large, send), ignoreElements());
}

/** Sends one file. Resolves when the server has received its row. Throws UnreadableFile. */
async function sendFile(context: Context, file: LargeFile): Promise<void> {
  const { basis, open, parts, sendLarge: rows } = context.counters;
  const source = await open.passing(() => openLarge(context, file));
  open.count(1, file.sizeBytes, 0);
  const delta = await basis.passing(() => findBasis(context, source));
  if (delta !== undefined) basis.count(1, source.formBytes, 0);
  const result = await parts.passing(() => new PartsSender(context).send(file, source, delta));
  await rows.passing(() => sendRow(context, file, result));
}

/** Sends the row of a file whose content was sent. Throws UnreadableFile if its directory is gone. */
export async function sendRow(
  context: Context,
  file: LargeFile,
  result: LargeResult,
): Promise<void> {
  const { counters, outbox, places, progress, report } = context;
  if (places.isDoubtful(file.directoryPath)) throw new UnreadableFile(GONE);
  countUnread(progress, result);
  if (result.isInconsistent) noteLarge(context, file, 'inconsistent', inconsistency(result));
  else if (result.hasChanged) noteLarge(context, file, 'changed', 'read');
  if (result.incomplete !== '') noteLarge(context, file, 'incomplete', result.incomplete);
  report.saved(pathOf(file));
  progress.filesRead += 1;
  if (result.digest.length > 0) {
    context.similar.keep(new RowReader(result.row).uid(0), result.digest, result.features);
  }
  const rows = withDigest(result);
  const slots = Uint32Array.of(file.slot);
  const rowEnds = Uint32Array.of(rows.length);
  const parcel = { slots, rows, rowEnds, ...NO_RECORDS };
  counters.sendLarge.count(1, rows.length, 0);
  await counters.sendLarge.timed(() => outbox.send(parcel));
}

/** Returns the row with the digest of its content, if it has one. */
function withDigest({ row, digest }: LargeResult): Buffer {
  if (digest.length === 0) return row;
  const final = Buffer.alloc(row.length + DIGEST_BYTES);
  return final.subarray(0, copyRowWithDigest(new RowReader(row), 0, digest, final, 0));
}

/** Records a failure of a file that could not be read. Throws any other error, which ends the backup. */
function noteUnreadable(context: Context, file: LargeFile, error: unknown): void {
  if (!(error instanceof UnreadableFile)) throw error;
  const reason = context.places.isDoubtful(file.directoryPath) ? GONE : error.reason;
  noteLarge(context, file, reason === 'ENOENT' ? 'vanished' : 'unreadable', reason);
}

/** Records and reports a failure of a large file. */
export function noteLarge(
  { report }: Context,
  file: LargeFile,
  what: Failure['what'],
  reason: string,
): void {
  report.note([{ slot: file.slot, name: nameOf(file), path: pathOf(file), what, reason }]);
}

/**
 * Returns the delta of a file, whose parts are compared with a basis: with the earlier version that the server offers, or
 * with contents that this machine remembers as more similar, as after a rotation of logs, which are sought at the server.
 * Begins to fetch the signature of the basis. Returns undefined if it has no basis, or does not
 * suit a delta. Waits for the memory of a signature, which `context.streams` limits. `PartsSender` returns it.
 */
async function findBasis(context: Context, source: Source): Promise<FileDelta | undefined> {
  const { jobs, peer, streams } = context;
  const offered = peer.basisOf(source.slot, new RowReader(source.row).name(0));
  if (source.blockBytes === undefined) {
    offered?.release();
    return undefined;
  }
  const basis = await bestBasis(context, source, offered);
  if (basis === undefined) return undefined;
  // A file under a new name, or with another time only, may be an unchanged one. Then it is hashed, and its signature is
  // not needed. A server makes one meanwhile, but of an encrypted content it can only send the bytes.
  const isMadeHere = peer.contentKeys !== undefined && !basis.hasSignature;
  const mayBeSame = (basis !== offered || isMadeHere) && source.hashFirst;
  // A server can sign ranges of contents in clear only.
  const rangeBytes = peer.contentKeys === undefined ? streams.rangeBytes : undefined;
  const { signatureBytes } = streams;
  return FileDelta.begin(basis, jobs, { signatureBytes, rangeBytes, mayBeSame });
}

/**
 * Returns the basis that is most similar to a file: the offered one, or one that is sought. Releases the offered one if it is
 * not that.
 */
async function bestBasis(
  context: Context,
  source: Source,
  offered: OfferedBasis | undefined,
): Promise<OfferedBasis | undefined> {
  const { peer, similar } = context;
  const rows = new RowReader(source.row);
  const [user, digest] = [rows.uid(0), offered?.digest];
  const isKnown = digest !== undefined && similar.knows(user, digest);
  const isDoubtful = offered !== undefined && isDear(offered) && !isKnown;
  if (!isDoubtful && (peer.isEmpty || similar.isEmpty)) return offered;
  const { features, isSimilar } = await look(context, source, isDoubtful ? offered : undefined);
  const { near, isSharing } = similar.compare(user, features, digest);
  const isNear = digest !== undefined && near.some((one) => one.equals(digest));
  if (offered !== undefined && (isKnown ? isNear : !isDoubtful || isSimilar)) return offered;
  if (near.length === 0 && isSharing === true) return offered;
  offered?.release();
  if (near.length === 0) return undefined;
  const last = isSharing === true && digest !== undefined ? [digest] : [];
  const sought = [...near.slice(0, MAX_SOUGHT - last.length), ...last];
  const found = await peer.seekBasis(source.slot, rows.name(0), Buffer.concat(sought));
  if (found === undefined) return undefined;
  // It may be the whole content below one that was sought, and the size of a delta on the content of another user would show
  // how much of it this one has guessed.
  const isOwn =
    sought.some((one) => Buffer.compare(one, found.digest) === 0) ||
    similar.knows(user, found.digest);
  if (isOwn) return found;
  found.release();
  return undefined;
}

/** Looks at stretches of a file: finds features, and compares them with a sample of `doubtful`. */
async function look(
  { counters, jobs, similar }: Context,
  { directoryPath, directory, row, sparseHead, formBytes }: Source,
  doubtful: OfferedBasis | undefined,
): Promise<SimilarOutput> {
  const sample = doubtful && sampleOf(doubtful);
  const signature =
    doubtful && sample && jobs.loadSignature(doubtful.sizeBytes, sample.signedBytes);
  try {
    const isThere = signature && (await doubtful?.fetch(true, takerOf(signature)));
    const { output, busyMs } = await jobs.run('similar', {
      directoryPath,
      directory,
      row,
      sparseHead,
      formBytes,
      gear: similar.isEmpty ? undefined : similar.gear,
      sample: isThere === true && sample ? { ...sample, signature: signature.number } : undefined,
    });
    counters.basis.count(0, 0, busyMs);
    return output;
  } finally {
    signature?.close();
  }
}

interface Sample {
  readonly spacingBytes: number;
  readonly bytes: number;
  readonly signedBytes: number;
}

/** Returns the form of a sample of a basis's signature; undefined if the basis has no signature. */
function sampleOf({ sizeBytes }: OfferedBasis): Sample | undefined {
  const blockBytes = blockBytesFor(sizeBytes);
  if (blockBytes === undefined) return undefined;
  const { places, bytes, spacingBytes } = samplePlaces(sizeBytes, blockBytes);
  return { spacingBytes, bytes, signedBytes: places.length * bytes };
}
