/**
 * Copies records of contents to another store as they are, encrypted or not. If the contents of a record are not
 * encrypted, their digests are checked before it is written. Without the client's keys, only the checksums of an
 * encrypted record are checked.
 */
import {
  contentsIn,
  damagedRecord,
  decodeWhole,
  fetchHeader,
  fetchRecord,
  hasContent,
  MAX_CHAIN,
  MAX_WHOLE_BYTES,
  ReaderMemory,
  type RecordPlace,
  RecordReader,
  storedBytes,
  tooLarge,
} from '../../contents/index.js';
import {
  applyContentRecord,
  digestsOf,
  type IdSet,
  Locator,
  type StoredContent,
} from '../../store/catalog/index.js';
import { throwIfAborted } from '../../errors/index.js';
import { type ContentId, decodeParts, partsDigest, Scheme } from '../../model/index.js';
import {
  type FrameEntry,
  isRecordSound,
  type Location,
  MAX_INDEX_BYTES,
  type ParsedRecord,
  parseRecord,
  readContentIndex,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { NativeCalls } from '../../system/index.js';
import { isDamage, type Placed, placeOf } from './contents.js';
import type { CopiedDigests } from './history.js';
import type { OldRecords, OldStore } from './old-generation.js';

/** Number of bytes copied between two checkpoints. */
const CHECKPOINT_BYTES = 64 << 20;

export class RecordCopier implements CopiedDigests {
  /** Number of copied records, and number of their bytes. */
  readonly copied = { records: 0, bytes: 0 };
  /** True if a record could not be read, or did not match its checksums or digests. */
  hasLost = false;
  private readonly lost = new Set<ContentId>();
  private sinceCheckpoint = 0;
  private readonly locator = new Locator();
  private readonly reader: RecordReader;
  private readonly backend: OldRecords;

  /** Creates the copier. `isEncrypting` is true if the client encrypts, so that no digest can be checked. */
  constructor(
    private readonly native: NativeCalls,
    private readonly old: OldStore,
    private readonly store: StoreWriter,
    private readonly isEncrypting: boolean,
  ) {
    this.backend = old.backend;
    this.reader = new RecordReader(this.backend, native, new ReaderMemory());
  }

  /**
   * Copies the needed contents that the target lacks, and their signatures. Throws INTERRUPTED if it is aborted,
   * DISK_FULL if the target's disk is full.
   */
  async copy(needed: IdSet, signal: AbortSignal, onContent: () => void): Promise<void> {
    const { history } = this.old.catalog;
    for (const page of history.contents()) {
      for (const { contentId } of page) {
        throwIfAborted(signal);
        if (!needed.has(contentId)) continue;
        await this.ensure(contentId);
        onContent();
      }
    }
    for (const page of history.signatures()) {
      for (const signature of page) {
        throwIfAborted(signal);
        if (needed.has(signature.contentId)) await this.copySignature(signature);
      }
    }
    this.reader.release();
    await this.checkpoint();
  }

  /**
   * Returns the same digest, since contents keep theirs. A content that is not stored at the source is missing at the
   * target too.
   */
  digestOf(old: Uint8Array): Buffer {
    return Buffer.from(old);
  }

  standIn(old: Uint8Array): Buffer {
    return Buffer.from(old);
  }

  private async checkpoint(): Promise<void> {
    this.sinceCheckpoint = 0;
    await this.store.checkpoint();
  }

  private isStored(digest: Uint8Array): boolean {
    return this.store.catalog.contents.find(digest)?.isStored === true;
  }

  /** Copies a content and, before it, the contents that it is based on. Returns false if it is lost. */
  private async ensure(contentId: ContentId, depth = 0): Promise<boolean> {
    if (this.lost.has(contentId)) return false;
    const stored = this.old.catalog.contents.stored(contentId);
    if (stored === undefined) return false;
    if (this.isStored(stored.digest)) return true;
    this.lost.add(contentId); // removed after the copy: until then a content cannot depend on itself
    try {
      await this.copyContent(contentId, stored, depth);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.hasLost = true;
      return false;
    }
    if (this.sinceCheckpoint >= CHECKPOINT_BYTES) await this.checkpoint();
    if (!this.isStored(stored.digest)) {
      this.hasLost = true;
      return false;
    }
    this.lost.delete(contentId);
    return true;
  }

  private async copyContent(
    contentId: ContentId,
    stored: StoredContent,
    depth: number,
  ): Promise<void> {
    const { contents } = this.old.catalog;
    const place = placeOf(stored);
    const parts = stored.kind === RecordKind.assembly ? contents.partsOf(contentId) : [];
    const bases = stored.basisId === null ? parts : [stored.basisId];
    for (const basis of bases) {
      const isThere = depth <= MAX_CHAIN && (await this.ensure(basis, depth + 1));
      if (!isThere) throw damagedRecord(place);
    }
    const header = await this.headOf(place);
    if ((header.flags & RECORD_CHUNKED) === 0) {
      await this.copyWhole(place);
      return;
    }
    await this.hold(place);
    if (this.isEncrypting) await this.requireSound(place, header);
    else await this.prove(contentId, place);
    await this.copyChunked(place, header, stored.digest);
  }

  private async headOf(place: RecordPlace): Promise<RecordHeader> {
    const header = await fetchHeader(this.backend, place);
    if (!this.isEncrypting && header.scheme !== Scheme.plain) throw damagedRecord(place);
    return header;
  }

  private async hold({ object, position, recordBytes: bytes }: RecordPlace): Promise<void> {
    await this.backend.hold?.({ object, position, bytes });
  }

  private async requireSound(place: RecordPlace, header: RecordHeader): Promise<void> {
    const { object, position } = place;
    if (!(await isRecordSound(this.backend, object, position, header))) throw damagedRecord(place);
  }

  /** Reads a content that is not encrypted. Throws CONTENT_DAMAGED if its digest differs. */
  private async prove(contentId: ContentId, place: RecordPlace): Promise<void> {
    const [piece] = this.locator.locate(this.old.catalog.contents, contentId) ?? [];
    if (piece === undefined) throw damagedRecord(place);
    // The digest of the content is checked when the loop ends.
    for await (const _ of this.reader.pieceBytes(piece, piece));
  }

  private async copyWhole(place: RecordPlace): Promise<void> {
    if (place.recordBytes > MAX_WHOLE_BYTES) throw tooLarge(place);
    const bytes = Buffer.allocUnsafe(place.recordBytes);
    const parsed = parseRecord(await fetchRecord(this.backend, place, 0, bytes));
    if (!this.isEncrypting) this.proveWhole(place, bytes, parsed);
    this.store.space?.take(bytes.length);
    const location = this.store.packs.append(bytes);
    this.apply(parsed.header, Buffer.from(parsed.index), location, Buffer.from(parsed.body));
  }

  /** Throws RECORD_DAMAGED unless each content of a record that is not encrypted matches its digest. */
  private proveWhole(place: RecordPlace, bytes: Buffer, parsed: ParsedRecord): void {
    const { header } = parsed;
    const { kind } = header;
    if (kind === RecordKind.assembly) {
      const digest = partsDigest(decodeParts(parsed.body));
      if (!digest.equals(readContentIndex(Buffer.from(parsed.index)).digest))
        throw damagedRecord(place);
      return;
    }
    const isKnown = kind === RecordKind.frame || kind === RecordKind.content;
    const opener = { native: this.native, keys: undefined };
    const whole = isKnown ? decodeWhole(opener, place, bytes, new ReaderMemory()) : undefined;
    const isRight = (content: FrameEntry): boolean => hasContent(opener, whole!.decoded, content);
    if (whole === undefined || !contentsIn(header, parsed.index).every(isRight)) {
      throw damagedRecord(place);
    }
  }

  /**
   * Copies a record in chunks: a large one becomes an object again, a smaller one goes into a pack. Throws
   * RECORD_DAMAGED if its index does not belong to the content.
   */
  private async copyChunked(
    place: RecordPlace,
    header: RecordHeader,
    digest: Buffer,
  ): Promise<void> {
    const { store, backend } = this;
    if (header.indexBytes > MAX_INDEX_BYTES) throw damagedRecord(place);
    const index = Buffer.allocUnsafe(header.indexBytes);
    await fetchRecord(backend, place, RECORD_HEADER_BYTES, index);
    if (digestsOf(header, index).some((one) => !one.equals(digest))) throw damagedRecord(place);
    store.space?.take(place.recordBytes);
    let location: Location;
    if (place.recordBytes > store.limits.packContentBytes) {
      const writer = store.backend.stage();
      try {
        for await (const piece of storedBytes(backend, place)) writer.append(piece);
        location = await store.placeStaged({ writer, header, index, digest });
      } catch (error) {
        writer.close();
        throw error;
      }
    } else location = await store.packs.appendStaged(storedBytes(backend, place));
    this.apply(header, index, location);
  }

  private apply(header: RecordHeader, index: Buffer, location: Location, body?: Buffer): void {
    const bytes = recordBytes(header);
    applyContentRecord(this.store.catalog, header, index, { location, body });
    this.sinceCheckpoint += bytes;
    this.copied.records += 1;
    this.copied.bytes += bytes;
  }

  /** Copies a signature. A damaged signature is left out, and the next backup makes a new one. */
  private async copySignature(signature: Placed): Promise<void> {
    const { contents, signatures } = this.store.catalog;
    const contentId = contents.find(signature.digest)?.contentId;
    if (contentId === undefined || signatures.find(contentId) !== undefined) return;
    const place = placeOf(signature);
    try {
      const header = await this.headOf(place);
      const isSignature = header.kind === RecordKind.signature;
      if (!isSignature || (header.flags & RECORD_CHUNKED) === 0) return;
      await this.hold(place);
      await this.requireSound(place, header);
      await this.copyChunked(place, header, signature.digest);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
}
