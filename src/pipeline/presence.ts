/**
 * Detects roots, and file systems mounted below them, that disappear during the backup. Data that was read below such
 * a place is dropped, since its path may by then have led to another directory, often an empty one.
 */
import {
  countRows,
  EntryType,
  joinPath,
  RowFlag,
  RowReader,
  SLASH,
  type SlotNumber,
} from '../model/index.js';
import {
  type DirectoryTask,
  type Failure,
  type ReadOutput,
  packBlock,
  type ParcelInput,
  runOf,
  unpackBlock,
  type WalkOutput,
} from '../workers/index.js';

/** A directory at the top of a backed-up tree: a root, or a mount point below one. */
export interface Place {
  /** Slot of the root, a number below 0. A mount point itself may not be declared yet. */
  readonly slot: SlotNumber;
  readonly name: Uint8Array;
  readonly path: Buffer;
}

/** Checks whether places still exist, by their paths. */
export interface Presence {
  /** Adds a mount point below a root to the places. */
  enter(path: Buffer): void;
  /** Returns the places found missing since the last call. Calls lstat once for each place. */
  lost(): readonly Place[];
}

/** Presence for pipelines whose directories cannot disappear. */
export const ALWAYS_THERE: Presence = { enter: () => undefined, lost: () => [] };

const WENT_AWAY = 'it went away during the backup';
/** The error code of a file in a missing place. */
export const GONE = 'ESTALE';

export class LostPlaces {
  private readonly paths: Buffer[] = [];
  /** Slots of directories that were walked but not declared. */
  private readonly dropped = new Set<SlotNumber>();

  /** `onLost` is called for each place that disappears. */
  constructor(
    private readonly presence: Presence,
    private readonly onLost: (failures: readonly Failure[]) => void,
  ) {}

  /** Checks all places again. Returns true if any has ever disappeared. */
  private look(): boolean {
    const lost = this.presence.lost();
    for (const { path } of lost) this.paths.push(path);
    if (lost.length > 0) {
      this.onLost(lost.map((place) => ({ ...place, what: 'protected', reason: WENT_AWAY })));
    }
    return this.paths.length > 0;
  }

  private isLost(path: Uint8Array): boolean {
    return this.paths.some(
      (place) =>
        place.equals(path.subarray(0, place.length)) &&
        (path.length === place.length || path[place.length] === SLASH || place.at(-1) === SLASH),
    );
  }

  /** True if data just read from this directory may belong to another directory. */
  isDoubtful(directoryPath: Uint8Array): boolean {
    return this.look() && this.isLost(directoryPath);
  }

  /** Returns a batch of the walk without the directories in missing places. */
  async walked(
    batch: WalkOutput,
    dropNames: (held: number) => Promise<unknown>,
  ): Promise<WalkOutput> {
    this.enterMounts(batch);
    if (!this.look()) return batch;
    for (const { index, held } of batch.large) {
      if (this.isLost(runOf(batch.walked.paths, batch.walked.pathEnds, index)))
        await dropNames(held);
    }
    return this.without(batch);
  }

  private enterMounts({ walked, pending }: WalkOutput): void {
    for (const { rows, rowEnds, paths, pathEnds, slots } of [walked, pending]) {
      const reader = new RowReader(rows);
      for (let index = 0; index < slots.length; index += 1) {
        const at = index === 0 ? 0 : rowEnds[index - 1]!;
        if ((reader.flags(at) & RowFlag.otherDevice) === 0) continue;
        this.presence.enter(Buffer.from(runOf(paths, pathEnds, index)));
      }
    }
  }

  private without(batch: WalkOutput): WalkOutput {
    const tasks = unpackBlock(batch.walked);
    const failures: Failure[] = batch.failures.filter(
      ({ path, slot }) => !this.isLost(path) && !this.dropped.has(slot),
    );
    const kept: { task: DirectoryTask; index: number }[] = [];
    for (const [index, task] of tasks.entries()) {
      if (!this.isLost(task.path)) kept.push({ task, index });
      else this.drop(task, failures);
    }
    for (const { path, slot, name } of batch.failures) {
      if (this.isLost(path)) this.fail({ path, slot, name }, failures);
    }
    const pending = unpackBlock(batch.pending).filter(({ path }) => !this.isLost(path));
    const larges = batch.large.flatMap((large) => {
      const index = kept.findIndex((one) => one.index === large.index);
      return index < 0 ? [] : [{ ...large, index }];
    });
    const listings = kept.map(({ index }) => runOf(batch.listings, batch.listingEnds, index));
    let end = 0;
    return {
      ...batch,
      walked: packBlock(kept.map(({ task }) => task)),
      hashes: Buffer.concat(
        kept.map(({ index }) => batch.hashes.subarray(index * 32, index * 32 + 32)),
      ),
      listings: Buffer.concat(listings),
      listingEnds: Uint32Array.from(listings, (listing) => (end += listing.length)),
      large: larges,
      // The budget is taken and returned by directory, so only the remaining ones count.
      entries:
        listings.reduce((sum, listing) => sum + countRows(new RowReader(listing)), 0) +
        larges.reduce((sum, { entries }) => sum + entries, 0),
      pending: packBlock(pending),
      failures,
    };
  }

  private drop({ slot, parent, path, row }: DirectoryTask, failures: Failure[]): void {
    this.dropped.add(slot);
    this.fail({ path, slot: parent, name: Buffer.from(new RowReader(row).name(0)) }, failures);
  }

  /**
   * Adds a failure, unless it is that of a missing root, which was reported already. A failure in a directory that is
   * not declared is left out too, since it cannot be recorded.
   */
  private fail(what: Pick<Failure, 'path' | 'slot' | 'name'>, failures: Failure[]): void {
    if (what.slot < 0 || this.dropped.has(what.slot)) return;
    failures.push({ ...what, what: 'unreadable', reason: GONE });
  }

  /** Returns a job's result without the files in missing places. `paths` are the paths of its directories. */
  hashed(output: ReadOutput, paths: readonly Uint8Array[]): ReadOutput {
    if (!this.look() || !paths.some((path) => this.isLost(path))) return output;
    const reader = new RowReader(output.rows);
    const failures = output.failures.map((failure) =>
      this.isLost(failure.path)
        ? { ...failure, what: 'unreadable' as const, reason: GONE }
        : failure,
    );
    const rows: Buffer[] = [];
    const rowEnds = new Uint32Array(output.rowEnds.length);
    let [at, bytes] = [0, 0];
    for (const [section, end] of output.rowEnds.entries()) {
      const path = Buffer.from(paths[section]!);
      const isLost = this.isLost(path);
      for (; at < end; at += reader.rowBytes(at)) {
        const isFile = reader.type(at) === EntryType.file;
        if (isLost) {
          const name = Buffer.from(reader.name(at));
          const what = isFile ? 'unreadable' : 'incomplete';
          failures.push(unread(output.slots[section]!, path, name, what));
        }
        if (!isLost || !isFile) {
          // The listing was read in time, but not the attributes: the next backup reads them again.
          if (isLost) reader.setFlags(at, reader.flags(at) | RowFlag.unsettled);
          rows.push(reader.row(at));
          bytes += reader.rowBytes(at);
        }
      }
      rowEnds[section] = bytes;
    }
    const grown: ReadOutput['grown'][number][] = [];
    for (const file of output.grown) {
      const path = Buffer.from(file.directoryPath);
      if (this.isLost(path)) {
        const name = Buffer.from(new RowReader(file.row).name(0));
        failures.push(unread(file.slot, path, name, 'unreadable'));
      } else grown.push(file);
    }
    return { ...output, rows: Buffer.concat(rows), rowEnds, failures, grown };
  }
}

/** Returns the failure of an entry of a directory in a missing place. */
function unread(slot: SlotNumber, directory: Buffer, name: Buffer, what: Failure['what']): Failure {
  return { slot, name, path: joinPath(directory, name), what, reason: GONE };
}

/** Returns copies of a parcel's directory paths, since the originals are transferred to the job. */
export function pathsOf({ paths, pathEnds }: ParcelInput): Buffer[] {
  const copy = Buffer.from(paths);
  return Array.from(pathEnds, (end, index) =>
    copy.subarray(index === 0 ? 0 : pathEnds[index - 1], end),
  );
}
