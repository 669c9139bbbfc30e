/** The stage for large files, which are not cut into parcels. */
import { ignoreElements, type OperatorFunction } from 'rxjs';
import { copyRowWithDigest, DIGEST_BYTES, RowReader } from '../model/index.js';
import type { Failure } from '../workers/index.js';
import { NO_RECORDS } from './build.js';
import type { Context } from './context.js';
import { findBasis } from './find-basis.js';
import {
  countUnread,
  inconsistency,
  type LargeResult,
  nameOf,
  pathOf,
  UnreadableFile,
} from './large-file.js';
import { openLarge } from './open-large.js';
import type { LargeFile } from './parcel.js';
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
