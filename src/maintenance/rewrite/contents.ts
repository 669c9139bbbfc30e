/**
 * Copies contents into the new generation. Each record is read, checked by its digests, and encrypted with the new
 * keys. Frames stay frames, deltas stay deltas, and compressed data is not compressed again. Only a frame of which some
 * contents are left out, or a delta without its basis, is made anew.
 */
import { createHash } from 'node:crypto';
import {
  contentsIn,
  damagedRecord,
  fetchHead,
  fetchParts,
  hashIn,
  readWhole,
  type RecordPlace,
} from '../../contents/index.js';
import type { IdSet, PlacedContent, StoredContent } from '../../store/catalog/index.js';
import {
  BytesBuilder,
  contentDigest,
  type ContentId,
  DIGEST_BYTES,
  encodeParts,
  partsDigest,
} from '../../model/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import {
  buildEncoded,
  buildFrame,
  buildRecord,
  Codec,
  FRAME_ENTRY_BYTES,
  MAX_FRAME_RAW_BYTES,
  RECORD_CHUNKED,
  RecordKind,
  type Slice,
  writeContentIndex,
} from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';
import { isDamage } from '../../errors/index.js';
import { ContentTransfer, placeOf } from './content-transfer.js';
import type { DigestMap } from './digest-map.js';
import type { NewKeys } from './new-keys.js';
import type { OldGeneration } from './old-generation.js';
import { COMPRESSION, StreamMover } from './streams.js';

/** The keys of the new generation, and what has them. */
interface Move {
  readonly store: StoreWriter;
  readonly keys: NewKeys;
  readonly map: DigestMap;
  /** Ids of the contents to copy; undefined for all of them. */
  readonly needed: IdSet | undefined;
}

export class ContentMover extends ContentTransfer<OldGeneration> {
  private readonly streams: StreamMover;
  private readonly keys: NewKeys;
  private readonly map: DigestMap;

  constructor(
    private readonly native: NativeCalls,
    old: OldGeneration,
    { store, keys, map, needed }: Move,
  ) {
    super(old, store, needed);
    this.keys = keys;
    this.map = map;
    this.streams = new StreamMover(old, store, keys);
  }

  protected override async checkpoint(): Promise<void> {
    this.map.commit();
    await super.checkpoint();
  }

  protected storedAs(old: Uint8Array): Buffer | undefined {
    const fresh = this.map.find(old);
    return fresh !== undefined && this.isStored(fresh) ? fresh : undefined;
  }

  /** Returns the digest of an old content under the new keys; for a lost one, that of no content. */
  digestFor(old: Uint8Array): Buffer {
    return this.storedAs(old) ?? this.keys.digest(Buffer.from(old));
  }

  protected async move(contentId: ContentId, stored: StoredContent, depth: number): Promise<void> {
    try {
      await this.moveRecord(contentId, stored, depth);
    } catch (error) {
      if (!isDamage(error)) throw error;
      await this.salvage(contentId, stored);
    }
  }

  private async moveRecord(
    contentId: ContentId,
    stored: StoredContent,
    depth: number,
  ): Promise<void> {
    const place = placeOf(stored);
    const { kind, digest } = stored;
    if (kind === RecordKind.assembly) return this.moveAssembly(place, digest, depth);
    if (kind === RecordKind.delta) return this.moveDelta(contentId, stored, depth);
    const { header } = await fetchHead(this.old.source, place);
    if ((header.flags & RECORD_CHUNKED) === 0) return this.moveWhole(place);
    const fresh = await this.streams.move(place);
    this.map.put(digest, fresh);
  }

  /**
   * Copies a frame, or a content in one piece. Contents that do not match their digests are left out of `map`. Throws
   * RECORD_DAMAGED if the record is damaged or too large.
   */
  private async moveWhole(place: RecordPlace): Promise<void> {
    const { old, native, keys, store } = this;
    const { header, index, body, decoded } = await readWhole(old.source, place);
    if (header.kind !== RecordKind.frame && header.kind !== RecordKind.content)
      throw damagedRecord(place);
    const entryBytes = header.kind === RecordKind.frame ? FRAME_ENTRY_BYTES : index.length;
    const known: [old: Buffer, fresh: Buffer][] = [];
    const slices: Slice[] = [];
    let left = 0;
    for (const [number, content] of contentsIn(header, index).entries()) {
      const { digest, sizeBytes, offset } = content;
      const hash = hashIn(native, decoded, content);
      const fresh = keys.digest(Buffer.from(hash));
      const isRight = contentDigest(native, old.keyring?.contents, hash).equals(digest);
      const isNeeded = this.isNeeded(old.catalog.contents.find(digest)?.contentId);
      if (isRight && isNeeded) {
        known.push([Buffer.from(digest), fresh]);
        slices.push({ digest: fresh, start: offset, sizeBytes });
      }
      left += isNeeded ? 0 : 1;
      fresh.copy(index, number * entryBytes); // a damaged content gets the digest of its actual bytes
    }
    const { kind, codec, rawBytes } = header;
    const target = new BytesBuilder(place.recordBytes + index.length);
    const cipher = keys.freshCipher();
    if (left === 0) buildEncoded({ kind, codec, rawBytes, index, body }, target, cipher);
    else if (slices.length > 0)
      buildFrame(decoded, slices, { compression: COMPRESSION, target, cipher });
    else return;
    store.appendContents(target.take());
    for (const [before, fresh] of known) this.map.put(before, fresh);
  }

  /**
   * Copies one content of a frame or of a record in one piece whose other bytes are damaged, if a restore could still
   * read this content. Does nothing for other records. Throws RECORD_DAMAGED or CONTENT_DAMAGED if the content itself
   * is damaged.
   */
  private async salvage(contentId: ContentId, { kind, digest }: StoredContent): Promise<void> {
    const { old, reader, keys, store, native } = this;
    const [piece] = this.locator.locate(old.catalog.contents, contentId) ?? [];
    const isWhole = kind === RecordKind.frame || kind === RecordKind.content;
    if (!isWhole || piece === undefined || piece.sizeBytes > MAX_FRAME_RAW_BYTES) return;
    const raw = Buffer.alloc(piece.sizeBytes);
    let sizeBytes = 0;
    for await (const bytes of reader.pieceBytes(piece, piece)) {
      sizeBytes += bytes.copy(raw, sizeBytes);
    }
    reader.release();
    const hash = Buffer.alloc(DIGEST_BYTES);
    native.sha256(raw, 0, sizeBytes, hash, 0);
    const fresh = keys.digest(hash);
    const target = new BytesBuilder(sizeBytes);
    const slice = { digest: fresh, start: 0, sizeBytes };
    buildFrame(raw, [slice], { compression: COMPRESSION, target, cipher: keys.freshCipher() });
    store.appendContents(target.take());
    this.map.put(digest, fresh);
  }

  /**
   * Copies a delta; if its basis is left out, stores the content that it produces. That content is read whole in both
   * cases, since the digest is that of the whole content. Throws RECORD_DAMAGED or CONTENT_DAMAGED if the delta or its
   * basis is damaged.
   */
  private async moveDelta(
    contentId: ContentId,
    stored: StoredContent,
    depth: number,
  ): Promise<void> {
    const { old, reader, keys } = this;
    const place = placeOf(stored);
    const [piece] = this.locator.locate(old.catalog.contents, contentId) ?? [];
    if (stored.basisId === null || piece === undefined) throw damagedRecord(place);
    if (!this.isNeeded(stored.basisId)) {
      const fresh = await this.streams.makeWhole(place, reader.pieceBytes(piece, piece));
      reader.release();
      this.map.put(stored.digest, fresh);
      return;
    }
    const basis = await this.ensure(stored.basisId, depth + 1);
    if (basis === undefined) throw damagedRecord(place);
    const hash = createHash('sha256');
    for await (const bytes of reader.pieceBytes(piece, piece)) hash.update(bytes);
    reader.release();
    const digest = keys.digest(hash.digest());
    this.map.put(stored.digest, await this.streams.move(place, { digest, basis }));
  }

  private async moveAssembly(place: RecordPlace, digest: Buffer, depth: number): Promise<void> {
    const { old, native, keys, store } = this;
    const parts = await fetchParts(old.backend, place);
    const whole = contentDigest(native, old.keyring?.contents, partsDigest(parts));
    if (!whole.equals(digest)) throw damagedRecord(place);
    const moved: { digest: Buffer; sizeBytes: number }[] = [];
    for (const part of parts) {
      const found = old.catalog.contents.find(part.digest);
      const fresh = found && (await this.ensure(found.contentId, depth + 1));
      if (fresh === undefined) throw damagedRecord(place);
      moved.push({ digest: fresh, sizeBytes: part.sizeBytes });
    }
    const fresh = keys.digest(partsDigest(moved));
    const sizeBytes = moved.reduce((sum, part) => sum + part.sizeBytes, 0);
    const content = { digest: fresh, sizeBytes, fileSizeBytes: sizeBytes, chunkBytes: 0 };
    const body = encodeParts(moved);
    const head = { kind: RecordKind.assembly, codec: Codec.none, rawBytes: body.length };
    const index = writeContentIndex(content);
    store.appendContents(buildRecord(head, index, body));
    this.map.put(digest, fresh);
  }

  protected async moveSignature(signature: PlacedContent, digest: Buffer): Promise<void> {
    // A signature that an account has sent cannot be checked, so it is left out.
    if (this.old.catalog.accounts.isSignatureUnproven(signature.contentId)) return;
    await this.streams.move(placeOf(signature), { digest });
  }
}
