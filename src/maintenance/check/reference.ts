/**
 * A catalog rebuilt from the packs for the duration of a check, outside the store. The client's own catalog is
 * compared with it.
 */
import type { SetNumber } from '../../model/index.js';
import {
  Catalog,
  CatalogAudit,
  type Inconsistency,
  recoverCatalog,
  type RecoveryReport,
} from '../../store/catalog/index.js';
import { Opened } from '../../errors/index.js';
import type { Backend } from '../../store/index.js';
import { PrivateFolder, type System } from '../../system/index.js';

const FILE = 'reference.db';

export class Reference {
  private constructor(
    private readonly system: System,
    private readonly folder: PrivateFolder,
    readonly report: RecoveryReport,
  ) {}

  /**
   * Rebuilds a catalog by replaying listings and events. The bodies of contents are not read. Throws TEMPORARY_FULL if
   * the disk of temporary files is full, and STORE_NEWER.
   */
  static async make(system: System, backend: Backend): Promise<Reference> {
    using opened = new Opened();
    const folder = opened.add(new PrivateFolder(system), (one) => one.remove());
    try {
      const temporary = Catalog.openTemporary(system, folder.file(FILE));
      const catalog = opened.add(temporary, (one) => one.abandon());
      const options = { checkBodies: true, onlyMetadata: true };
      const report = await recoverCatalog(catalog, backend, options);
      catalog.close();
      opened.move();
      return new Reference(system, folder, report);
    } catch (error) {
      throw folder.explain(error);
    }
  }

  differencesTo(audit: CatalogAudit): Inconsistency[] {
    return audit.differencesFrom(this.folder.file(FILE));
  }

  /**
   * Returns the number of versions that only the client's own catalog contains, and the sets in which they began. A
   * rebuild would lose these versions.
   */
  lacks(audit: CatalogAudit): { versions: number; sets: SetNumber[] } {
    return audit.lackingIn(this.folder.file(FILE));
  }

  /** Opens the rebuilt catalog, for a client whose own catalog cannot be used. */
  audit(): CatalogAudit {
    return CatalogAudit.open(this.system, this.folder.file(FILE));
  }

  close(): void {
    this.folder.remove();
  }
}
