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
  fetchRecord,
  hashIn,
  ReaderMemory,
  readWhole,
  type RecordPlace,
  RecordReader,
} from '../../contents/index.js';
import {
  applyContentRecord,
  type IdSet,
  Locator,
  type PlacedContent,
  type StoredContent,
} from '../../store/catalog/index.js';
import { TardisError, throwIfAborted } from '../../errors/index.js';
import {
  BytesBuilder,
  contentDigest,
  type ContentId,
  decodeParts,
  DIGEST_BYTES,
  encodeParts,
  NO_CONTENT,
  partsDigest,
} from '../../model/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import {
  buildEncoded,
  buildFrame,
  buildRecord,
  Codec,
  FRAME_ENTRY_BYTES,
  locationName,
  MAX_FRAME_RAW_BYTES,
  parseRecord,
  readHeader,
  RECORD_CHUNKED,
  RecordKind,
  type Slice,
  writeContentIndex,
} from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { DigestMap } from './digest-map.js';
import type { NewKeys } from './new-keys.js';
import type { OldGeneration } from './old-generation.js';
import { COMPRESSION, StreamMover } from './streams.js';

/** Number of bytes copied between two checkpoints. */
const CHECKPOINT_BYTES = 64 << 20;

/** Source, target and options of copying contents between two generations. */
interface Move {
  readonly old: OldGeneration;
  readonly store: StoreWriter;
  readonly keys: NewKeys;
  readonly map: DigestMap;
  /** Ids of the contents to copy; undefined for all of them. */
  readonly needed: IdSet | undefined;
}

export class ContentMover {
  /** Number of contents examined. */
  contents = 0;
  /** Old contents that cannot be read, or do not match their digest. */
  private readonly lost = new Set<ContentId>();
  private sinceCheckpoint = 0;
  private lastContent: ContentId = NO_CONTENT;
  private readonly locator = new Locator();
  private readonly reader: RecordReader;
  private readonly streams: StreamMover;
  private readonly old: OldGeneration;
  private readonly store: StoreWriter;
  private readonly keys: NewKeys;
  private readonly map: DigestMap;
  private readonly needed: IdSet | undefined;

  constructor(
    private readonly native: NativeCalls,
    { old, store, keys, map, needed }: Move,
  ) {
    this.old = old;
    this.store = store;
    this.keys = keys;
    this.map = map;
    this.needed = needed;
    const { backend, keys: oldKeys } = old.source;
    this.reader = new RecordReader(backend, native, new ReaderMemory(), oldKeys);
    this.streams = new StreamMover(native, old, store, keys);
  }

  /** Copies all contents that were added since the last call, and their signatures. */
  async moveNew(signal: AbortSignal, onMoved: () => void): Promise<void> {
    const { history } = this.old.catalog;
    for (const page of history.contents(this.lastContent)) {
      for (const { contentId } of page) {
        throwIfAborted(signal);
        if (this.isNeeded(contentId)) await this.ensure(contentId);
        this.lastContent = contentId;
        this.contents += 1;
        onMoved();
      }
    }
    for (const page of history.signatures()) {
      for (const signature of page) {
        throwIfAborted(signal);
        await this.moveSignature(signature);
      }
    }
    await this.checkpoint();
  }

  /** Makes the copied contents durable. */
  async checkpoint(): Promise<void> {
    this.sinceCheckpoint = 0;
    this.map.commit();
    await this.store.checkpoint();
  }

  /** Returns the digest that an old content has in the new generation; undefined if it is not stored there. */
  digestOf(old: Uint8Array): Buffer | undefined {
    const fresh = this.map.find(old);
    return fresh !== undefined && this.isStored(fresh) ? fresh : undefined;
  }

  /** Returns a digest to stand for a content that is lost. No content has this digest. */
  standIn(old: Uint8Array): Buffer {
    return this.keys.digest(Buffer.from(old));
  }

  private isNeeded(contentId: ContentId | undefined): boolean {
    return this.needed === undefined || (contentId !== undefined && this.needed.has(contentId));
  }

  private isStored(digest: Uint8Array): boolean {
    return this.store.catalog.contents.find(digest)?.isStored === true;
  }

  /**
   * Copies a content and, before it, the contents that it is based on. Returns its new digest; undefined if it is lost.
   */
  private async ensure(contentId: ContentId): Promise<Buffer | undefined> {
    if (this.lost.has(contentId)) return undefined;
    const stored = this.old.catalog.contents.stored(contentId);
    if (stored === undefined) return undefined;
    const known = this.digestOf(stored.digest);
    if (known !== undefined) return known;
    try {
      await this.move(contentId, stored).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        return this.salvage(contentId, stored);
      });
      if (this.sinceCheckpoint >= CHECKPOINT_BYTES) await this.checkpoint();
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    const digest = this.digestOf(stored.digest);
    if (digest === undefined) this.lost.add(contentId);
    return digest;
  }

  private async move(contentId: ContentId, stored: StoredContent): Promise<void> {
    const place = placeOf(stored);
    const { kind, digest } = stored;
    this.sinceCheckpoint += stored.recordBytes;
    if (kind === RecordKind.assembly) return this.moveAssembly(place, digest);
    if (kind === RecordKind.delta) return this.moveDelta(contentId, stored, place);
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
    const record = target.take();
    const parsed = parseRecord(record);
    const location = store.packs.append(record);
    applyContentRecord(store.catalog, parsed.header, Buffer.from(parsed.index), { location });
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
    const record = target.take();
    const { header, index } = parseRecord(record);
    const location = store.packs.append(record);
    applyContentRecord(store.catalog, header, Buffer.from(index), { location });
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
    place: RecordPlace,
  ): Promise<void> {
    const { old, reader, keys } = this;
    const [piece] = this.locator.locate(old.catalog.contents, contentId) ?? [];
    if (stored.basisId === null || piece === undefined) throw damagedRecord(place);
    if (!this.isNeeded(stored.basisId)) {
      const fresh = await this.streams.makeWhole(place, reader.pieceBytes(piece, piece));
      reader.release();
      this.map.put(stored.digest, fresh);
      return;
    }
    const basis = await this.ensure(stored.basisId);
    if (basis === undefined) throw damagedRecord(place);
    const hash = createHash('sha256');
    for await (const bytes of reader.pieceBytes(piece, piece)) hash.update(bytes);
    reader.release();
    const digest = keys.digest(hash.digest());
    this.map.put(stored.digest, await this.streams.move(place, { digest, basis }));
  }

  private async moveAssembly(place: RecordPlace, digest: Buffer): Promise<void> {
    const { old, native, keys, store } = this;
    const bytes = Buffer.allocUnsafe(place.recordBytes);
    await fetchRecord(old.source.backend, place, 0, bytes);
    const parts = decodeParts(parseRecord(bytes).body);
    const whole = contentDigest(native, old.keyring?.contents, partsDigest(parts));
    if (!whole.equals(digest)) throw damagedRecord(place);
    const moved: { digest: Buffer; sizeBytes: number }[] = [];
    for (const part of parts) {
      const found = old.catalog.contents.find(part.digest);
      const fresh = found && (await this.ensure(found.contentId));
      if (fresh === undefined) throw damagedRecord(place);
      moved.push({ digest: fresh, sizeBytes: part.sizeBytes });
    }
    const fresh = keys.digest(partsDigest(moved));
    const sizeBytes = moved.reduce((sum, part) => sum + part.sizeBytes, 0);
    const content = { digest: fresh, sizeBytes, fileSizeBytes: sizeBytes, chunkBytes: 0 };
    const body = encodeParts(moved);
    const head = { kind: RecordKind.assembly, codec: Codec.none, rawBytes: body.length };
    const index = writeContentIndex(content);
    const record = buildRecord(head, index, body);
    const location = store.packs.append(record);
    applyContentRecord(store.catalog, readHeader(record, 0)!, index, { location, body });
    this.map.put(digest, fresh);
  }

  /** Copies a signature. A damaged signature is left out, and the next backup makes a new one. */
  private async moveSignature(signature: PlacedContent): Promise<void> {
    const { contents, signatures } = this.store.catalog;
    const digest = this.digestOf(signature.digest);
    const contentId = digest && contents.find(digest)?.contentId;
    if (contentId === undefined || signatures.find(contentId) !== undefined) return;
    // A signature that an account has sent cannot be checked, so it is left out.
    if (this.old.catalog.accounts.isSignatureUnproven(signature.contentId)) return;
    this.sinceCheckpoint += signature.recordBytes;
    try {
      await this.streams.move(placeOf(signature), { digest: digest! });
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
}

export type Placed = Pick<StoredContent, 'pack' | 'position' | 'digest' | 'recordBytes'>;

/** Returns the place of a content's record. */
export function placeOf(stored: Placed): RecordPlace {
  const { position, recordBytes, digest } = stored;
  return { object: locationName(stored, digest), position, recordBytes };
}

/** True if the error reports damage, which can only be in the old generation. Every other error stops the run. */
export function isDamage(error: unknown): boolean {
  return error instanceof TardisError && ['RECORD_DAMAGED', 'CONTENT_DAMAGED'].includes(error.code);
}
