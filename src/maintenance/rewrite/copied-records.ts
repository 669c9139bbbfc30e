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
  fetchIndex,
  fetchRecord,
  hasContent,
  MAX_WHOLE_BYTES,
  ReusedBuffers,
  type RecordPlace,
  requireSound,
  storedBytes,
  tooLarge,
} from '../../contents/index.js';
import {
  applyContentRecord,
  digestsOf,
  type IdSet,
  type PlacedContent,
  type StoredContent,
} from '../../store/catalog/index.js';
import { type ContentId, decodeParts, partsDigest, Scheme } from '../../model/index.js';
import {
  type FrameEntry,
  type ParsedRecord,
  parseRecord,
  readContentIndex,
  RECORD_CHUNKED,
  type RecordHeader,
  RecordKind,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { ContentTransfer, placeOf } from './content-transfer.js';
import type { OldStore } from './old-generation.js';

interface Copy {
  /** Ids of the contents to copy. */
  readonly needed: IdSet;
  /** True if the client encrypts, so that no digest can be checked. */
  readonly isEncrypting: boolean;
}

export class RecordCopier extends ContentTransfer {
  /** Number of copied records, and number of their bytes. */
  readonly copied = { records: 0, bytes: 0 };
  private readonly isEncrypting: boolean;

  constructor(old: OldStore, store: StoreWriter, { needed, isEncrypting }: Copy) {
    super(old, store, needed);
    this.isEncrypting = isEncrypting;
  }

  /**
   * Returns the same digest, since contents keep theirs. A content that is not stored at the source is missing at the
   * target too.
   */
  digestFor(old: Uint8Array): Buffer {
    return Buffer.from(old);
  }

  protected storedAs(old: Uint8Array): Buffer | undefined {
    return this.isStored(old) ? Buffer.from(old) : undefined;
  }

  protected async move(contentId: ContentId, stored: StoredContent, depth: number): Promise<void> {
    const { contents } = this.old.catalog;
    const place = placeOf(stored);
    const parts = stored.kind === RecordKind.assembly ? contents.partsOf(contentId) : [];
    const bases = stored.basisId === null ? parts : [stored.basisId];
    for (const basis of bases) {
      if ((await this.ensure(basis, depth + 1)) === undefined) throw damagedRecord(place);
    }
    const header = await this.headOf(place);
    if ((header.flags & RECORD_CHUNKED) === 0) {
      await this.copyWhole(place);
      return;
    }
    await this.hold(place);
    if (this.isEncrypting) await requireSound(this.old.backend, place, header);
    else await this.prove(contentId, place);
    await this.copyChunked(place, header, stored.digest);
  }

  private async headOf(place: RecordPlace): Promise<RecordHeader> {
    const header = await fetchHeader(this.old.backend, place);
    if (!this.isEncrypting && header.scheme !== Scheme.plain) throw damagedRecord(place);
    return header;
  }

  private async hold({ object, position, recordBytes: bytes }: RecordPlace): Promise<void> {
    await this.old.backend.hold?.({ object, position, bytes });
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
    const parsed = parseRecord(await fetchRecord(this.old.backend, place, 0, bytes));
    if (!this.isEncrypting) this.proveWhole(place, bytes, parsed);
    this.store.space?.take(bytes.length);
    this.store.appendContents(bytes);
    this.count(place);
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
    const { source } = this.old;
    const whole = isKnown ? decodeWhole(source, place, bytes, new ReusedBuffers()) : undefined;
    const isRight = (content: FrameEntry): boolean => hasContent(source, whole!.decoded, content);
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
    const { store } = this;
    const { backend } = this.old;
    const index = await fetchIndex(backend, place, header);
    if (digestsOf(header, index).some((one) => !one.equals(digest))) throw damagedRecord(place);
    store.space?.take(place.recordBytes);
    if (place.recordBytes > store.limits.packContentBytes) {
      const writer = store.backend.stage();
      try {
        for await (const piece of storedBytes(backend, place)) writer.append(piece);
        await store.placeContent({ writer, header, index, digest });
      } catch (error) {
        writer.close();
        throw error;
      }
    } else {
      const location = await store.packs.appendStaged(storedBytes(backend, place));
      applyContentRecord(store.catalog, header, index, { location });
    }
    this.count(place);
  }

  private count({ recordBytes: bytes }: RecordPlace): void {
    this.copied.records += 1;
    this.copied.bytes += bytes;
  }

  protected async moveSignature(signature: PlacedContent): Promise<void> {
    const place = placeOf(signature);
    const header = await this.headOf(place);
    const isSignature = header.kind === RecordKind.signature;
    if (!isSignature || (header.flags & RECORD_CHUNKED) === 0) return;
    await this.hold(place);
    await requireSound(this.old.backend, place, header);
    await this.copyChunked(place, header, signature.digest);
  }
}
