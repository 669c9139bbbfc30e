/**
 * Copies contents to another generation or store, each one after the contents that it is based on. Now and then the
 * copied contents are made durable. A subclass copies a single record.
 */
import { ReusedBuffers, type RecordPlace, RecordReader, MAX_CHAIN } from '../../contents/index.js';
import {
  type IdSet,
  Locator,
  type PlacedContent,
  type StoredContent,
} from '../../store/catalog/index.js';
import { isDamage } from '../../errors/index.js';
import { type ContentId, NO_CONTENT } from '../../model/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { yieldRegularly } from '../../system/index.js';
import { locationName } from '../../store/index.js';
import type { OldStore } from './old-generation.js';

export abstract class ContentTransfer<Old extends OldStore = OldStore> {
  /** True if a content could not be read, or did not match its checksums or digests. */
  hasLost = false;
  /** Contents that cannot be copied, and those that are being copied, since a content cannot depend on itself. */
  private readonly lost = new Set<ContentId>();
  private lastContent: ContentId = NO_CONTENT;
  /** Yields to other tasks, and throws INTERRUPTED. A large file is one content that is based on many. */
  private breathe = yieldRegularly();
  protected readonly locator = new Locator();
  protected readonly reader: RecordReader;

  /** `needed`: ids of the contents to copy; undefined for all of them. */
  constructor(
    protected readonly old: Old,
    protected readonly store: StoreWriter,
    private readonly needed: IdSet | undefined,
  ) {
    const { backend, native, keys } = old.source;
    this.reader = new RecordReader(backend, native, new ReusedBuffers(), keys);
  }

  /** Returns the digest under which entries name an old content; that of no content if the content is lost. */
  abstract digestFor(old: Uint8Array): Buffer;

  /** Returns the digest of an old content that is stored at the target; undefined if it is not stored there. */
  protected abstract storedAs(old: Uint8Array): Buffer | undefined;

  /** Copies a content that the target lacks. Throws RECORD_DAMAGED or CONTENT_DAMAGED if it is damaged. */
  protected abstract move(
    contentId: ContentId,
    stored: StoredContent,
    depth: number,
  ): Promise<void>;

  /** Copies a signature of the content with this digest at the target. Throws as `move` does. */
  protected abstract moveSignature(signature: PlacedContent, digest: Buffer): Promise<void>;

  /**
   * Copies the needed contents that were added since the last call and that the target lacks, and the signatures.
   * Throws INTERRUPTED if it is aborted, DISK_FULL if the target's disk is full.
   */
  async copyNew(signal: AbortSignal, onContent: (isNeeded: boolean) => void): Promise<void> {
    const { history } = this.old.catalog;
    this.breathe = yieldRegularly(signal);
    for (const page of history.contents(this.lastContent)) {
      for (const { contentId } of page) {
        await this.breathe();
        const isNeeded = this.isNeeded(contentId);
        if (isNeeded) await this.ensure(contentId);
        this.lastContent = contentId;
        onContent(isNeeded);
      }
    }
    for (const page of history.signatures()) {
      for (const signature of page) {
        await this.breathe();
        if (this.isNeeded(signature.contentId)) await this.ensureSignature(signature);
      }
    }
    this.reader.release();
    await this.checkpoint();
  }

  /** Makes the copied contents durable. */
  protected async checkpoint(): Promise<void> {
    await this.store.checkpoint();
  }

  protected isNeeded(contentId: ContentId | undefined): boolean {
    return this.needed === undefined || (contentId !== undefined && this.needed.has(contentId));
  }

  protected isStored(digest: Uint8Array): boolean {
    return this.store.catalog.contents.find(digest)?.isStored === true;
  }

  /**
   * Copies a content and, before it, the contents that it is based on. `depth` is the number of contents that are based
   * on it. Returns its digest at the target; undefined if it is lost.
   */
  protected async ensure(contentId: ContentId, depth = 0): Promise<Buffer | undefined> {
    await this.breathe();
    if (this.lost.has(contentId) || depth > MAX_CHAIN + 1) return undefined;
    const stored = this.old.catalog.contents.stored(contentId);
    if (stored === undefined) return undefined;
    const known = this.storedAs(stored.digest);
    if (known !== undefined) return known;
    this.lost.add(contentId); // removed after the copy
    await orLost(this.move(contentId, stored, depth));
    if (this.store.isCheckpointDue) await this.checkpoint();
    const digest = this.storedAs(stored.digest);
    if (digest === undefined) this.hasLost = true;
    else this.lost.delete(contentId);
    return digest;
  }

  /** Copies a signature that the target lacks. A damaged one is left out, and the next backup makes a new one. */
  private async ensureSignature(signature: PlacedContent): Promise<void> {
    const { contents, signatures } = this.store.catalog;
    const digest = this.storedAs(signature.digest);
    const contentId = digest && contents.find(digest)?.contentId;
    if (contentId === undefined || signatures.find(contentId) !== undefined) return;
    await orLost(this.moveSignature(signature, digest!));
  }
}

/** Waits for a copy. Damage, which can only be at the source, is no error; every other error stops the run. */
async function orLost(copying: Promise<void>): Promise<void> {
  await copying.catch((error: unknown) => {
    if (!isDamage(error)) throw error;
  });
}

/** Returns the place of a content's record. */
export function placeOf(stored: PlacedContent | StoredContent): RecordPlace {
  const { position, recordBytes, digest } = stored;
  return { object: locationName(stored, digest), position, recordBytes };
}
