/** Loads the content records of packs and objects into a catalog, and reports damaged ones. */
import { TardisError } from '../../../errors/index.js';
import { digestKey, type PackNumber } from '../../../model/index.js';
import {
  type Backend,
  isRecordSound,
  NO_PACK,
  objectName,
  packName,
  readHeader,
  readRecord,
  RECORD_HEADER_BYTES,
  recordBytes,
  RecordKind,
} from '../../index.js';
import { applyContentRecord, applyUnsoundRecord } from '../content-records.js';
import type { Catalog } from '../catalog.js';
import type { PendingRecord } from './commit-walk.js';

export class ContentRecords {
  /** Digest keys of damaged contents. */
  readonly unsound = new Set<string>();

  /**
   * Creates a loader. With `checksBodies`, objects are read completely. `onDamaged` is called for each damaged object.
   */
  constructor(
    private readonly catalog: Catalog,
    private readonly backend: Backend,
    private readonly checksBodies: boolean,
    private readonly onDamaged: () => void,
  ) {}

  /**
   * Applies a record of a pack. `moved` has the packs whose contents the record replaces. Throws RECORD_DAMAGED if its
   * index is malformed, or it is an assembly with a damaged body.
   */
  async apply(record: PendingRecord, moved?: ReadonlySet<PackNumber>): Promise<void> {
    const { header, index, location } = record;
    const { pack, position } = location;
    const body =
      header.kind === RecordKind.assembly
        ? (await readRecord(this.backend, packName(pack), position, recordBytes(header))).body
        : undefined;
    applyContentRecord(this.catalog, header, index, { location, body, moved });
  }

  /**
   * Applies an object, whose name is its digest. An object without a valid header is only counted as damaged. An object
   * with a damaged body is counted too, and passed to `applyUnsound`. Throws RECORD_DAMAGED if its index is malformed.
   */
  async applyObject(digest: Buffer): Promise<void> {
    const name = objectName(digest);
    const head = Buffer.alloc(RECORD_HEADER_BYTES);
    const sizeBytes = await this.backend.size(name);
    if (sizeBytes !== undefined) await this.backend.read(name, 0, head, head.length);
    const header = readHeader(head, 0);
    if (header === undefined || recordBytes(header) !== sizeBytes) {
      this.onDamaged();
      return;
    }
    const index = Buffer.alloc(header.indexBytes);
    await this.backend.read(name, RECORD_HEADER_BYTES, index, index.length);
    const location = { pack: NO_PACK, position: 0 };
    if (!this.checksBodies || (await isRecordSound(this.backend, name, 0, header))) {
      applyContentRecord(this.catalog, header, index, { location });
      return;
    }
    this.onDamaged();
    this.applyUnsound({ header, index, location });
  }

  /**
   * Applies a record with a damaged body. An assembly is left out, since its list of parts must be intact. All
   * other contents have digests that show whether they are usable.
   */
  applyUnsound({ header, index, location }: PendingRecord): void {
    if (header.kind === RecordKind.assembly) return;
    try {
      for (const digest of applyUnsoundRecord(this.catalog, header, index, location)) {
        this.unsound.add(digestKey(digest));
      }
    } catch (error) {
      // The index is damaged too; the record was already counted.
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    }
  }
}
