/**
 * Checks if a record is intact, and if a content can be read, by the same steps as a restore. So a check reports
 * exactly those contents as lost that a restore could not return. A content that cannot be read is looked up again in
 * the present catalog, since it may have been moved.
 */
import {
  fetchHeader,
  fetchIndex,
  fetchParts,
  hasContent,
  MAX_WHOLE_BYTES,
  ReusedBuffers,
  readWhole,
  type RecordPlace,
  RecordReader,
  type RecordSource,
  requireSound,
} from '../../contents/index.js';
import {
  type AuditedContent,
  type AuditedRecord,
  Catalog,
  type CatalogAudit,
  Locator,
} from '../../store/catalog/index.js';
import { isDamage, recordDamaged, TardisError } from '../../errors/index.js';
import {
  contentDigest,
  type ContentId,
  type ContentKeys,
  DIGEST_BYTES,
  digestKey,
  encodeParts,
  type PartDigest,
  partsDigest,
} from '../../model/index.js';
import {
  type Backend,
  type Location,
  locationName,
  readContentIndex,
  readDeltaIndex,
  readFrameIndex,
  RECORD_CHUNKED,
  type RecordHeader,
  RecordKind,
  unreadableObject,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { crc32 } from 'node:zlib';

interface ProverOptions {
  readonly backend: Backend;
  /** Keys of a client that encrypts, if they are known. */
  readonly keys: ContentKeys | undefined;
  /** False if encrypted data is only compared with checksums. */
  readonly canOpen: boolean;
  /** Path of the present catalog; undefined if there is none. */
  readonly catalogPath: string | undefined;
  /** Brings the catalog up to date; undefined if it is always up to date. */
  readonly refresh: (() => Promise<void>) | undefined;
}

/** Description of the damage of a record; undefined if none was found. */
export type Fault = string | undefined;

export class ContentProver {
  private readonly reader: RecordReader;
  private readonly source: RecordSource;
  private readonly locator = new Locator();
  private readonly memory = new ReusedBuffers();

  constructor(
    private readonly system: System,
    private readonly audit: CatalogAudit,
    private readonly options: ProverOptions,
  ) {
    const { backend, keys } = options;
    this.source = { backend, native: system.native, keys };
    this.reader = new RecordReader(backend, system.native, new ReusedBuffers(), keys);
  }

  /** True if contents are read, not only compared with checksums. */
  get canOpen(): boolean {
    return this.options.canOpen;
  }

  /**
   * Returns a fault if the header of a record differs from its row in the catalog, if the index of a chunked record is
   * damaged, or if the index lacks one of `contents` at its place.
   */
  async headFault(
    object: string,
    record: AuditedRecord,
    contents: readonly AuditedContent[],
  ): Promise<Fault> {
    return faultOf(async () => {
      const header = await this.headerAt(object, record);
      const index = await fetchIndex(this.options.backend, { object, ...record }, header);
      if ((header.flags & RECORD_CHUNKED) !== 0 && crc32(index) !== header.bodyChecksum) {
        throw recordDamaged('its index does not match its checksum');
      }
      requireContents(header, index, contents);
    });
  }

  private async headerAt(object: string, record: AuditedRecord): Promise<RecordHeader> {
    const header = await fetchHeader(this.options.backend, { object, ...record });
    const isSame =
      header.kind === record.kind &&
      header.rawBytes === record.rawBytes &&
      header.codec === record.codec &&
      header.scheme === record.scheme &&
      header.epoch === record.epoch;
    if (!isSame) throw recordDamaged('another record stands at its place');
    return header;
  }

  /**
   * Returns a fault if the bytes of a record are damaged. If the record can be decrypted, each of its contents is
   * compared with its digest, otherwise only the checksums.
   */
  async bodyFault(
    object: string,
    record: AuditedRecord,
    contents: readonly AuditedContent[],
  ): Promise<Fault> {
    const { canOpen } = this.options;
    return faultOf(async () => {
      const header = await this.headerAt(object, record);
      const isChunked = (header.flags & RECORD_CHUNKED) !== 0;
      const [content] = contents;
      if (isChunked && canOpen && content !== undefined && header.kind !== RecordKind.signature) {
        await this.readContent(this.audit.catalog, content.contentId);
        return;
      }
      if (isChunked || !canOpen || record.recordBytes > MAX_WHOLE_BYTES) {
        await requireSound(this.options.backend, { object, ...record }, header);
        return;
      }
      await this.readWhole(object, record, contents);
    });
  }

  /** Reads a frame, a content in one piece or an assembly once, and checks every content in it. */
  private async readWhole(
    object: string,
    record: AuditedRecord,
    contents: readonly AuditedContent[],
  ): Promise<void> {
    const place = { object, ...record };
    if (record.kind === RecordKind.assembly) {
      const parts = await fetchParts(this.options.backend, place);
      for (const content of contents) this.requireParts(content, parts);
      return;
    }
    const { decoded } = await readWhole(this.source, place, this.memory);
    if (!contents.every((content) => hasContent(this.source, decoded, content))) {
      throw recordDamaged('a content differs from its digest');
    }
  }

  /** Throws RECORD_DAMAGED unless the parts in the catalog match the assembly, and the content's digest. */
  private requireParts({ contentId, digest }: AuditedContent, listed: readonly PartDigest[]): void {
    const parts = this.partsOf(contentId);
    const found = contentDigest(this.system.native, this.options.keys, partsDigest(parts));
    if (!found.equals(digest))
      throw recordDamaged('its parts are not those that its digest covers');
    if (!encodeParts(parts).equals(encodeParts(listed))) {
      throw recordDamaged('its parts are not those in the catalog');
    }
  }

  private partsOf(contentId: ContentId): PartDigest[] {
    return this.audit.catalog.contents.partsOf(contentId).map((partId) => {
      const part = this.audit.content(partId);
      if (part === undefined) throw recordDamaged('a part of it is not known');
      return part;
    });
  }

  /**
   * True if a content can be restored, by the catalog of the check or else by the present catalog. A content
   * that the present catalog no longer contains is not a loss.
   */
  async isReadable(contentId: ContentId): Promise<boolean> {
    const content = this.audit.content(contentId);
    const fault = await faultOf(() => this.readContent(this.audit.catalog, contentId));
    if (fault === undefined) return true;
    if (content === undefined || this.options.catalogPath === undefined) return false;
    const record = this.audit.recordOf(contentId);
    return this.isElsewhere(content.digest, record);
  }

  /**
   * True if the present catalog has no such content any more, or if the content is readable at another place than
   * `was`. False if there is no present catalog.
   */
  async isElsewhere(digest: Buffer, was: Location | undefined): Promise<boolean> {
    const { catalogPath, refresh } = this.options;
    if (catalogPath === undefined) return false;
    await refresh?.();
    using catalog = Catalog.openForReading(this.system, catalogPath);
    const found = catalog.contents.find(digest);
    if (found === undefined) return true;
    const now = catalog.contents.stored(found.contentId);
    if (now?.pack === was?.pack && now?.position === was?.position) return false;
    return (await faultOf(() => this.readContent(catalog, found.contentId))) === undefined;
  }

  /** Reads a content. Throws RECORD_DAMAGED or CONTENT_DAMAGED if its bytes are wrong or missing. */
  private async readContent(catalog: Catalog, contentId: ContentId): Promise<void> {
    const pieces = this.locator.locate(catalog.contents, contentId);
    if (pieces === undefined) throw recordDamaged('its bytes are not there');
    if (!this.options.canOpen) {
      for (const piece of pieces) await requireSound(this.options.backend, piece);
      return;
    }
    const stored = catalog.contents.stored(contentId);
    if (stored?.kind === RecordKind.assembly) {
      const found = contentDigest(this.system.native, this.options.keys, partsDigest(pieces));
      if (!found.equals(stored.digest))
        throw recordDamaged('its parts are not those of its digest');
    }
    for (const piece of pieces) {
      // The digest of the content is checked when the loop ends.
      for await (const _ of this.reader.pieceBytes(piece, piece));
    }
  }

  /** Compares a record with its checksums, whatever the record contains. */
  checksumFault(record: RecordPlace): Promise<Fault> {
    return faultOf(() => requireSound(this.options.backend, record));
  }

  close(): void {
    this.reader.release();
  }
}

/** Returns the name of the file that contains a record of the catalog. */
export function objectOf(record: AuditedRecord, contents: readonly AuditedContent[]): string {
  return locationName(record, contents[0]?.digest ?? Buffer.alloc(DIGEST_BYTES));
}

/**
 * Throws RECORD_DAMAGED unless an index has all these contents, at these places. A signature's index is only parsed.
 */
function requireContents(
  header: RecordHeader,
  index: Buffer,
  contents: readonly AuditedContent[],
): void {
  if (header.kind === RecordKind.frame) {
    const entries = readFrameIndex(header, index);
    const places = new Map(entries.map((entry) => [digestKey(entry.digest), entry]));
    for (const { digest, offset, sizeBytes } of contents) {
      const entry = places.get(digestKey(digest));
      if (entry?.offset !== offset || entry.sizeBytes !== sizeBytes) throw otherIndex();
    }
    return;
  }
  const read = header.kind === RecordKind.delta ? readDeltaIndex : readContentIndex;
  const { digest, sizeBytes } = read(index);
  if (header.kind === RecordKind.signature) return; // its content is in the catalog
  for (const content of contents) {
    if (!digest.equals(content.digest) || sizeBytes !== content.sizeBytes) throw otherIndex();
  }
}

function otherIndex(): TardisError {
  return recordDamaged('its index has other contents than the catalog');
}

/**
 * Runs `work`. Returns a description of the damage if it finds damaged bytes in the store; throws every other error.
 */
export async function faultOf(work: () => Promise<void>): Promise<Fault> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof TardisError)) throw error;
    const isUnreadable = unreadableObject(error) !== undefined;
    if (!isDamage(error) && !isUnreadable) throw error;
    return error.message;
  }
}
