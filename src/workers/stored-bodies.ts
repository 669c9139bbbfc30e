/** Describes the bodies of a job's records to the addon, so that it can read and decode them on another thread. */
import path from 'node:path';
import { isDecodedFromFile, RECORD_START_BYTES, wholeHead } from '../contents/index.js';
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
import type { KeptFile, KeptFiles } from './kept-files.js';
import type { RestoreRecord, RestoreSource } from './restore-types.js';

/** A source whose records the addon can read by itself: files, or the bytes of all records. */
type AsideSource = Exclude<RestoreSource, { readonly port: unknown }>;

/** Maximum number of bytes that are read of a record before its body. */
const MOST_HEAD_BYTES = 256 << 10;
const NO_FD = -1;

/** The records to describe, and what reads them. */
interface BodySource {
  readonly source: AsideSource;
  readonly records: readonly RestoreRecord[];
  readonly keys: ContentKeys | undefined;
}

export class StoredBodies {
  /** BODY_BYTES for each record. A record that the addon cannot decode has no descriptor. */
  readonly places: Buffer;
  /** Numbers of the records that the addon cannot decode. */
  readonly undecodable: ReadonlySet<number>;
  private readonly covered: Buffer[] = [];
  private coveredBytes = 0;
  private readonly used = new Map<string, KeptFile>();
  private readonly system: System;
  private readonly opened: KeptFiles;
  private readonly from: BodySource;
  private head: Buffer = Buffer.allocUnsafe(RECORD_START_BYTES);

  /** Reads the heads of all records. The files of the records stay open until `close`. */
  constructor(system: System, opened: KeptFiles, from: BodySource) {
    this.system = system;
    this.opened = opened;
    this.from = from;
    const { records, source } = from;
    this.places = Buffer.alloc(records.length * BODY_BYTES);
    const undecodable = new Set<number>();
    let fetchedAt = 0;
    for (const [index, record] of records.entries()) {
      const at = index * BODY_BYTES;
      let isDescribed = false;
      try {
        isDescribed =
          'stored' in source
            ? this.describeFetched(source.stored, record, { at, fetchedAt })
            : this.describeInFile(source.directory.path, record, at);
      } catch {
        // The files of this record are restored by another runner, which reports the error.
      }
      fetchedAt += record.recordBytes;
      if (isDescribed) continue;
      this.places.writeInt32LE(NO_FD, at + BodyOffset.fd);
      undecodable.add(index);
    }
    this.undecodable = undecodable;
  }

  /** Bytes that the tags of encrypted bodies cover, too. */
  get also(): Buffer {
    return Buffer.concat(this.covered);
  }

  close(): void {
    for (const file of this.used.values()) this.opened.leave(file);
    this.used.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private describeInFile(folder: string, record: RestoreRecord, at: number): boolean {
    const fd = this.fd(path.join(folder, record.object));
    return this.describe(record, {
      at,
      start: this.startOf(fd, record),
      fd,
      from: record.position,
    });
  }

  /** Describes a record that lies in the fetched bytes. */
  private describeFetched(
    stored: Uint8Array,
    record: RestoreRecord,
    { at, fetchedAt }: { readonly at: number; readonly fetchedAt: number },
  ): boolean {
    const start = bufferOf(stored).subarray(fetchedAt, fetchedAt + record.recordBytes);
    return this.describe(record, { at, start, fd: FETCHED_BODY, from: fetchedAt });
  }

  /**
   * Writes the descriptor of a record whose first bytes are `start`, to the place `at`. The record begins at `from` in its
   * file or in the fetched bytes. Returns false if the addon cannot decode it; throws if it is damaged or gone.
   */
  private describe(
    record: RestoreRecord,
    {
      at,
      start,
      fd,
      from,
    }: {
      readonly at: number;
      readonly start: Buffer;
      readonly fd: number;
      readonly from: number;
    },
  ): boolean {
    const { places } = this;
    const { native } = this.system;
    const { keys } = this.from;
    const head = wholeHead({ native, keys }, record, start);
    if (head === undefined || !isDecodedFromFile(head.header)) return false;
    const { header, cipher } = head;
    const { opening } = sealedBody(start, header, cipher);
    const bodyAt = RECORD_HEADER_BYTES + header.indexBytes;
    places.writeDoubleLE(from + bodyAt, at + BodyOffset.position);
    places.writeDoubleLE(header.bodyBytes, at + BodyOffset.storedBytes);
    places.writeUInt32LE(header.rawBytes, at + BodyOffset.decodedBytes);
    places.writeUInt32LE(header.codec, at + BodyOffset.codec);
    places.writeUInt32LE(opening?.cipher ?? NO_BODY_CIPHER, at + BodyOffset.cipher);
    places.writeInt32LE(fd, at + BodyOffset.fd);
    if (opening === undefined) return true;
    places.writeUInt32LE(this.coveredBytes, at + BodyOffset.alsoFrom);
    places.writeUInt32LE(opening.also.length, at + BodyOffset.alsoBytes);
    places.set(opening.key, at + BodyOffset.key);
    places.set(opening.nonce, at + BodyOffset.nonce);
    this.covered.push(Buffer.from(opening.also));
    this.coveredBytes += opening.also.length;
    return true;
  }

  /**
   * Returns the header of a record; with its index and the first bytes of its body, if it is encrypted: the index is
   * authenticated, and a body has at least a tag. The next call reuses the memory.
   */
  private startOf(fd: number, { position, recordBytes }: RestoreRecord): Buffer {
    const isKeyed = this.from.keys !== undefined;
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

  private fd(filePath: string): number {
    let file = this.used.get(filePath);
    if (file === undefined) {
      file = this.opened.use(filePath);
      this.used.set(filePath, file);
    }
    return file.fd;
  }
}
