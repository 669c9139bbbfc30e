/** Checks a client's catalog: the pages of its file, its consistency, and whether it agrees with the packs. */
import {
  believePages,
  CatalogAudit,
  type CommitPoint,
  commitsBehind,
  comparePages,
  fingerprintOf,
  type Inconsistency,
  pagesDamaged,
} from '../../store/catalog/index.js';
import { asTardisError, isBadSector } from '../../errors/index.js';
import { type Backend, type ClientDirectory, withClient } from '../../store/index.js';
import type { CheckCounts, Finding } from './findings.js';
import { isForLater } from './client-files.js';
import type { Reference } from './reference.js';
import type { System } from '../../system/index.js';

/** The client that is checked, and the receiver of the findings. */
export interface Checked {
  readonly system: System;
  readonly directory: ClientDirectory;
  readonly counts: CheckCounts;
  /** True if marks and repairs are stored. */
  readonly mark: boolean;
  readonly onFinding: (finding: Finding) => void;
}

export class CatalogCheck {
  private readonly fingerprint: string;
  /** True if pages were compared, and the catalog has no checksums for them. */
  private isUnproven = false;
  /** True if the disk cannot read a part of the file. */
  private isUnreadable = false;

  constructor(private readonly checked: Checked) {
    this.fingerprint = fingerprintOf(checked.system, checked.directory.catalogPath);
  }

  /** Reports pages of the catalog's file that do not match their checksums. */
  async comparePages(): Promise<void> {
    const { system, directory, mark } = this.checked;
    const { catalogPath } = directory;
    const mayRemember = mark && system.files.isWritable(directory.path);
    const verdict = await comparePages(system, catalogPath, mayRemember).catch((error: unknown) => {
      if (!isBadSector(error)) throw error;
      this.isUnreadable = true;
      this.report(`${catalogPath} cannot be read: ${asTardisError(error).message}`);
      return { kind: 'changing' } as const;
    });
    if (verdict.kind === 'damaged') this.report(pagesDamaged(catalogPath, verdict.pages).message);
    this.isUnproven = verdict.kind === 'unknown';
  }

  /** Opens the catalog and reports its faults. Returns undefined if it cannot be used. The caller closes the result. */
  open(): CatalogAudit | undefined {
    const { system, directory } = this.checked;
    let audit: CatalogAudit | undefined;
    if (this.isUnreadable) return undefined;
    try {
      audit = CatalogAudit.open(system, directory.catalogPath);
      const faults = audit.integrity();
      if (faults.length === 0) {
        this.reportFaults(audit.inconsistencies());
        return audit;
      }
      for (const fault of faults) this.report(fault);
    } catch (error) {
      const failure = asTardisError(error);
      if (failure.code !== 'CATALOG_DAMAGED' && !isBadSector(error)) {
        audit?.close();
        throw failure;
      }
      this.report(failure.message);
    }
    audit?.close();
    return undefined;
  }

  /**
   * Reports the differences between the catalog and the packs. If the packs have lost listings or events, reports the
   * versions that only the catalog has instead. If other records of the packs are damaged, compares nothing.
   */
  compare(
    audit: CatalogAudit | undefined,
    reference: Reference,
    point: CommitPoint | undefined,
  ): void {
    const { report } = reference;
    const isBehind = report.point.commit < (point?.commit ?? 0);
    // If listings or events are damaged, the catalog contains more than can be compared.
    if (report.isMetadataLost || isBehind) {
      const lost = audit === undefined ? undefined : reference.lacks(audit);
      const { versions, sets = [] } = lost ?? {};
      this.checked.counts.damagedMetadata += 1;
      this.checked.onFinding({ finding: 'history', versions, sets });
    } else if (audit !== undefined && report.damagedRecords === 0) {
      this.reportFaults(reference.differencesTo(audit));
    }
  }

  /**
   * Reports doubtful sets. For a client in a directory, also reports a catalog that is older than its packs. Such a
   * catalog is sound, but lacks sets.
   */
  async compareEnd(audit: CatalogAudit | undefined, files: Backend): Promise<void> {
    if (audit === undefined) return;
    const { state, sets } = audit.catalog;
    const doubtful = sets.listed().filter(({ isDoubtful }) => isDoubtful);
    this.checked.counts.doubtfulSets = doubtful.length;
    if (doubtful.length > 0) {
      this.checked.onFinding({ finding: 'doubtful', sets: doubtful.map(({ set }) => set) });
    }
    const commits = await commitsBehind(this.checked.system, this.checked.directory, files, state);
    if (commits === 0) return;
    this.report(
      `it is older than the packs, which hold later sets (checkpoints it lacks: ${commits})`,
    );
  }

  /**
   * Adds page checksums to a catalog that has none. Does nothing if the check has found a fault in the catalog, stores
   * no marks, or may not write. Call it last.
   */
  async believe(): Promise<void> {
    const { system, directory, mark, counts } = this.checked;
    if (!this.isUnproven) return;
    if (counts.catalogFaults > 0 || !mark) return;
    if (!system.files.isWritable(directory.path)) return;
    try {
      await withClient(system, directory, async () =>
        believePages(system, directory.catalogPath, this.fingerprint),
      );
    } catch (error) {
      if (!isForLater(error)) throw error; // the next check does it
    }
  }

  private reportFaults(faults: readonly Inconsistency[]): void {
    for (const { what, rows } of faults) this.report(`${what} (${rows})`);
  }

  private report(what: string): void {
    this.checked.counts.catalogFaults += 1;
    this.checked.onFinding({ finding: 'catalog', what });
  }
}
