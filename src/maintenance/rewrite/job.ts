/**
 * Rewrites a client with other keys or without some paths. A second generation is made beside the first, which is used
 * by backups and readers meanwhile. At the end, under the client's lock, the second replaces the first in one step. A
 * run may be killed at any point; work before a checkpoint is not repeated.
 */
import path from 'node:path';
import { Access, type History, openHistoryIn } from '../../history/index.js';
import { Catalog, ForgettingCopy, recoverCatalog } from '../../store/catalog/index.js';
import type { Keyring } from '../../crypto/index.js';
import { Opened, TardisError } from '../../errors/index.js';
import { type ContentId, type ForgetRequest, formatBytes, NO_CONTENT } from '../../model/index.js';
import { StoreWriter, type StoreLimits, untilUndisturbed } from '../../store/writer/index.js';
import { requireSoundCatalog } from '../gc/index.js';
import { type ClientDirectory, lockAccounts, mediumOf, newestKeys } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { ContentMover } from './contents.js';
import { DigestMap } from './digest-map.js';
import type { Generations } from './generations.js';
import { CopiedHistory } from './history.js';
import { HistorySeals } from './history-seals.js';
import { NewKeys } from './new-keys.js';
import { OldGeneration } from './old-generation.js';
import { Verifier } from './verify.js';

/** Number of free bytes needed in addition to the contents and to twice the catalog with its log. */
const SPARE_BYTES = 16 << 20;
/**
 * Growth of the stored data by new keys, in percent, for the estimate of space. Keys add 16 bytes to each record and
 * 32 bytes to each row; the size of compressed data does not change.
 */
const GROWTH_PERCENT = 5;

type RewriteStep = 'contents' | 'sets' | 'verify' | 'compare' | 'remove';

/** Reports the progress of a run; `of` is undefined if the total is unknown. */
export type RewriteProgress = (step: RewriteStep, done: number, of: number | undefined) => void;

export interface RewriteRequest {
  readonly generations: Generations;
  /** Keys to read the first generation; undefined if it does not encrypt. */
  readonly oldKeyring: Keyring | undefined;
  /** Keys to write the second generation; undefined if it does not encrypt either. */
  readonly keyring: Keyring | undefined;
  /** Requests whose paths are left out, with the data that only those paths need. */
  readonly forgotten: readonly ForgetRequest[];
  readonly limits: StoreLimits;
  /** True to read all contents again from the disk before the switch. */
  readonly verify: boolean;
  /** True to continue without contents that are damaged or missing. */
  readonly acceptDamage: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: RewriteProgress;
}

export interface RewriteResult {
  readonly sets: number;
  readonly contents: number;
  readonly verifiedContents: number;
  /** Number of versions of files whose contents were already lost in the first generation. */
  readonly lostVersions: number;
  readonly storedBytes: number;
}

/**
 * Rewrites the client. Does all steps that earlier runs have not done, including the switch and the removal of the old
 * generation. Throws CLIENT_BUSY if a session does not release the client's lock; the next run continues. Throws
 * CATALOG_DAMAGED, CONTENT_DAMAGED or NOT_AUTHENTIC if data is damaged or forged; DISK_FULL; INTERRUPTED if aborted.
 */
export async function rewriteClient(
  system: System,
  request: RewriteRequest,
): Promise<RewriteResult> {
  try {
    return await rewriteSound(system, request);
  } catch (error) {
    throw Catalog.explainedAt(system, request.generations.first.catalogPath, error);
  }
}

async function rewriteSound(system: System, request: RewriteRequest): Promise<RewriteResult> {
  const { generations } = request;
  const { first } = generations;
  const medium = mediumOf(system, first);
  const lock = await medium.claim();
  let run: Run;
  try {
    await recover(system, first);
    run = await Run.open(system, request);
  } finally {
    lock.release();
  }
  try {
    await run.catchUp(false);
    using _last = await medium.claim();
    await generations.refreshKeys();
    const result = await untilUndisturbed(async (isAgain) => {
      const commit = await recover(system, first);
      if (request.forgotten.length > 0 || isAgain) {
        // The first generation cannot change any more, so the data to leave out is final.
        const { verifiedUpTo } = run;
        run.abandon();
        run = await Run.open(system, request, verifiedUpTo);
      }
      const finished = await run.finish();
      const keepsKeys = request.keyring === undefined;
      // An account that is changed between the copy and the switch would be changed in the old generation only.
      using _accounts = keepsKeys ? await lockAccounts(system, first.path) : undefined;
      if (keepsKeys) await generations.copyKeys();
      await generations.exchange({ commit, keepsKeys });
      return finished;
    });
    // The lock held here is now that of the old generation, which no other process can open before it is removed.
    await removeOld(generations, request.onProgress);
    return result;
  } finally {
    run.abandon();
  }
}

/** Removes the old generation after the switch, even one that an earlier run has left. */
export async function removeOld(
  generations: Generations,
  onProgress: RewriteProgress,
): Promise<void> {
  let removed = 0;
  await generations.removeOld(() => {
    removed += 1;
    onProgress('remove', removed, undefined);
  });
}

/**
 * Brings the catalog of the first generation up to date with its packs, and to the newest format version. Returns the
 * number of its last commit. Throws CATALOG_DAMAGED if the catalog is damaged: the damage would be copied, and could
 * not be found any more once the old generation is removed.
 */
async function recover(system: System, directory: ClientDirectory): Promise<number> {
  const medium = mediumOf(system, directory);
  medium.clearStaged();
  await requireSoundCatalog(system, directory);
  const opened = Catalog.openForWriting(system, directory.catalogPath);
  using backend = medium.records();
  return await opened.closedAfter(async (catalog) => {
    const isLost = catalog.state.readCommitPoint().commit === 0;
    const { point } = await recoverCatalog(catalog, backend, { checkBodies: isLost });
    return point.commit;
  });
}

/** Resources that a run holds open. */
interface Parts {
  /** The part of the first generation that is to be copied. */
  readonly old: OldGeneration;
  /** The whole first generation. */
  readonly whole: OldGeneration;
  readonly left: ForgettingCopy | undefined;
  readonly oldHistory: History;
  readonly store: StoreWriter;
  readonly map: DigestMap;
}

class Run {
  /** The parts that are still open. */
  private opened: Opened = new Opened();
  private readonly mover: ContentMover;
  /** Number of contents examined. */
  private contents = 0;
  private readonly history: CopiedHistory;
  private readonly verifier: Verifier;
  /** Number of the first generation's newest key record when this run began. */
  private readonly keysNumber: number;

  private constructor(
    private readonly system: System,
    private readonly request: RewriteRequest,
    private readonly parts: Parts,
  ) {
    const { old, whole, left, oldHistory, store, map } = parts;
    const { keyring, generations } = request;
    const { native } = system;
    const keys = new NewKeys(native, keyring);
    this.mover = new ContentMover(native, old, { store, keys, map, needed: left?.needed });
    const seals =
      keyring && new HistorySeals(native, whole, { history: oldHistory, store, keyring });
    this.history = new CopiedHistory(old, store, { keys, contents: this.mover, seals });
    const made = { store, keys, mover: this.mover };
    this.verifier = new Verifier(native, old, made, request.signal);
    this.keysNumber = newestKeys(system, generations.first.path)?.number ?? 0;
  }

  /** Opens both generations. Throws DISK_FULL if there is no space for a second one. */
  static async open(
    system: System,
    request: RewriteRequest,
    verifiedUpTo: ContentId = NO_CONTENT,
  ): Promise<Run> {
    const { generations, oldKeyring, limits, forgotten } = request;
    const { first, second } = generations;
    using opened = new Opened();
    const generation = (catalogPath?: string): OldGeneration =>
      opened.add(new OldGeneration(system, first, oldKeyring, catalogPath), (one) => one.close());
    const whole = generation();
    let left: ForgettingCopy | undefined;
    if (forgotten.length > 0) {
      const copy = ForgettingCopy.make(system, first.catalogPath, forgotten);
      left = opened.add(copy, (one) => one.close());
    }
    const old = left === undefined ? whole : generation(left.catalogPath);
    requireRequested(whole.catalog, forgotten);
    requireRoom(system, request, old);
    const history = openHistoryIn(system, first, new Access(undefined), 0);
    const oldHistory = opened.add(history, (one) => one.close());
    const writer = await StoreWriter.open(system, second, limits);
    const store = opened.add(writer, (one) => one.abandon());
    const map = opened.add(DigestMap.open(system, second.path), (one) => one.close());
    const run = new Run(system, request, { old, whole, left, oldHistory, store, map });
    run.verifier.lastContent = verifiedUpTo;
    run.opened = opened.move();
    return run;
  }

  /** Id of the last content of the second generation that was read and verified. */
  get verifiedUpTo(): ContentId {
    return this.verifier.lastContent;
  }

  /** Copies data that the second generation lacks. Unless `isAlone`, sets that may still change are left for later. */
  async catchUp(isAlone: boolean): Promise<void> {
    const { mover, history, request } = this;
    const { old, store, left } = this.parts;
    const { signal, onProgress, verify } = request;
    store.raiseCounters(old.catalog);
    if (left !== undefined) this.requireContents(old.catalog); // checked before anything is copied
    const all = old.catalog.history.contentCount;
    await mover.copyNew(signal, () => {
      this.contents += 1;
      onProgress('contents', Math.min(this.contents, all), all);
    });
    // If paths are left out, sets are copied only when the first generation cannot change any more.
    if (isAlone || left === undefined) {
      await history.replayNew(isAlone, signal, (set, of) => onProgress('sets', set, of));
      this.requireContents(store.catalog);
    }
    if (!verify) return;
    const fresh = store.catalog.history.contentCount;
    await this.verifier.readNewContents((done) => onProgress('verify', done, fresh));
  }

  /** Copies the remaining data, with the client's lock held. The second generation is then complete and closed. */
  async finish(): Promise<RewriteResult> {
    const { system, request, history, verifier } = this;
    const { store, old } = this.parts;
    const { generations, onProgress } = request;
    this.requireSame();
    await this.catchUp(true);
    history.bringSettings();
    history.bringForgets(request.forgotten);
    // Deleted sets were copied with all their data. The next garbage collection removes it.
    store.catalog.state.writeWaste({ versions: true, contents: true });
    history.copyFlags();
    history.bringDoubt();
    store.raiseCounters(old.catalog);
    await store.checkpoint();
    await store.parity.protectAll();
    onProgress('compare', 0, undefined);
    const fresh = openHistoryIn(system, generations.second, new Access(undefined), 0);
    try {
      await verifier.compare(fresh);
    } finally {
      fresh.close();
    }
    const result = {
      sets: store.catalog.sets.listed().length,
      contents: store.catalog.history.contentCount,
      verifiedContents: verifier.contents,
      lostVersions: store.catalog.history.lostVersions,
      storedBytes: store.catalog.history.recordBytes,
    };
    store.close();
    this.abandon();
    return result;
  }

  /** Throws CLIENT_BUSY if the keys were changed or the catalog was rebuilt since this run began. */
  private requireSame(): void {
    const number = newestKeys(this.system, this.request.generations.first.path)?.number ?? 0;
    if (number === this.keysNumber && this.parts.whole.isCurrent) return;
    const what = 'the keys were changed or the catalog was rebuilt meanwhile';
    throw new TardisError('CLIENT_BUSY', `${what}: run this again`);
  }

  /** Closes all files that are open; a later run continues from the last checkpoint. Never throws. */
  abandon(): void {
    this.opened[Symbol.dispose]();
  }

  private requireContents({ history }: Catalog): void {
    const { lostVersions } = history;
    if (lostVersions === 0 || this.request.acceptDamage) return;
    throw new TardisError(
      'CONTENT_DAMAGED',
      `the contents of ${counted(lostVersions)} are damaged or missing; --accept-damage goes on without them`,
    );
  }
}

/** Throws CLIENT_BUSY if one of the requests to forget was withdrawn or replaced meanwhile. */
function requireRequested({ forgets }: Catalog, forgotten: readonly ForgetRequest[]): void {
  const requests = forgets.all();
  const isRequested = forgotten.every((request) =>
    requests.some(
      ({ id, path: where, lastSet }) =>
        id === request.id && lastSet === request.lastSet && where.equals(request.path),
    ),
  );
  if (isRequested) return;
  const what = 'requests to forget were withdrawn or replaced meanwhile';
  throw new TardisError('CLIENT_BUSY', `${what}: run this again`);
}

function requireRoom(
  system: System,
  { generations, limits }: RewriteRequest,
  old: OldGeneration,
): void {
  const { catalogPath, path: directory } = old.directory;
  const catalogBytes = system.files.status(catalogPath)?.sizeBytes ?? 0;
  // Contents in a bucket take no space here.
  const storedBytes = old.directory.bucket === undefined ? old.catalog.history.recordBytes : 0;
  const contentBytes = storedBytes * (1 + GROWTH_PERCENT / 100);
  const neededBytes = Math.ceil(contentBytes) + 4 * catalogBytes + SPARE_BYTES;
  const { leastFreeBytes = 0 } = limits;
  const spareBytes = generations.freeBytes() - leastFreeBytes;
  const missingBytes = neededBytes - generations.secondBytes() - spareBytes;
  if (missingBytes <= 0) return;
  const kept = leastFreeBytes > 0 ? `, beside ${formatBytes(leastFreeBytes)} (LeastFree)` : '';
  throw new TardisError(
    'DISK_FULL',
    `a second generation of "${path.basename(directory)}" takes about ${formatBytes(neededBytes)} of the disk with the store ${path.dirname(directory)}: ${formatBytes(missingBytes)} more than are free${kept}`,
    { path: path.dirname(directory), neededBytes, missingBytes },
  );
}

function counted(versions: number): string {
  return versions === 1 ? '1 version of a file' : `${versions} versions of files`;
}
