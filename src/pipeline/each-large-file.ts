/** The stages for large files, which are not cut into parcels. */
import {
  catchError,
  EMPTY,
  ignoreElements,
  type Observable,
  of,
  type OperatorFunction,
  tap,
} from 'rxjs';
import type { Failure } from '../workers/index.js';
import type { Context } from './context.js';
import { nameOf, pathOf, UnreadableFile } from './large-file.js';
import type { LargeFile } from './parcel.js';
import { GONE } from './presence.js';
import { stage } from './stage.js';

/** The stages that a large file passes. */
type WayOfFile = (file: Observable<LargeFile>) => Observable<void>;

/**
 * Sends each large file through the given stages, `largeConcurrency` files at once. This is more than the number of
 * files being read, since some wait for answers. It emits nothing. Files that wait for their turn hold no bytes; their
 * directories hold entries of the budget, which limits their number.
 */
export function eachLargeFile(
  context: Context,
  way: WayOfFile,
): OperatorFunction<LargeFile, never> {
  const { counters, directories, flight } = context;
  const send = (file: LargeFile): Observable<void> =>
    way(of(file)).pipe(
      catchError((error: unknown) => {
        noteUnreadable(context, file, error);
        return EMPTY;
      }),
      tap({
        complete: () => {
          counters.large.count(1, file.sizeBytes, 0);
          directories.release(file.slot);
          flight.leave();
        },
      }),
    );
  return (files) => files.pipe(stage(counters.large, send), ignoreElements());
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
