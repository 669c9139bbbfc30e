/**
 * Finds missing contents in packs and objects that the history of a rebuild does not name. Such a pack may have been
 * missing when the image was written, and have been put back since.
 */
import { TardisError } from '../../../errors/index.js';
import { digestKey, type PackNumber } from '../../../model/index.js';
import {
  type Backend,
  isOfContents,
  isRecordSound,
  objectName,
  packName,
  scanPack,
} from '../../index.js';
import { yieldRegularly } from '../../../system/index.js';
import { digestsIn } from '../content-records.js';
import type { ContentRecords } from './apply-records.js';
import type { Catalog } from '../catalog.js';
import { MAX_DEPTH } from '../locate.js';
import type { PendingRecord } from './commit-walk.js';

/**
 * Maximum number of passes: more than the longest chain of deltas has links. A delta or assembly that was found may
 * itself need missing contents, which the next pass finds.
 */
const MOST_PASSES = MAX_DEPTH + 2;

export class FoundContents {
  private readonly found = new Map<string, Buffer>();
  private readonly breathe = yieldRegularly();

  /** Creates the search. Objects whose digest keys are in `removedObjects` are not searched for. */
  constructor(
    private readonly catalog: Catalog,
    private readonly backend: Backend,
    private readonly contents: ContentRecords,
    private readonly removedObjects: ReadonlyMap<string, number>,
  ) {}

  get digests(): Buffer[] {
    return [...this.found.values()];
  }

  has(digest: Buffer): boolean {
    return this.found.has(digestKey(digest));
  }

  /** Searches these packs and the objects for missing contents, and records their places. */
  async load(packs: readonly PackNumber[]): Promise<void> {
    for (let pass = 0; pass < MOST_PASSES; pass += 1) {
      if (this.catalog.history.brokenVersions === 0) return;
      const before = this.found.size;
      await this.loadObjects();
      for (const pack of packs) await this.loadPack(pack);
      if (this.found.size === before) return;
    }
  }

  private async loadObjects(): Promise<void> {
    for (const page of this.catalog.contents.missing()) {
      for (const { digest } of page) await this.loadObject(digest);
    }
  }

  private async loadObject(digest: Buffer): Promise<void> {
    await this.breathe();
    const key = digestKey(digest);
    if (this.removedObjects.has(key)) return;
    if ((await this.backend.size(objectName(digest))) === undefined) return;
    await this.contents.applyObject(digest);
    if (this.catalog.contents.find(digest)?.isStored === true) this.found.set(key, digest);
  }

  private async loadPack(pack: PackNumber): Promise<void> {
    const { catalog, backend } = this;
    for await (const { record, missing } of missingIn(catalog, backend, pack, this.breathe)) {
      const { header, location } = record;
      if (!(await isRecordSound(backend, packName(pack), location.position, header))) continue;
      const isApplied = await soundOr(false, async () => {
        await this.contents.apply(record);
        return true;
      });
      if (isApplied) for (const digest of missing) this.found.set(digestKey(digest), digest);
    }
  }
}

/** A record of a pack, and the contents in it that the catalog needs but does not have. */
interface RecordOfMissing {
  readonly record: PendingRecord;
  readonly missing: readonly Buffer[];
}

/**
 * Yields the records of a pack with contents that the catalog needs but does not have. Only headers and indexes are
 * read.
 */
export async function* missingIn(
  { contents }: Catalog,
  backend: Backend,
  pack: PackNumber,
  breathe: () => Promise<void> | undefined,
): AsyncGenerator<RecordOfMissing> {
  for await (const { header, index, position } of scanPack(backend, pack, 0, true)) {
    await breathe();
    if (!isOfContents(header)) continue;
    const missing = digestsIn(header, index).filter(
      (digest) => contents.find(digest)?.isStored === false,
    );
    if (missing.length > 0)
      yield { record: { header, index, location: { pack, position } }, missing };
  }
}

/** Returns the result of `work`, or `otherwise` if it throws RECORD_DAMAGED. */
export async function soundOr<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    return otherwise;
  }
}
