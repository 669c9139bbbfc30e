/**
 * A check of one client: its catalog for itself and against the packs, all records by their heads, and the bytes of
 * as many as are wanted. It reads as any reader does, without a lock; only to mark what is damaged it takes the lock for a moment.
 */
import {
  CatalogAudit,
  type CommitPoint,
  type Inconsistency,
  isUnusedClient,
} from '../catalog/index.js';
import type { Keyring } from '../crypto/index.js';
import { asTardisError, type TardisError } from '../errors/index.js';
import { settleMarks, type StoreLimits } from '../keeper/index.js';
import { type ClientDirectory, DirectoryBackend, locationName, packName } from '../store/index.js';
import { breather, type System } from '../system/index.js';
import { BoundedBackend } from './bounded-backend.js';
import { Casualties } from './casualties.js';
import { CommittedRanges } from './committed.js';
import { type CheckCounts, type Finding, newCounts } from './findings.js';
import { ContentProver } from './prover.js';
import { ReadMemory } from './read-memory.js';
import { type PlannedRecord, ReadPlan, type ReadRequest } from './read-plan.js';
import { Reference } from './reference.js';
import { StoreWalk } from './store-walk.js';
import { VersionNames } from './versions.js';

export interface CheckOptions {
  readonly read: ReadRequest;
  /** What opens the contents and names of a client that encrypts, if it is known. */
  readonly keyring: Keyring | undefined;
  readonly isEncrypted: boolean;
  /** Mark what is damaged, and take marks away from what is not. */
  readonly mark: boolean;
  readonly limits: StoreLimits;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly onStep: (step: CheckStep) => void;
  readonly onRead: (doneBytes: number, ofBytes: number) => void;
}

export type CheckStep = 'catalog' | 'packs' | 'records' | 'marks';

export interface CheckResult extends CheckCounts {
  /** False: what is encrypted was compared with checksums only. */
  readonly isOpened: boolean;
  /** Why what was found could not be marked. */
  readonly notMarked: TardisError | undefined;
  /** The next check does not know what this one has read. */
  readonly isForgetful: boolean;
}

/** Throws NO_SUCH_CLIENT, CATALOG_NEWER, STORE_NEWER, DISK_FULL, INTERRUPTED. */
export async function checkClient(
  system: System,
  directory: ClientDirectory,
  options: CheckOptions,
): Promise<CheckResult> {
  const check = new Check(system, directory, options);
  try {
    return await check.run();
  } finally {
    check.close();
  }
}

class Check {
  readonly counts = newCounts();
  /** What is to be closed, the last one first. */
  private readonly open: { close(): void }[] = [];
  private readonly system: System;
  private readonly directory: ClientDirectory;
  private readonly options: CheckOptions;

  constructor(system: System, directory: ClientDirectory, options: CheckOptions) {
    this.system = system;
    this.directory = directory;
    this.options = options;
  }

  async run(): Promise<CheckResult> {
    const { system, directory, options, counts } = this;
    options.onStep('catalog');
    const files = this.keep(new DirectoryBackend(directory.path, system.files));
    const own = isUnusedClient(system, directory.catalogPath) ? undefined : this.ownCatalog();
    const point = own?.catalog.state.readCommitPoint();
    const backend = new BoundedBackend(files, point);
    options.onStep('packs');
    const reference = this.keep(await Reference.make(system, backend));
    this.compare(own, reference, point);
    const audit = own ?? this.keep(reference.audit());
    const planned: PlannedRecord[] = [];
    const committed = await CommittedRanges.read(
      backend,
      ({ pack, ...place }) => planned.push({ object: packName(pack), ...place }),
      breather(),
    );
    for (const fault of committed.faults) {
      counts.damagedMetadata += 1;
      options.onFinding({ finding: 'record', role: 'metadata', ...fault });
    }
    planned.push(...objectsIn(audit));
    const memory = this.keep(ReadMemory.open(system, directory.path));
    memory.keepOnly(new Set(committed.packs.map(packName)));
    const nowMs = (): number => system.clock.nowMs();
    const plan = ReadPlan.make(options.read, memory, nowMs(), planned);
    planned.length = 0;
    counts.bytesToRead = plan.bytesToRead;
    const prover = this.keep(
      new ContentProver(system, audit, {
        backend: files,
        keys: options.keyring?.contents,
        canOpen: this.isOpened,
        catalogPath: own === undefined ? undefined : directory.catalogPath,
      }),
    );
    const casualties = new Casualties(audit, prover);
    options.onStep('records');
    const { signal, onFinding, onRead } = options;
    const parts = { audit, backend, committed, prover, casualties, plan, memory, counts };
    await new StoreWalk({ ...parts, nowMs, signal, onFinding, onRead }).run();
    await this.condemn(audit, prover, casualties);
    this.name(audit, casualties);
    const notMarked = await this.settle(own === undefined ? undefined : casualties);
    return { ...counts, isOpened: this.isOpened, notMarked, isForgetful: memory.isForgetful };
  }

  close(): void {
    for (const part of this.open.splice(0).reverse()) part.close();
  }

  private keep<T extends { close(): void }>(part: T): T {
    this.open.push(part);
    return part;
  }

  private get isOpened(): boolean {
    return !this.options.isEncrypted || this.options.keyring !== undefined;
  }

  /** The client's catalog, if it can be used at all; what is wrong with it is told. */
  private ownCatalog(): CatalogAudit | undefined {
    const { system, directory } = this;
    let audit: CatalogAudit | undefined;
    try {
      audit = CatalogAudit.open(system, directory.catalogPath);
      const faults = audit.integrity();
      if (faults.length === 0) {
        this.tellFaults(audit.inconsistencies());
        return this.keep(audit);
      }
      for (const fault of faults) this.tellCatalog(`SQLite: ${fault}`);
    } catch (error) {
      const failure = asTardisError(error);
      if (failure.code !== 'CATALOG_DAMAGED') {
        audit?.close();
        throw failure;
      }
      this.tellCatalog(failure.message);
    }
    audit?.close();
    return undefined;
  }

  private compare(
    audit: CatalogAudit | undefined,
    reference: Reference,
    point: CommitPoint | undefined,
  ): void {
    const { report } = reference;
    const isBehind = report.point.commit < (point?.commit ?? 0);
    // Where listings or events are damaged, the catalog knows more than can be compared.
    if (report.isMetadataLost || isBehind) {
      const lost = audit === undefined ? undefined : reference.lacks(audit);
      const { versions, sets = [] } = lost ?? {};
      this.counts.damagedMetadata += 1;
      this.options.onFinding({ finding: 'history', versions, sets });
    } else if (audit !== undefined && report.damagedRecords === 0) {
      this.tellFaults(reference.differencesTo(audit));
    }
  }

  private tellFaults(faults: readonly Inconsistency[]): void {
    for (const { what, rows } of faults) this.tellCatalog(`${what} (${rows})`);
  }

  private tellCatalog(what: string): void {
    this.counts.catalogFaults += 1;
    this.options.onFinding({ finding: 'catalog', what });
  }

  /** From what is damaged to all that cannot be read. */
  private async condemn(
    audit: CatalogAudit,
    prover: ContentProver,
    casualties: Casualties,
  ): Promise<void> {
    await casualties.missing(audit.missingContents());
    await casualties.proveMarked(audit.markedContents(), async (contentId) => {
      const [record, content] = [audit.recordOf(contentId), audit.content(contentId)];
      if (record === undefined || content === undefined) return false;
      const object = locationName(record, content.digest);
      const fault = await prover.headFault(object, record, [content]);
      return fault === undefined && (await prover.checksumFault(object, record)) === undefined;
    });
    await casualties.spread();
  }

  private name(audit: CatalogAudit, casualties: Casualties): void {
    const names = new VersionNames(audit, this.options.keyring?.names);
    for (const { contentId, digest, why } of casualties.all) {
      for (const version of names.of(contentId)) {
        this.counts.lostVersions += 1;
        this.options.onFinding({ finding: 'version', ...version, digest, why });
      }
    }
  }

  /** Takes the client's lock, if there is something to be noted. Why that could not be done. */
  private async settle(casualties: Casualties | undefined): Promise<TardisError | undefined> {
    const { system, directory, options, counts } = this;
    const marks = casualties?.marks();
    if (marks === undefined || marks.damaged.length + marks.sound.length === 0) return undefined;
    if (!options.mark) return undefined;
    options.onStep('marks');
    try {
      const { marked, cleared } = await settleMarks(system, directory, options.limits, marks);
      counts.marked = marked;
      counts.cleared = cleared;
      return undefined;
    } catch (error) {
      return asTardisError(error);
    }
  }
}

function* objectsIn(audit: CatalogAudit): Generator<PlannedRecord> {
  for (const record of audit.recordsIn(0)) {
    const [content] = audit.contentsOf(record.recordId);
    if (content === undefined) continue;
    const object = locationName(record, content.digest);
    yield { object, position: record.position, bytes: record.recordBytes };
  }
}
