/** Describes the bodies of a restore job's records to the addon, so that it can read and decode them by itself. */
import path from 'node:path';
import {
  isDecodedFromFile,
  RECORD_START_BYTES,
  type RecordPlace,
  wholeHead,
} from '../contents/index.js';
import { bufferOf, type ContentKeys } from '../model/index.js';
import { readHeader, RECORD_HEADER_BYTES, sealedBody } from '../store/index.js';
import {
  BODY_BYTES,
  BODY_TAG_BYTES,
  BodyOffset,
  FETCHED_BODY,
  NO_BODY_CIPHER,
  type System,
} from '../system/index.js';
import { isNewFile, NO_RECORD, PLACE_NUMBERS, type RestoreInput } from './restore-types.js';

/** Maximum number of bytes that are read of a record before its body. */
const MOST_HEAD_BYTES = 256 << 10;
/** Maximum number of packs that a job holds open. A few jobs run at once, and a process may open few files. */
const MOST_PACKS = 16;
const NO_FD = -1;

export class StoredBodies {
  /** BODY_BYTES for each record. A record that the addon cannot decode has no descriptor. */
  readonly places: Buffer;
  private readonly covered: Buffer[] = [];
  private coveredBytes = 0;
  /** The open packs, by their paths. */
  private readonly fds = new Map<string, number>();
  private readonly keys: ContentKeys | undefined;
  private head: Buffer = Buffer.allocUnsafe(RECORD_START_BYTES);

  /** Reads the heads of the records that new files need. The packs stay open until `close`. */
  constructor(
    private readonly system: System,
    { source, records, keys, places }: RestoreInput,
  ) {
    this.keys = keys;
    this.places = Buffer.alloc(records.length * BODY_BYTES);
    const needed = recordsOfNew(places);
    let fetchedAt = 0;
    for (const [index, record] of records.entries()) {
      const at = index * BODY_BYTES;
      this.places.writeInt32LE(NO_FD, at + BodyOffset.fd);
      try {
        if (needed.has(index)) {
          if ('stored' in source) this.describeFetched(source.stored, record, { at, fetchedAt });
          if ('directory' in source) this.describeInFile(source.directory.path, record, at);
        }
      } catch {
        // The files of this record are restored one by one, which reports the error.
      }
      fetchedAt += record.recordBytes;
    }
  }

  /** Bytes that the tags of encrypted bodies cover, too. */
  get also(): Buffer {
    return Buffer.concat(this.covered);
  }

  close(): void {
    for (const fd of this.fds.values()) this.system.files.close(fd);
    this.fds.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private describeInFile(folder: string, record: RecordPlace, at: number): void {
    const fd = this.fd(path.join(folder, record.object));
    if (fd === undefined) return;
    this.describe(record, { at, start: this.startOf(fd, record), fd, from: record.position });
  }

  /** Describes a record that lies in the fetched bytes. */
  private describeFetched(
    stored: Uint8Array,
    record: RecordPlace,
    { at, fetchedAt }: { readonly at: number; readonly fetchedAt: number },
  ): void {
    const start = bufferOf(stored).subarray(fetchedAt, fetchedAt + record.recordBytes);
    this.describe(record, { at, start, fd: FETCHED_BODY, from: fetchedAt });
  }

  /**
   * Writes the descriptor of a record whose first bytes are `start`, to the place `at`, unless the addon cannot decode it. The
   * record begins at `from` in its file or in the fetched bytes. Throws if it is damaged or gone.
   */
  private describe(
    record: RecordPlace,
    {
      at,
      start,
      fd,
      from,
    }: { readonly at: number; readonly start: Buffer; readonly fd: number; readonly from: number },
  ): void {
    const { keys, places } = this;
    const { native } = this.system;
    const head = wholeHead({ native, keys }, record, start);
    if (head === undefined || !isDecodedFromFile(head.header)) return;
    const { header, cipher } = head;
    const { opening } = sealedBody(start, header, cipher);
    const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
    places.writeDoubleLE(from + bodyAt, at + BodyOffset.position);
    places.writeDoubleLE(header.bodyBytes, at + BodyOffset.storedBytes);
    places.writeUInt32LE(header.rawBytes, at + BodyOffset.decodedBytes);
    places.writeUInt32LE(header.codec, at + BodyOffset.codec);
    places.writeUInt32LE(opening?.cipher ?? NO_BODY_CIPHER, at + BodyOffset.cipher);
    places.writeInt32LE(fd, at + BodyOffset.fd);
    if (opening === undefined) return;
    places.writeUInt32LE(this.coveredBytes, at + BodyOffset.alsoFrom);
    places.writeUInt32LE(opening.also.length, at + BodyOffset.alsoBytes);
    places.set(opening.key, at + BodyOffset.key);
    places.set(opening.nonce, at + BodyOffset.nonce);
    this.covered.push(Buffer.from(opening.also));
    this.coveredBytes += opening.also.length;
  }

  /**
   * Returns the header of a record; with its index and the first bytes of its body, if it is encrypted: the index is
   * authenticated, and a body has at least a tag. The next call reuses the memory.
   */
  private startOf(fd: number, { position, recordBytes }: RecordPlace): Buffer {
    const isKeyed = this.keys !== undefined;
    const start = this.read(fd, position, isKeyed ? RECORD_START_BYTES : RECORD_HEADER_BYTES);
    if (!isKeyed) return start;
    const { indexBytes = 0 } = readHeader(start, 0) ?? {};
    const headBytes = RECORD_HEADER_BYTES + indexBytes + BODY_TAG_BYTES;
    if (headBytes <= start.length) return start;
    return this.read(fd, position, Math.min(headBytes, recordBytes, MOST_HEAD_BYTES));
  }

  private read(fd: number, position: number, bytes: number): Buffer {
    if (this.head.length < bytes) this.head = Buffer.allocUnsafe(bytes);
    return this.head.subarray(0, this.system.files.read(fd, this.head, 0, bytes, position));
  }

  /** Opens a pack; undefined if there are too many. */
  private fd(pack: string): number | undefined {
    const known = this.fds.get(pack);
    if (known !== undefined || this.fds.size === MOST_PACKS) return known;
    const fd = this.system.files.open(pack, 'read');
    this.fds.set(pack, fd);
    return fd;
  }
}

/** Returns the numbers of the records that files need which the addon may write. */
function recordsOfNew(places: Uint32Array): Set<number> {
  const records = new Set<number>();
  for (let at = 0; at < places.length; at += PLACE_NUMBERS) {
    const record = places[at + 1]!;
    if (record !== NO_RECORD && isNewFile(places[at + 3]!)) records.add(record);
  }
  return records;
}
