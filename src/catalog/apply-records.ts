/** Records of contents as they lie in packs and objects, put into a catalog; damage in one is counted. */
import { TardisError } from '../errors/index.js';
import { digestKey } from '../model/index.js';
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
} from '../store/index.js';
import { applyContentRecord, applyUnsoundRecord } from './apply.js';
import type { Catalog } from './catalog.js';
import type { PendingRecord } from './commit-walk.js';

export class ContentRecords {
  private readonly catalog: Catalog;
  private readonly backend: Backend;
  private readonly checksBodies: boolean;
  private readonly onDamaged: () => void;
  /** Contents that were found damaged, by digest key. */
  readonly unsound = new Set<string>();

  /** `checksBodies`: objects are read whole. `onDamaged`: called for each record that is not what it should be. */
  constructor(catalog: Catalog, backend: Backend, checksBodies: boolean, onDamaged: () => void) {
    this.catalog = catalog;
    this.backend = backend;
    this.checksBodies = checksBodies;
    this.onDamaged = onDamaged;
  }

  /** A record in a pack. `moved`: packs whose contents it takes the place of. Throws RECORD_DAMAGED. */
  async apply(record: PendingRecord, moved: ReadonlySet<number>): Promise<void> {
    const { header, index, location } = record;
    const { pack, position } = location;
    const body =
      header.kind === RecordKind.assembly
        ? (await readRecord(this.backend, packName(pack), position, recordBytes(header))).body
        : undefined;
    applyContentRecord(this.catalog, header, index, location, body, moved);
  }

  /** An object of its own, which has the name of a digest. Throws RECORD_DAMAGED. */
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
      applyContentRecord(this.catalog, header, index, location);
      return;
    }
    this.onDamaged();
    this.applyUnsound({ header, index, location });
  }

  /** An assembly's list must be whole to be of use; of all others the contents have digests. */
  applyUnsound({ header, index, location }: PendingRecord): void {
    if (header.kind === RecordKind.assembly) return;
    try {
      for (const digest of applyUnsoundRecord(this.catalog, header, index, location)) {
        this.unsound.add(digestKey(digest));
      }
    } catch (error) {
      // The index is damaged too; the record was counted already.
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    }
  }
}
