/** A catalog made anew from the packs, beside the store and for the time of a check: what the client's own is compared with. */
import path from 'node:path';
import {
  Catalog,
  CatalogAudit,
  type Inconsistency,
  recoverCatalog,
  type RecoveryReport,
} from '../catalog/index.js';
import type { Backend } from '../store/index.js';
import type { System } from '../system/index.js';

export class Reference {
  readonly report: RecoveryReport;
  private readonly system: System;
  private readonly folder: string;
  private readonly file: string;

  private constructor(system: System, folder: string, file: string, report: RecoveryReport) {
    this.system = system;
    this.folder = folder;
    this.file = file;
    this.report = report;
  }

  /** Replays what listings and events say; the bodies of contents are not read. Throws DISK_FULL, STORE_NEWER. */
  static async make(system: System, backend: Backend): Promise<Reference> {
    const folder = system.files.makeTemporaryDirectory();
    const file = path.join(folder, 'reference.db');
    let catalog: Catalog | undefined;
    try {
      catalog = Catalog.openTemporary(system, file);
      const options = { checkBodies: true, onlyMetadata: true };
      const report = await recoverCatalog(catalog, backend, options);
      catalog.close();
      return new Reference(system, folder, file, report);
    } catch (error) {
      catalog?.abandon();
      removeFolder(system, folder);
      throw error;
    }
  }

  differencesTo(audit: CatalogAudit): Inconsistency[] {
    return audit.differencesFrom(this.file);
  }

  /** What a rebuild would lose: versions that only the client's own catalog knows. */
  lacks(audit: CatalogAudit): { versions: number; sets: number[] } {
    return audit.lackingIn(this.file);
  }

  /** For a client whose own catalog cannot be used. */
  audit(): CatalogAudit {
    return CatalogAudit.open(this.system, this.file);
  }

  close(): void {
    removeFolder(this.system, this.folder);
  }
}

function removeFolder({ files }: System, folder: string): void {
  for (const name of files.list(folder)) files.unlink(path.join(folder, name));
  files.removeDirectory(folder);
}
