/** The read stage for parcels. */
import { type OperatorFunction, tap } from 'rxjs';
import { RowReader } from '../model/index.js';
import { type ReadOutput, transferOf } from '../workers/index.js';
import type { Context } from './context.js';
import type { Parcel } from './parcel.js';
import { pathsOf } from './presence.js';
import { stage } from './stage.js';

/** Fraction of its capacity above which the memory of recent digests drops some; the server is then queried. */
const RECENT_FULL_RATIO = 0.6;

/** A parcel whose files were read. */
export interface ReadParcel extends Pick<Parcel, 'heldBytes' | 'slots'> {
  readonly output: ReadOutput;
}

/**
 * The read stage: reads and hashes the files of a parcel in one job, `readConcurrency` parcels at once. Waiting parcels
 * hold bytes of the budget. In a first backup the server lacks all contents, so the same job does the work of build too.
 * Files that have grown too large are sent to `context.grown`.
 */
export function read(context: Context): OperatorFunction<Parcel, ReadParcel> {
  return (parcels) =>
    parcels.pipe(
      stage(context.counters.read, (parcel) => readFiles(context, parcel)),
      tap({ complete: () => context.grown.complete() }),
    );
}

async function readFiles(
  context: Context,
  { input, heldBytes, slots }: Parcel,
): Promise<ReadParcel> {
  const { counters, encryption, jobs, peer, places, report, settings } = context;
  const frames = isBuiltAtOnce(context) ? context.effort.usualFrames : undefined;
  const reportSaved = report.savedOf(input);
  const paths = pathsOf(input);
  const { rows, rowEnds, pathEnds, identities } = input;
  const transfer = transferOf(rows, rowEnds, input.paths, pathEnds, identities, input.slots);
  const { rawRules, cipherChoice: crypt } = settings;
  const { keys } = encryption;
  const job = { parcel: input, frames, rawRules, crypt, keys };
  const { output: found, busyMs } = await jobs.run('read', job, transfer);
  const output = places.hashed(found, paths);
  reportSaved(output);
  const { files, readBytes, buildMs } = output;
  counters.read.count(files, readBytes, busyMs - buildMs);
  if (frames !== undefined) {
    counters.build.count(files - output.repeats, readBytes, buildMs, counters.read);
  }
  countRead(context, output);
  report.note(output.failures);
  peer.owners(output.owners);
  streamGrown(context, output);
  return { output, heldBytes, slots };
}

/** True if the server has no contents to query, and the threads remember the digests of all sent contents. */
function isBuiltAtOnce({ jobs, peer }: Context): boolean {
  const { added, capacity } = jobs.recent;
  return peer.isEmpty && added <= capacity * RECENT_FULL_RATIO;
}

function countRead({ progress }: Context, output: ReadOutput): void {
  progress.filesRead += output.files;
  progress.readBytes += output.readBytes;
  progress.holeBytes += output.holeBytes;
  progress.filesHad += output.repeats;
}

/**
 * Passes on the files that must be read like large files. Nothing waits for them, since they may need this parcel's
 * budget.
 */
function streamGrown({ directories, flight, grown }: Context, output: ReadOutput): void {
  for (const { slot, directoryPath, directory, row } of output.grown) {
    directories.hold(slot);
    flight.enter();
    const sizeBytes = new RowReader(row).sizeBytes(0);
    grown.next({
      slot,
      directoryPath: Buffer.from(directoryPath),
      directory: Buffer.from(directory),
      row: Buffer.from(row),
      sizeBytes,
      hashFirst: false,
    });
  }
}
