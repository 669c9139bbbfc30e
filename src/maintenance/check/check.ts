/**
 * Checks one client: its catalog by itself and against the packs, the headers of all records, and the bytes of
 * as many records as requested. It reads as any reader does, without a lock; it takes the lock only for a
 * moment, to store marks and repairs.
 */
import path from 'node:path';
import {
  believePages,
  CatalogAudit,
  type CommitPoint,
  comparePages,
  fingerprintOf,
  holdsSeals,
  type Inconsistency,
  isUnusedClient,
  pagesDamaged,
  type PagesVerdict,
} from '../../store/catalog/index.js';
import type { Keyring } from '../../crypto/index.js';
import { asTardisError, type TardisError } from '../../errors/index.js';
import { catchUp, settleMarks, type StoreLimits } from '../../store/writer/index.js';
import {
  accountFaults,
  type Backend,
  type ClientDirectory,
  hasEncryptingKeys,
  KEY_COPIES_DIRECTORY,
  KEYS_DIRECTORY,
  locationName,
  mediumOf,
  mendAllKeys,
  packName,
  stateOfKeys,
  strangePacks,
  withClient,
} from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { boundedBackend } from './bounded-backend.js';
import { LostContents } from './lost-contents.js';
import { commitsBehind } from './commits-behind.js';
import { CommittedRanges } from './committed.js';
import { type CheckCounts, type Finding, type KeysFinding, newCounts } from './findings.js';
import { ContentProver } from './prover.js';
import { ReadMemory } from './read-memory.js';
import { type PlannedRecord, ReadPlan, type ReadRequest } from './read-plan.js';
import { Reference } from './reference.js';
import { StoreWalk } from './store-walk.js';
import { UnreadablePlaces } from './unreadable-places.js';
import { VersionNames } from './versions.js';

export interface CheckOptions {
  readonly read: ReadRequest;
  /** Keys that open the contents and names of a client that encrypts, if they are known. */
  readonly keyring: Keyring | undefined;
  readonly isEncrypted: boolean;
  /** True to mark damaged contents, and to clear the marks of sound ones. */
  readonly mark: boolean;
  readonly limits: StoreLimits;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly onStep: (step: CheckStep) => void;
  readonly onRead: (doneBytes: number, ofBytes: number) => void;
}

export type CheckStep = 'catalog' | 'packs' | 'records' | 'marks';

export interface CheckResult extends CheckCounts {
  /** False if encrypted data was only compared with checksums. */
  readonly isOpened: boolean;
  /** The error that kept the findings from being marked. */
  readonly notMarked: TardisError | undefined;
  /** True if the next check will not have the list of what this one has read. */
  readonly isForgetful: boolean;
}

/** Checks a client. Throws NO_SUCH_CLIENT, CATALOG_NEWER, STORE_NEWER, DISK_FULL, INTERRUPTED. */
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
  private readonly places = new UnreadablePlaces((finding) => {
    this.counts.unreadableFiles += 1;
    this.options.onFinding(finding);
  });
  /** Resources to close, in reverse order. */
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
    const medium = mediumOf(system, directory);
    medium.checkStaged();
    options.onStep('catalog');
    const disk = this.keep(medium.records());
    const files = this.places.zeroed(disk);
    const isUnused = isUnusedClient(system, directory.catalogPath);
    const fingerprint = fingerprintOf(system.files, directory.catalogPath);
    const pages = isUnused ? undefined : await this.comparePages();
    await this.lookAtKeys();
    this.lookAtAccounts();
    const own = isUnused ? undefined : this.ownCatalog();
    const point = own?.catalog.state.readCommitPoint();
    const backend = boundedBackend(files, point);
    options.onStep('packs');
    await this.reportStrays(files);
    const reference = this.keep(await Reference.make(system, backend));
    this.compare(own, reference, point);
    await this.compareEnd(own, files);
    const audit = own ?? this.keep(reference.audit());
    const planned: PlannedRecord[] = [];
    const committed = await CommittedRanges.read(
      backend,
      ({ pack, ...place }) => planned.push({ object: packName(pack), ...place }),
      yieldRegularly(),
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
        backend: this.places.reporting(disk),
        keys: options.keyring?.contents,
        canOpen: this.isOpened,
        catalogPath: own === undefined ? undefined : directory.catalogPath,
        refresh: directory.bucket && (() => catchUp(system, directory)),
      }),
    );
    const casualties = new LostContents(audit, prover);
    options.onStep('records');
    const { signal, onFinding, onRead } = options;
    const parts = { audit, backend, committed, prover, casualties, plan, memory, counts };
    await new StoreWalk({ ...parts, nowMs, signal, onFinding, onRead }).run();
    await this.condemn(audit, prover, casualties);
    this.name(audit, casualties);
    const notMarked = await this.settle(own === undefined ? undefined : casualties);
    if (pages?.kind === 'unknown' && own !== undefined) await this.believeCatalog(fingerprint);
    const isForgetful = !memory.settle();
    return { ...counts, isOpened: this.isOpened, notMarked, isForgetful };
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

  /** Reports pages of the catalog's file that do not match their checksums. */
  private async comparePages(): Promise<PagesVerdict> {
    const { system, directory, options } = this;
    const { catalogPath } = directory;
    const mayRemember = options.mark && system.files.isWritable(directory.path);
    const verdict = await comparePages(system, catalogPath, mayRemember);
    if (verdict.kind === 'damaged')
      this.reportCatalog(pagesDamaged(catalogPath, verdict.pages).message);
    return verdict;
  }

  /** Reports key records that are damaged or missing, and repairs them. */
  private async lookAtKeys(): Promise<void> {
    const { system, directory, options } = this;
    const { faults, lost, isGone } = stateOfKeys(system, directory.path);
    const isSealed = holdsSeals(system, directory.catalogPath);
    const damaged = faults.filter(({ isDamage, isOther }) => isDamage && !isOther);
    for (const { file } of faults.filter(({ isOther }) => isOther)) this.reportKeys(file, 'other');
    const isMended = options.mark && damaged.length > 0 && (await this.mendKeys());
    for (const { file } of damaged) this.reportKeys(file, isMended ? 'mended' : 'damaged');
    if (isGone || (isSealed && !hasEncryptingKeys(system, directory.path)))
      this.reportKeys(`${KEYS_DIRECTORY}, ${KEY_COPIES_DIRECTORY}`, 'gone');
    for (const account of lost) this.reportKeys(path.join(account, KEYS_DIRECTORY), 'lost');
  }

  /** Reports accounts whose rights cannot be determined. */
  private lookAtAccounts(): void {
    for (const fault of accountFaults(this.system, this.directory.path)) {
      this.counts.damagedAccounts += 1;
      this.options.onFinding({ finding: 'account', ...fault });
    }
  }

  /** Reports files that are not the packs that their names say, and files that do not belong in the store. */
  private async reportStrays(files: Backend): Promise<void> {
    const { system, directory, options, counts } = this;
    const medium = mediumOf(system, directory);
    for (const pack of await strangePacks(files)) {
      counts.strangePacks += 1;
      options.onFinding({ finding: 'pack', ...pack });
    }
    for (const stray of medium.strays()) {
      counts.strayFiles += 1;
      options.onFinding({ finding: 'stray', ...stray });
    }
  }

  private reportKeys(file: string, state: KeysFinding['state']): void {
    this.counts.damagedKeys += 1;
    this.options.onFinding({ finding: 'keys', file, state });
  }

  /** Repairs the key records. Returns false if that cannot be done now. */
  private async mendKeys(): Promise<boolean> {
    const { system, directory } = this;
    if (!system.files.isWritable(directory.path)) return false;
    try {
      await withClient(system, directory, () => mendAllKeys(system, directory.path));
      return true;
    } catch (error) {
      if (!isForLater(error)) throw error;
      return false;
    }
  }

  /** Begins to keep page checksums of a catalog that has none, if the check has found nothing wrong with it. */
  private async believeCatalog(fingerprint: string): Promise<void> {
    const { system, directory, options, counts } = this;
    if (counts.catalogFaults > 0 || !options.mark) return;
    if (!system.files.isWritable(directory.path)) return;
    try {
      await withClient(system, directory, async () =>
        believePages(system, directory.catalogPath, fingerprint),
      );
    } catch (error) {
      if (!isForLater(error)) throw error; // otherwise the next check does it
    }
  }

  /** Returns the client's catalog, and reports its faults; undefined if it cannot be used at all. */
  private ownCatalog(): CatalogAudit | undefined {
    const { system, directory } = this;
    let audit: CatalogAudit | undefined;
    try {
      audit = CatalogAudit.open(system, directory.catalogPath);
      const faults = audit.integrity();
      if (faults.length === 0) {
        this.reportFaults(audit.inconsistencies());
        return this.keep(audit);
      }
      for (const fault of faults) this.reportCatalog(fault);
    } catch (error) {
      const failure = asTardisError(error);
      if (failure.code !== 'CATALOG_DAMAGED') {
        audit?.close();
        throw failure;
      }
      this.reportCatalog(failure.message);
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
    // If listings or events are damaged, the catalog contains more than can be compared.
    if (report.isMetadataLost || isBehind) {
      const lost = audit === undefined ? undefined : reference.lacks(audit);
      const { versions, sets = [] } = lost ?? {};
      this.counts.damagedMetadata += 1;
      this.options.onFinding({ finding: 'history', versions, sets });
    } else if (audit !== undefined && report.damagedRecords === 0) {
      this.reportFaults(reference.differencesTo(audit));
    }
  }

  /** Reports doubtful sets, and a catalog that is older than its packs: it is sound, but lists too few sets. */
  private async compareEnd(audit: CatalogAudit | undefined, files: Backend): Promise<void> {
    if (audit === undefined) return;
    const { state, sets } = audit.catalog;
    const doubtful = sets.listed().filter(({ isDoubtful }) => isDoubtful);
    this.counts.doubtfulSets = doubtful.length;
    if (doubtful.length > 0) {
      this.options.onFinding({ finding: 'doubtful', sets: doubtful.map(({ set }) => set) });
    }
    const seen = { point: state.readCommitPoint(), sequence: state.readCounters().sequence };
    const { catalogPath } = this.directory;
    const commits = await commitsBehind(this.system, catalogPath, files, seen);
    if (commits === 0) return;
    this.reportCatalog(
      `it is older than the packs, which hold later sets (checkpoints it lacks: ${commits})`,
    );
  }

  private reportFaults(faults: readonly Inconsistency[]): void {
    for (const { what, rows } of faults) this.reportCatalog(`${what} (${rows})`);
  }

  private reportCatalog(what: string): void {
    this.counts.catalogFaults += 1;
    this.options.onFinding({ finding: 'catalog', what });
  }

  /** Extends the damage found to everything that cannot be read because of it. */
  private async condemn(
    audit: CatalogAudit,
    prover: ContentProver,
    casualties: LostContents,
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

  private name(audit: CatalogAudit, casualties: LostContents): void {
    const names = new VersionNames(audit, this.options.keyring?.names);
    for (const { contentId, digest, why } of casualties.all) {
      for (const version of names.of(contentId)) {
        this.counts.lostVersions += 1;
        this.options.onFinding({ finding: 'version', ...version, digest, why });
      }
    }
  }

  /** Stores the marks, if there are any, under the client's lock. Returns the error if that could not be done. */
  private async settle(casualties: LostContents | undefined): Promise<TardisError | undefined> {
    const { system, directory, options, counts } = this;
    const marks = casualties?.marks();
    if (marks === undefined || marks.damaged.length + marks.sound.length === 0) return undefined;
    if (!options.mark) return undefined;
    if (this.places.denied !== undefined) return this.places.denied;
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

/** True if the results can be stored by a later check: a session has the client, or the disk is full. */
function isForLater(error: unknown): boolean {
  return ['CLIENT_BUSY', 'DISK_FULL'].includes(asTardisError(error).code);
}

function* objectsIn(audit: CatalogAudit): Generator<PlannedRecord> {
  for (const record of audit.recordsIn(0)) {
    const [content] = audit.contentsOf(record.recordId);
    if (content === undefined) continue;
    const object = locationName(record, content.digest);
    yield { object, position: record.position, bytes: record.recordBytes };
  }
}
