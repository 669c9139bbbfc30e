/**
 * Checks one client: its catalog, its other files, the headers of all records, and the bytes of as many records as
 * requested. It reads without a lock, as all readers do. It takes the lock only for a moment, to store marks and
 * repairs.
 */
import { type CatalogAudit, type CommitPoint, isUnusedClient } from '../../store/catalog/index.js';
import type { Keyring } from '../../crypto/index.js';
import { asTardisError, Opened, type TardisError } from '../../errors/index.js';
import { catchUp, settleMarks, type StoreLimits } from '../../store/writer/index.js';
import {
  type Backend,
  type ClientDirectory,
  isParityDamaged,
  locationName,
  mediumOf,
  packName,
  PACKS_PREFIX,
  parityName,
  protectable,
} from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { boundedBackend } from './bounded-backend.js';
import { CatalogCheck } from './catalog-check.js';
import { lookAtCopies } from './catalog-copies.js';
import { ClientFiles } from './client-files.js';
import { LostContents } from './lost-contents.js';
import { CommittedRanges } from './committed.js';
import { type CheckCounts, type Finding, newCounts } from './findings.js';
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
  /** True if damaged contents are marked, and the marks of sound ones are cleared. */
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
  /** The error that prevented marking the findings. */
  readonly notMarked: TardisError | undefined;
  /** True if the list of records that this check has read could not be stored for the next check. */
  readonly isForgetful: boolean;
}

/**
 * Checks a client. Throws NO_SUCH_CLIENT if there is none, CATALOG_NEWER or STORE_NEWER for a newer format,
 * TEMPORARY_FULL if there is no space for temporary files, and INTERRUPTED if it is aborted.
 */
export async function checkClient(
  system: System,
  directory: ClientDirectory,
  options: CheckOptions,
): Promise<CheckResult> {
  using opened = new Opened();
  return await new Check(system, directory, options, opened).run();
}

/** Maximum number of times that a check begins to compare, if packs vanish meanwhile. */
const MOST_VIEWS = 3;

/** A copy of the catalog, and what the packs hold up to its end. */
interface View {
  readonly own: CatalogAudit | undefined;
  readonly point: CommitPoint | undefined;
  readonly backend: Backend;
  readonly reference: Reference;
}

class Check {
  readonly counts = newCounts();
  private readonly places = new UnreadablePlaces((finding) => {
    this.counts.unreadableFiles += 1;
    this.options.onFinding(finding);
  });

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly options: CheckOptions,
    private readonly opened: Opened,
  ) {}

  async run(): Promise<CheckResult> {
    const { system, directory, options, counts } = this;
    const medium = mediumOf(system, directory);
    medium.checkStaged();
    options.onStep('catalog');
    const disk = this.keep(medium.records());
    const files = this.places.zeroed(disk);
    const isUnused = isUnusedClient(system, directory.catalogPath);
    const checked = { system, directory, counts, mark: options.mark, onFinding: options.onFinding };
    const catalog = new CatalogCheck(checked);
    const beside = new ClientFiles(checked);
    if (!isUnused) await catalog.comparePages();
    await beside.checkKeys();
    await beside.checkAccounts();
    const { own, point, backend, reference } = await this.view(
      isUnused ? undefined : catalog,
      files,
    );
    await beside.checkStrays(files);
    await this.checkCopies(disk);
    catalog.compare(own, reference, point);
    await catalog.compareEnd(own, files);
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
    Object.assign(counts, { bytesToRead: plan.bytesToRead, totalBytes: plan.totalBytes });
    counts.allReadSinceMs = plan.allReadSinceMs;
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
    await this.checkParity(disk, plan);
    await this.condemn(audit, prover, casualties);
    this.name(audit, casualties);
    const notMarked = await this.settle(own === undefined ? undefined : casualties);
    if (own !== undefined) await catalog.believe();
    const isForgetful = !memory.settle();
    return { ...counts, isOpened: this.isOpened, notMarked, isForgetful };
  }

  /**
   * Opens a copy of the catalog, if there is one, and makes a reference from the packs as of its end. Garbage
   * collection may delete packs meanwhile, whose listings are then behind that end. So it begins again if packs vanish.
   */
  private async view(catalog: CatalogCheck | undefined, files: Backend): Promise<View> {
    const { system, directory, options, counts } = this;
    for (let views = 1; ; views += 1) {
      options.onStep('catalog');
      using opened = new Opened();
      const own = catalog?.open();
      if (own !== undefined) opened.add(own, (one) => one.close());
      const before = directory.bucket === undefined ? await files.list(PACKS_PREFIX) : [];
      const point = own?.catalog.state.readCommitPoint();
      const backend = boundedBackend(files, point);
      options.onStep('packs');
      const reference = opened.add(await Reference.make(system, backend), (one) => one.close());
      const after = new Set(before.length === 0 ? [] : await files.list(PACKS_PREFIX));
      const isSteady = before.every((name) => after.has(name));
      if (!isSteady && views < MOST_VIEWS && counts.catalogFaults === 0) continue;
      this.opened.add(opened.move(), (parts) => parts[Symbol.dispose]());
      return { own, point, backend, reference };
    }
  }

  /** Reports copies of the catalog in a bucket that no machine can use. */
  private async checkCopies(disk: Backend): Promise<void> {
    const { read, signal, onFinding } = this.options;
    const { wrong } = await lookAtCopies(disk, { reads: read.data.kind === 'all', signal });
    for (const { finding } of wrong) {
      // An interrupted session left the copy, so it is no damage.
      if (finding.state !== 'left') this.counts.damagedCopies += 1;
      onFinding(finding);
    }
  }

  /** Reports parity files that are damaged. */
  private async checkParity(disk: Backend, plan: ReadPlan): Promise<void> {
    const { signal, onFinding } = this.options;
    const reader = this.places.reporting(disk);
    for await (const finding of damagedParity(reader, plan, yieldRegularly(signal))) {
      this.counts.damagedParity += 1;
      onFinding(finding);
    }
  }

  private keep<T extends { close(): void }>(part: T): T {
    return this.opened.add(part, (one) => one.close());
  }

  private get isOpened(): boolean {
    return !this.options.isEncrypted || this.options.keyring !== undefined;
  }

  /**
   * Adds contents that are stored nowhere to the lost ones, tries contents that are marked as damaged, and then adds
   * all contents that depend on lost ones.
   */
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
      return (
        fault === undefined && (await prover.checksumFault({ object, ...record })) === undefined
      );
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

  /**
   * Stores the marks under the client's lock. Returns the reason if they cannot be stored; undefined if they were
   * stored, or if there are none to store.
   */
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

function* objectsIn(audit: CatalogAudit): Generator<PlannedRecord> {
  for (const record of audit.recordsIn(0)) {
    const [content] = audit.contentsOf(record.recordId);
    if (content === undefined) continue;
    const object = locationName(record, content.digest);
    yield { object, position: record.position, bytes: record.recordBytes };
  }
}

/**
 * Reads the parity files in the plan, and yields a finding for each damaged one, since what repairs others must be known
 * to be whole. Does not read the packs themselves. Missing parity is no damage.
 */
async function* damagedParity(
  backend: Backend,
  plan: ReadPlan,
  breathe: () => Promise<void> | undefined,
): AsyncGenerator<Finding> {
  for (const name of await protectable(backend)) {
    const object = parityName(name);
    if (!plan.includes(object, 0) || !(await isParityDamaged(backend, name, breathe))) continue;
    const bytes = (await backend.size(object)) ?? 0;
    const why = 'it is not as it was written';
    yield { finding: 'record', object, position: 0, bytes, role: 'parity', why };
  }
}
