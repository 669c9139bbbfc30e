/**
 * The hash stage: reads and hashes all files of a parcel synchronously. A file that changes while it is read is read
 * again, up to MAX_TRIES times; then the last reading is kept and flagged. A first backup does not query the server, so
 * the same job runs the compress stage on the contents.
 */
import { systemCode } from '../errors/index.js';
import { type CryptFilter, cryptFilter } from '../excludes/index.js';
import {
  BytesBuilder,
  contentDigest,
  type ContentKeys,
  copyRowWithDigest,
  deviceOf,
  DIGEST_BYTES,
  EntryType,
  identityIn,
  joinPath,
  RowFlag,
  RowReader,
  withAttributes,
  type SlotNumber,
} from '../model/index.js';
import type { System } from '../system/index.js';
import { memoryOf, memoryOfContents, runOf } from './block-builder.js';
import { Ciphers, compressContents } from './compress-job.js';
import { ContentPlaces, mostFilesIn } from './content-places.js';
import { accessOf } from './file-access.js';
import type {
  ContentBlock,
  Failure,
  GrownFile,
  HashInput,
  HashOutput,
  JobResult,
  ParcelInput,
  RecentDigests,
} from './jobs.js';
import { ManyReads } from './many-reads.js';
import { OwnerNames } from './owner-names.js';
import { isStoredRaw, kindOfName, type RawRules } from './raw-types.js';
import { mayHaveMore, readAttributesOf } from './read-attributes.js';
import { markUnsettled, nowNs, racyFromNs } from './inspect.js';

const MAX_TRIES = 3;
/** Maximum number of bytes of the attributes of all entries of a parcel. */
const MAX_PARCEL_ATTRIBUTE_BYTES = 64 << 20;

export function hashJob(
  input: HashInput,
  system: System,
  recent: RecentDigests,
): JobResult<HashOutput> {
  const job = new HashParcel(input, system, recent);
  job.run();
  return job.result();
}

/** Buffer of this thread for contents that need not leave the thread. */
let scratch: Buffer = Buffer.alloc(0);

function contentBuffer(bytes: number, mustOwn: boolean): Buffer {
  if (mustOwn) return Buffer.allocUnsafeSlow(bytes);
  if (scratch.length < bytes) scratch = Buffer.allocUnsafeSlow(bytes);
  return scratch;
}

class HashParcel {
  private readonly rows: RowReader;
  private readonly out: BytesBuilder;
  private readonly outEnds: number[] = [];
  private readonly outSlots: SlotNumber[] = [];
  private readonly failures: Failure[] = [];
  private readonly grown: GrownFile[] = [];
  private readonly contents: Buffer;
  private readonly digests: Buffer;
  private readonly places: ContentPlaces;
  private readonly schemes: Uint8Array;
  /** Reads many files at once; undefined if each file is read by itself. */
  private readonly reads: ManyReads | undefined;
  /** Identity of the directory whose files are read. */
  private directory: Buffer = Buffer.alloc(0);
  private contentAt = 0;
  private attributeBytes = 0;
  private readonly owners: OwnerNames;
  private files = 0;
  private repeats = 0;
  private readBytes = 0;
  private holeBytes = 0;
  private readonly parcel: ParcelInput;
  private readonly frames: HashInput['frames'];
  private readonly rawRules: RawRules | undefined;
  private readonly keys: ContentKeys | undefined;
  private readonly crypt: CryptFilter | undefined;
  private readonly system: System;
  private readonly recent: RecentDigests;

  constructor(input: HashInput, system: System, recent: RecentDigests) {
    this.parcel = input.parcel;
    this.frames = input.frames;
    this.rawRules = input.rawRules;
    this.keys = input.keys;
    this.crypt = input.keys && cryptFilter(input.crypt);
    this.system = system;
    this.recent = recent;
    this.owners = new OwnerNames(system);
    this.rows = new RowReader(input.parcel.rows);
    const rowBytes = this.rows.rows.length;
    const mostFiles = mostFilesIn(rowBytes);
    this.out = new BytesBuilder(rowBytes + mostFiles * DIGEST_BYTES);
    this.contents = contentBuffer(input.parcel.contentBytes, this.frames === undefined);
    this.digests = Buffer.allocUnsafeSlow(mostFiles * DIGEST_BYTES);
    this.places = new ContentPlaces(mostFiles);
    this.schemes = new Uint8Array(mostFiles);
    const { contents, digests, places, keys, rawRules } = this;
    const isKept = this.frames !== undefined;
    const target = { rows: this.rows.rows, contents, digests, places, keys, rawRules, isKept };
    this.reads = ManyReads.of(system, target, recent);
  }

  run(): void {
    const { parcel, rows } = this;
    let at = 0;
    for (let section = 0; section < parcel.slots.length; section += 1) {
      const path = runOf(parcel.paths, parcel.pathEnds, section);
      const end = parcel.rowEnds[section]!;
      const slot = parcel.slots[section]!;
      this.directory = identityIn(parcel.identities, section);
      const directory = this.openDirectory(path);
      let isSizeKnown: boolean | undefined;
      try {
        while (at < end) {
          at = this.readMany(path, directory, at, end);
          if (at === end) break;
          const rowBytes = rows.rowBytes(at);
          const isFile = rows.type(at) === EntryType.file;
          if (isFile && rows.sizeBytes(at) === 0) isSizeKnown ??= this.reportsSizes(directory);
          if (!isFile || (rows.sizeBytes(at) === 0 && isSizeKnown === true)) {
            this.plain(slot, path, directory, at);
          } else if (typeof directory === 'number') this.file(slot, path, directory, at);
          else this.fail(slot, path, at, directory);
          at += rowBytes;
        }
      } finally {
        if (typeof directory === 'number') this.system.native.close(directory);
      }
      this.outSlots.push(slot);
      this.outEnds.push(this.out.length);
    }
  }

  /** Reads the next files in one call of the addon (see ManyReads). Returns the offset of the first row left. */
  private readMany(path: Buffer, directory: number | Error, at: number, end: number): number {
    const { reads, rows, places, crypt, out, system } = this;
    if (reads === undefined || typeof directory !== 'number' || reads.isAloneNext()) return at;
    if (rows.type(at) !== EntryType.file || rows.sizeBytes(at) === 0) return at;
    const startNs = nowNs(system);
    const firstContent = places.count;
    const room = out.reserve(end - at + mostFilesIn(end - at) * DIGEST_BYTES);
    const { buffer, at: outOffset } = room;
    const to = { out: buffer, outOffset };
    const next = reads.read(directory, { from: at, end }, to, this.contentAt);
    if (reads.files === 0) return next;
    out.commit(reads.outOffset - outOffset);
    const racyNs = racyFromNs(system, startNs);
    if (reads.mayHaveChangedSince(racyNs))
      markUnsettled(buffer.subarray(outOffset, reads.outOffset), racyNs);
    this.contentAt = reads.contentOffset;
    this.files += reads.files;
    this.repeats += reads.repeats;
    this.readBytes += reads.readBytes;
    if (crypt !== undefined) this.chooseSchemes(crypt, path, firstContent);
    return next;
  }

  /** Sets the schemes of contents from the `first` on, which are files of one directory. */
  private chooseSchemes(crypt: CryptFilter, path: Buffer, first: number): void {
    const { places, rows, schemes } = this;
    for (let index = first; index < places.count; index += 1) {
      schemes[index] = crypt.scheme(path, rows.name(places.rowOffsets[index]!)) ?? 0;
    }
  }

  /** Opens the directory of the section. Returns the error if that fails; then all of its files fail. */
  private openDirectory(path: Buffer): number | Error {
    try {
      return this.system.native.openListed(path, this.directory);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return error as Error;
    }
  }

  /**
   * True if a size of 0 means that a file is empty on this file system. Also true if the directory could not be
   * opened.
   */
  private reportsSizes(directory: number | Error): boolean {
    return typeof directory !== 'number' || this.system.native.reportsSizes(directory);
  }

  /** Adds an entry without content. */
  private plain(slot: SlotNumber, path: Buffer, directory: number | Error, at: number): void {
    const row = this.rows.row(at);
    if (typeof directory !== 'number') this.out.append(row);
    else this.out.append(this.withMore(slot, path, directory, at) ?? row);
  }

  /** Returns the row with attributes, which listings lack; undefined if there are none. */
  private withMore(
    slot: SlotNumber,
    path: Buffer,
    directory: number,
    at: number,
  ): Buffer | undefined {
    const device = deviceOf(this.directory);
    const more = readAttributesOf(this.system, directory, this.rows, { at, device });
    this.attributeBytes += more.packed.length;
    const isTooMuch = this.attributeBytes > MAX_PARCEL_ATTRIBUTE_BYTES;
    const failure = isTooMuch ? 'E2BIG' : more.failure;
    if (failure !== undefined) {
      this.failures.push(this.failure(slot, path, { at, what: 'incomplete', reason: failure }));
      this.rows.setFlags(at, this.rows.flags(at) | RowFlag.unsettled); // tried again in the next backup
    }
    if (more.packed.length === 0 || isTooMuch) return undefined;
    this.owners.meetAcls(more.packed);
    return withAttributes(this.rows.row(at), more.packed);
  }

  private file(slot: SlotNumber, path: Buffer, directory: number, at: number): void {
    this.files += 1;
    const { rows } = this;
    const digestAt = this.places.count * DIGEST_BYTES;
    const roomBytes = rows.sizeBytes(at);
    let sizeBytes: number;
    try {
      sizeBytes = this.read(directory, at, digestAt, roomBytes);
    } catch (error) {
      if (systemCode(error) === 'EFBIG') this.stream(slot, path, at);
      else this.fail(slot, path, at, error);
      return;
    }
    const isSparse = (rows.flags(at) & RowFlag.sparse) !== 0;
    if (!isSparse && sizeBytes !== rows.sizeBytes(at)) {
      this.stream(slot, path, at);
      return;
    }
    if ((rows.flags(at) & RowFlag.changedWhileRead) !== 0) {
      this.failures.push(this.failure(slot, path, { at, what: 'changed', reason: 'read' }));
    }
    this.readBytes += sizeBytes;
    if (isSparse) this.holeBytes += rows.sizeBytes(at) - sizeBytes;
    const more = mayHaveMore(rows, at) ? this.withMore(slot, path, directory, at) : undefined;
    const final = more === undefined ? rows : new RowReader(more);
    const finalAt = more === undefined ? at : 0;
    final.setFlags(finalAt, final.flags(finalAt) & ~RowFlag.mayHaveAttributes);
    if (sizeBytes === 0) {
      this.out.append(final.row(finalAt)); // the file became empty: it has no content
      return;
    }
    contentDigest(this.system.native, this.keys, this.digests, digestAt);
    const digest = this.digests.subarray(digestAt, digestAt + DIGEST_BYTES);
    const { buffer, at: outAt } = this.out.reserve(final.rowBytes(finalAt) + DIGEST_BYTES);
    this.out.commit(copyRowWithDigest(final, finalAt, digest, buffer, outAt) - outAt);
    if (this.recent.has(digest)) {
      this.repeats += 1;
      return; // already sent: neither its bytes nor its digest are needed again
    }
    if (this.frames !== undefined) this.recent.add(digest);
    const name = rows.name(at);
    this.schemes[this.places.count] = this.crypt?.scheme(path, name) ?? 0;
    this.places.add({
      start: this.contentAt,
      sizeBytes,
      kind: kindOfName(name),
      rowOffset: at,
      isRaw: isStoredRaw(name, sizeBytes, this.rawRules),
    });
    this.contentAt += sizeBytes;
  }

  /** Adds a file to the files that are read later like large ones: to their actual end. */
  private stream(slot: SlotNumber, path: Buffer, at: number): void {
    this.files -= 1;
    const [directory, row] = [Buffer.from(this.directory), Buffer.from(this.rows.row(at))];
    this.grown.push({ slot, directoryPath: Buffer.from(path), directory, row });
  }

  /** Reads one file into the next free range of the buffer, again if it changed meanwhile. Returns its size. */
  private read(directory: number, at: number, digestAt: number, roomBytes: number): number {
    const { rows } = this;
    const keptFlags = rows.flags(at) & ~(RowFlag.changedWhileRead | RowFlag.unsettled);
    for (let tries = 1; ; tries += 1) {
      const startNs = nowNs(this.system);
      rows.setFlags(at, keptFlags);
      const sizeBytes = this.system.native.readFileAt(
        directory,
        rows.name(at),
        rows.rows,
        at,
        this.contents,
        this.contentAt,
        roomBytes,
        this.digests,
        digestAt,
      );
      const hasChanged = (rows.flags(at) & RowFlag.changedWhileRead) !== 0;
      // The first try may find that a file changed after it was listed. Only a change during the last reading makes the
      // data doubtful.
      if (hasChanged && tries < MAX_TRIES) continue;
      if (hasChanged || rows.ctimeNs(at) >= racyFromNs(this.system, startNs)) {
        rows.setFlags(at, rows.flags(at) | RowFlag.unsettled);
      }
      return sizeBytes;
    }
  }

  private failure(
    slot: SlotNumber,
    path: Buffer,
    {
      at,
      what,
      reason,
    }: { readonly at: number; readonly what: Failure['what']; readonly reason: string },
  ): Failure {
    const name = Buffer.from(this.rows.name(at));
    return { slot, name, path: joinPath(path, name), what, reason };
  }

  private fail(slot: SlotNumber, path: Buffer, at: number, error: unknown): void {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const isGone = code === 'ENOENT';
    this.failures.push(
      this.failure(slot, path, { at, what: isGone ? 'vanished' : 'unreadable', reason: code }),
    );
  }

  result(): JobResult<HashOutput> {
    const { places } = this;
    const rows = this.out.take();
    const slots = Uint32Array.from(this.outSlots);
    const rowEnds = Uint32Array.from(this.outEnds);
    const block: ContentBlock = {
      bytes: this.contents,
      digests: this.digests,
      starts: places.starts.slice(0, places.count),
      sizes: places.sizes.slice(0, places.count),
      isRaw: places.isRaw.slice(0, places.count),
      kinds: places.kinds.slice(0, places.count),
      schemes: this.schemes.slice(0, places.count),
      access: accessOf(this.rows, places.encrypted(this.keys)),
    };
    const common = {
      slots,
      rows,
      rowEnds,
      failures: this.failures,
      owners: this.owners.take(),
      grown: this.grown,
      readBytes: this.readBytes,
      holeBytes: this.holeBytes,
      files: this.files,
      repeats: this.repeats,
    };
    const transfer = memoryOf(rows, slots, rowEnds);
    if (this.frames === undefined) {
      const output = {
        ...common,
        compressMs: 0,
        encryptMs: 0,
        records: undefined,
        recordLengths: [],
        contents: block,
      };
      return { output, transfer: [...transfer, ...memoryOfContents(block)] };
    }
    const startMs = performance.now();
    const ciphers = this.keys && new Ciphers(this.system.native, this.keys);
    const { records, recordLengths } = compressContents(block, undefined, this.frames, ciphers);
    const encryptMs = ciphers?.spentMs ?? 0;
    const compressMs = performance.now() - startMs - encryptMs;
    const output = {
      ...common,
      compressMs,
      encryptMs,
      records,
      recordLengths,
      contents: undefined,
    };
    return { output, transfer: [...transfer, ...memoryOf(records)] };
  }
}
