/**
 * Cuts the entries of directories into parcels of some hundred files or some megabytes, whichever is reached first. A
 * parcel may have entries of many directories. Each large file is sent separately.
 */
import {
  BytesBuilder,
  EntryType,
  holdsDevice,
  IDENTITY_BYTES,
  RowFlag,
  type RowReader,
  type SlotNumber,
} from '../model/index.js';
import { Wanted } from '../transport/index.js';
import type { ParcelInput } from '../workers/index.js';

export interface ParcelLimits {
  readonly parcelFiles: number;
  readonly parcelBytes: number;
  /** Maximum size of a file that is not large. */
  readonly largeBytes: number;
}

export interface LargeFile {
  readonly slot: SlotNumber;
  readonly directoryPath: Buffer;
  /** Identity of the directory. */
  readonly directory: Buffer;
  readonly row: Buffer;
  readonly sizeBytes: number;
  /** True if the server may have the content, or parts of it. The file is then hashed before it is sent. */
  readonly hashFirst: boolean;
}

export interface Parcel {
  readonly input: ParcelInput;
  /** Bytes taken from the budget: the largest of the sizes of contents, rows and paths. */
  readonly heldBytes: number;
  readonly files: number;
  /** Slots of the directories with entries in the parcel. */
  readonly slots: readonly SlotNumber[];
}

/** Work that the cutter makes from entries. */
export type Work = { readonly parcel: Parcel } | { readonly large: LargeFile };

/** Entries of one directory that must be sent. */
export interface Selection {
  readonly slot: SlotNumber;
  readonly path: Buffer;
  /** Identity of the directory. */
  readonly directory: Buffer;
  readonly rows: RowReader;
  readonly from: number;
  readonly to: number;
  /** A `Wanted` for each row; undefined if all rows are sent. */
  readonly wanted: Uint8Array | undefined;
}

/** Maximum number of rows in one parcel. Rows without contents are cheap, but not free. */
const MAX_ROWS = 2048;
/** Bytes of paths of directories after which a parcel takes no further directory. Only deep trees have that many. */
const MAX_PATH_BYTES = 1 << 20;
const ROW_HINT_BYTES = 96;

/** Returns a file of a directory. Its buffers are copies. */
function placeOf(
  { slot, path, directory }: Selection,
  row: Buffer,
): Pick<LargeFile, 'slot' | 'directoryPath' | 'directory' | 'row'> {
  const directoryPath = Buffer.from(path);
  return { slot, directoryPath, directory: Buffer.from(directory), row: Buffer.from(row) };
}

export class ParcelCutter {
  private slots: SlotNumber[] = [];
  private rows: BytesBuilder;
  private rowEnds: number[] = [];
  private paths = new BytesBuilder(1024);
  private pathEnds: number[] = [];
  private identities = new BytesBuilder(16 * IDENTITY_BYTES);
  private files = 0;
  private rowCount = 0;
  private contentBytes = 0;

  constructor(private readonly limits: ParcelLimits) {
    this.rows = this.newRows();
  }

  /**
   * Adds the wanted entries of a directory; yields every full parcel and every large file. A directory may have a
   * million entries, so the parcels are made on demand.
   */
  *add(selection: Selection): Generator<Work> {
    const { rows, wanted } = selection;
    let index = 0;
    for (let at = selection.from; at < selection.to; at += rows.rowBytes(at)) {
      const want = wanted?.[index] ?? Wanted.yes;
      index += 1;
      const isUnreadable = (rows.flags(at) & RowFlag.unreadable) !== 0;
      if (want === Wanted.no || want === Wanted.protected || isUnreadable) continue;
      const isFile = rows.type(at) === EntryType.file;
      const sizeBytes = isFile ? rows.sizeBytes(at) : 0;
      if (sizeBytes > this.limits.largeBytes || holdsDevice(rows, at)) {
        const hashFirst = want === Wanted.hashFirst;
        yield { large: { ...placeOf(selection, rows.row(at)), sizeBytes, hashFirst } };
        continue;
      }
      if (this.isFullWith(sizeBytes)) yield { parcel: this.take() };
      this.append(selection, rows.row(at));
      this.contentBytes += sizeBytes;
      if (sizeBytes > 0) this.files += 1;
    }
  }

  /** True if the cutter still holds entries of the directory. */
  isHolding(slot: SlotNumber): boolean {
    return this.slots.at(-1) === slot;
  }

  /** Returns the entries collected so far as a parcel; undefined if there are none. */
  flush(): Parcel | undefined {
    return this.slots.length === 0 ? undefined : this.take();
  }

  private isFullWith(sizeBytes: number): boolean {
    const { parcelFiles, parcelBytes } = this.limits;
    if (this.slots.length === 0) return false;
    if (this.rowCount >= MAX_ROWS || this.paths.length >= MAX_PATH_BYTES) return true;
    if (sizeBytes === 0) return false;
    return this.files >= parcelFiles || this.contentBytes + sizeBytes > parcelBytes;
  }

  private append({ slot, path, directory }: Selection, row: Buffer): void {
    if (this.slots.at(-1) !== slot) {
      this.slots.push(slot);
      this.identities.append(directory);
      this.paths.append(path);
      this.pathEnds.push(this.paths.length);
      this.rowEnds.push(this.rows.length);
    }
    this.rows.append(row);
    this.rowEnds[this.rowEnds.length - 1] = this.rows.length;
    this.rowCount += 1;
  }

  private newRows(): BytesBuilder {
    return new BytesBuilder((this.limits.parcelFiles + 16) * ROW_HINT_BYTES);
  }

  private take(): Parcel {
    const { slots, files, contentBytes } = this;
    const input: ParcelInput = {
      slots: Uint32Array.from(slots),
      rows: this.rows.take(),
      rowEnds: Uint32Array.from(this.rowEnds),
      paths: this.paths.take(),
      pathEnds: Uint32Array.from(this.pathEnds),
      identities: this.identities.take(),
      contentBytes,
    };
    this.slots = [];
    this.rows = this.newRows();
    this.rowEnds = [];
    this.paths = new BytesBuilder(1024);
    this.pathEnds = [];
    this.identities = new BytesBuilder(16 * IDENTITY_BYTES);
    this.files = 0;
    this.rowCount = 0;
    this.contentBytes = 0;
    const heldBytes = Math.max(contentBytes, input.rows.length, input.paths.length);
    return { input, heldBytes, files, slots };
  }
}
