/**
 * Reads the entries of a parcel that need a decision, one by one. A file that changes while it is read is read again, up to
 * MAX_TRIES times; then the last reading is kept and flagged.
 */
import { requireSystemCode, systemCode } from '../errors/index.js';
import {
  BytesBuilder,
  contentDigest,
  copyRowWithDigest,
  deviceOf,
  DIGEST_BYTES,
  EntryType,
  identityIn,
  identityOf,
  joinPath,
  RowFlag,
  RowReader,
  type SlotNumber,
  withAttributes,
} from '../model/index.js';
import { OpenFd, type System } from '../system/index.js';
import { runOf } from './block-builder.js';
import { nowNs, racyFromNs } from './inspect.js';
import type { JobContext } from './job-context.js';
import type { Failure, GrownFile, ReadInput, RecentDigests } from './jobs.js';
import type { OwnerNames } from './owner-names.js';
import type { ParcelMemory } from './parcel-memory.js';
import { isStoredRaw, kindOfName } from './raw-types.js';
import {
  closeIfChanged,
  closeRow,
  ITSELF,
  type ReadAttributes,
  readAttributesOf,
  unreadAttributes,
} from './read-attributes.js';

const MAX_TRIES = 3;
/** Maximum number of bytes of the attributes of all entries of a parcel. */
const MAX_PARCEL_ATTRIBUTE_BYTES = 64 << 20;

/** The directory whose entries are read. */
interface OpenSection {
  readonly slot: SlotNumber;
  readonly path: Buffer;
  readonly identity: Buffer;
  /** Its descriptor; the error if it could not be opened. Then all of its files fail. */
  readonly fd: number | Error;
}

export class EntryReading {
  /** The rows with digests; none for a file that could not be read. */
  readonly out: BytesBuilder;
  readonly failures: Failure[] = [];
  readonly grown: GrownFile[] = [];
  private readonly owners: OwnerNames;
  files = 0;
  repeats = 0;
  readBytes = 0;
  holeBytes = 0;
  private readonly rows: RowReader;
  private readonly system: System;
  private readonly recent: RecentDigests;
  private contentAt: number;
  private attributeBytes = 0;
  private section!: OpenSection;
  /** True if a size of 0 means that a file is empty on the file system of the section. */
  private isSizeKnown: boolean | undefined;

  /** The contents are read into the memory from `contentAt` on. */
  constructor(
    private readonly input: ReadInput,
    private readonly memory: ParcelMemory,
    { system, recent }: JobContext,
    { contentAt, owners }: { readonly contentAt: number; readonly owners: OwnerNames },
  ) {
    this.system = system;
    this.recent = recent;
    this.rows = new RowReader(input.parcel.rows);
    this.out = new BytesBuilder(memory.out.length);
    this.owners = owners;
    this.contentAt = contentAt;
  }

  /** Opens a directory of the parcel, for the entries that follow. It must be left. */
  enter(section: number): void {
    const { slots, paths, pathEnds, identities } = this.input.parcel;
    const path = runOf(paths, pathEnds, section);
    const identity = identityIn(identities, section);
    this.section = { slot: slots[section]!, path, identity, fd: this.open(path, identity) };
    this.isSizeKnown = undefined;
  }

  /** Notes if the directory was closed before its entries were read, and closes its descriptor. */
  leave(): void {
    const { fd, identity } = this.section;
    if (typeof fd !== 'number') return;
    try {
      this.system.native.noteClosing(fd, identity);
    } finally {
      this.system.native.close(fd);
    }
  }

  private open(path: Buffer, identity: Buffer): number | Error {
    try {
      return this.system.native.openListed(path, identity);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return error as Error;
    }
  }

  /** Adds the entry of the row at `at`. */
  add(at: number): void {
    const { rows, section } = this;
    const isFile = rows.type(at) === EntryType.file;
    if (!isFile || (rows.sizeBytes(at) === 0 && this.isEmpty())) this.plain(at);
    else if (typeof section.fd === 'number') this.file(section.fd, at);
    else this.fail(at, section.fd);
  }

  /** True if files of size 0 are empty in this directory. Also true if the directory could not be opened. */
  private isEmpty(): boolean {
    const { fd } = this.section;
    this.isSizeKnown ??= typeof fd !== 'number' || this.system.native.reportsSizes(fd);
    return this.isSizeKnown;
  }

  /** Adds an entry without content. A file that is no longer the one that was listed is read as it is now. */
  private plain(at: number): void {
    const { rows, section } = this;
    const { fd, identity } = section;
    const more =
      typeof fd === 'number'
        ? readAttributesOf(this.system, fd, {
            name: rows.name(at),
            identity: identityOf(rows, at, deviceOf(identity)),
          })
        : unreadAttributes(fd);
    const isOther = more.isOther && rows.type(at) === EntryType.file;
    if (isOther && typeof fd === 'number') this.file(fd, at);
    else this.out.append(this.withMore(at, more));
  }

  /** Returns the row with its attributes, which listings lack. If they are unknown, nobody but the owner gets any access. */
  private withMore(at: number, more: ReadAttributes): Buffer {
    const { rows } = this;
    this.attributeBytes += more.packed.length;
    const isTooMuch = this.attributeBytes > MAX_PARCEL_ATTRIBUTE_BYTES;
    const failure = isTooMuch ? 'E2BIG' : more.failure;
    if (failure !== undefined) {
      if (!more.isGone) this.note(rows.name(at), 'incomplete', failure);
      closeRow(rows, at);
    }
    if (more.packed.length === 0 || isTooMuch) return rows.row(at);
    this.owners.meetAcls(more.packed);
    return withAttributes(rows.row(at), more.packed);
  }

  private file(directory: number, at: number): void {
    const { rows } = this;
    this.files += 1;
    let sizeBytes: number;
    let more: ReadAttributes;
    try {
      ({ sizeBytes, more } = this.read(directory, at));
    } catch (error) {
      if (systemCode(error) === 'EFBIG') this.stream(at);
      else this.fail(at, error);
      return;
    }
    const isSparse = (rows.flags(at) & RowFlag.sparse) !== 0;
    if (!isSparse && sizeBytes !== rows.sizeBytes(at)) {
      this.stream(at);
      return;
    }
    if ((rows.flags(at) & RowFlag.changedWhileRead) !== 0) {
      this.note(rows.name(at), 'changed', 'read');
    }
    this.readBytes += sizeBytes;
    if (isSparse) this.holeBytes += rows.sizeBytes(at) - sizeBytes;
    const final = this.withMore(at, more);
    if (sizeBytes === 0)
      this.out.append(final); // the file became empty: it has no content
    else this.content(at, sizeBytes, new RowReader(final));
  }

  /** Adds the row of a file with its digest. Keeps the content, unless its digest is a recent one. */
  private content(at: number, sizeBytes: number, row: RowReader): void {
    const { digests, places } = this.memory;
    const { keys, rawRules, frames } = this.input;
    const digestAt = places.count * DIGEST_BYTES;
    contentDigest(this.system.native, keys, digests, digestAt);
    const digest = digests.subarray(digestAt, digestAt + DIGEST_BYTES);
    const { buffer, at: outAt } = this.out.reserve(row.rowBytes(0) + DIGEST_BYTES);
    this.out.commit(copyRowWithDigest(row, 0, digest, buffer, outAt) - outAt);
    if (this.recent.has(digest)) {
      this.repeats += 1;
      return; // already sent: neither its bytes nor its digest are needed again
    }
    if (frames !== undefined) this.recent.add(digest);
    const name = this.rows.name(at);
    places.add({
      start: this.contentAt,
      sizeBytes,
      kind: kindOfName(name),
      rowOffset: at,
      isRaw: isStoredRaw(name, sizeBytes, rawRules),
    });
    this.contentAt += sizeBytes;
  }

  /** Adds a file to the files that are read later like large ones: to their actual end. */
  private stream(at: number): void {
    this.files -= 1;
    const { slot, path, identity } = this.section;
    const [directory, row] = [Buffer.from(identity), Buffer.from(this.rows.row(at))];
    this.grown.push({ slot, directoryPath: Buffer.from(path), directory, row });
  }

  /** Reads one file into the next free range of the buffer, again if it changed meanwhile, and its attributes. */
  private read(directory: number, at: number): { sizeBytes: number; more: ReadAttributes } {
    const { rows, memory, system } = this;
    const keptFlags = rows.flags(at) & ~(RowFlag.changedWhileRead | RowFlag.unsettled);
    const roomBytes = rows.sizeBytes(at);
    for (let tries = 1; ; tries += 1) {
      const startNs = nowNs(system);
      rows.setFlags(at, keptFlags);
      using file = new OpenFd(
        system.native,
        system.native.openOwnersAt(directory, rows.name(at), rows.row(at)),
      );
      // They are read first: the reading of the content finds out if the file changed since it was listed, or last read.
      const more = readAttributesOf(system, file.fd);
      const sizeBytes = system.native.readFileAt(
        file.fd,
        ITSELF,
        rows.rows,
        at,
        memory.contents,
        this.contentAt,
        roomBytes,
        memory.digests,
        memory.places.count * DIGEST_BYTES,
      );
      const hasChanged = (rows.flags(at) & RowFlag.changedWhileRead) !== 0;
      // The first try may find that a file changed after it was listed. Only a change during the last reading makes the
      // data doubtful.
      if (hasChanged && tries < MAX_TRIES) continue;
      if (hasChanged) {
        const row = new RowReader(rows.row(at));
        closeIfChanged(system, file.fd, row, more.packed);
      }
      if (hasChanged || rows.ctimeNs(at) >= racyFromNs(system, startNs)) {
        rows.setFlags(at, rows.flags(at) | RowFlag.unsettled);
      }
      return { sizeBytes, more };
    }
  }

  private note(name: Buffer, what: Failure['what'], reason: string): void {
    const { slot, path } = this.section;
    const copy = Buffer.from(name);
    this.failures.push({ slot, name: copy, path: joinPath(path, copy), what, reason });
  }

  private fail(at: number, error: unknown): void {
    const code = requireSystemCode(error);
    this.note(this.rows.name(at), code === 'ENOENT' ? 'vanished' : 'unreadable', code);
  }
}
