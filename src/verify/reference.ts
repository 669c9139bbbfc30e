/** A catalog made anew from the packs, beside the store and for the time of a check: what the client's own is compared with. */
import {
  Catalog,
  CatalogAudit,
  type Inconsistency,
  recoverCatalog,
  type RecoveryReport,
} from '../catalog/index.js';
import { letGo } from '../errors/index.js';
import type { Backend } from '../store/index.js';
import { PrivateFolder, type System } from '../system/index.js';

const FILE = 'reference.db';

export class Reference {
  readonly report: RecoveryReport;
  private readonly system: System;
  private readonly folder: PrivateFolder;

  private constructor(system: System, folder: PrivateFolder, report: RecoveryReport) {
    this.system = system;
    this.folder = folder;
    this.report = report;
  }

  /** Replays what listings and events say; the bodies of contents are not read. Throws DISK_FULL, STORE_NEWER. */
  static async make(system: System, backend: Backend): Promise<Reference> {
    const folder = new PrivateFolder(system.files);
    let catalog: Catalog | undefined;
    try {
      catalog = Catalog.openTemporary(system, folder.file(FILE));
      const options = { checkBodies: true, onlyMetadata: true };
      const report = await recoverCatalog(catalog, backend, options);
      catalog.close();
      return new Reference(system, folder, report);
    } catch (error) {
      letGo(
        () => catalog?.abandon(),
        () => folder.remove(),
      );
      throw error;
    }
  }

  differencesTo(audit: CatalogAudit): Inconsistency[] {
    return audit.differencesFrom(this.folder.file(FILE));
  }

  /** What a rebuild would lose: versions that only the client's own catalog knows. */
  lacks(audit: CatalogAudit): { versions: number; sets: number[] } {
    return audit.lackingIn(this.folder.file(FILE));
  }

  /** For a client whose own catalog cannot be used. */
  audit(): CatalogAudit {
    return CatalogAudit.open(this.system, this.folder.file(FILE));
  }

  close(): void {
    this.folder.remove();
  }
}
