/** The send stage for large files. */
import type { OperatorFunction } from 'rxjs';
import { copyRowWithDigest, DIGEST_BYTES, RowReader } from '../model/index.js';
import { NO_RECORDS } from './build.js';
import type { Context } from './context.js';
import { noteLarge } from './each-large-file.js';
import {
  countUnread,
  inconsistency,
  type LargeResult,
  pathOf,
  type SentFile,
  UnreadableFile,
} from './large-file.js';
import type { LargeFile } from './parcel.js';
import { GONE } from './presence.js';
import { stage } from './stage.js';

/** Sends the row of a large file once its parts are sent, and emits when the server has received the row. */
export function sendLarge(context: Context): OperatorFunction<SentFile, void> {
  return stage(context.counters.sendLarge, ({ file, result }) => sendRow(context, file, result));
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
