/**
 * Writes a client anew, with other keys or without some paths: a second generation beside the first, which is read and backed up to
 * meanwhile; at the end, under the client's lock, the second takes its place in one step. It may be killed at any
 * point: what a checkpoint covers is not done again.
 */
import path from 'node:path';
import { Access, type Archive, openArchiveIn } from '../archive/index.js';
import { Catalog, ForgettingCopy, recoverCatalog } from '../catalog/index.js';
import type { Keyring } from '../crypto/index.js';
import { letGo, TardisError } from '../errors/index.js';
import type { ForgetRequest } from '../model/index.js';
import { ClientStore, type StoreLimits } from '../keeper/index.js';
import {
  acquireClient,
  clearIncoming,
  type ClientDirectory,
  DirectoryBackend,
  newestKeys,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { ContentMover } from './contents.js';
import { DigestMap } from './digest-map.js';
import type { Generations } from './generations.js';
import { History } from './history.js';
import { HistorySeals } from './history-seals.js';
import { NewKeys } from './new-keys.js';
import { OldGeneration } from './old-generation.js';
import { Verifier } from './verify.js';

/** Beside what the contents take: the catalog and its log, twice, and this. */
const SPARE_BYTES = 16 << 20;
/** Keys add 16 bytes to each record and 32 to each row; what is compressed stays so. */
const GROWTH_PERCENT = 5;

export type RekeyStep = 'contents' | 'sets' | 'verify' | 'compare' | 'remove';

/** How far a run is; `of` undefined: that is not known. */
export type RekeyProgress = (step: RekeyStep, done: number, of: number | undefined) => void;

export interface RekeyRequest {
  readonly generations: Generations;
  /** What the first generation is read with; undefined: it does not encrypt. */
  readonly oldKeyring: Keyring | undefined;
  /** What the second one is written with; undefined: it does not encrypt either. */
  readonly keyring: Keyring | undefined;
  /** What is not brought over, nor what only this needs. */
  readonly forgotten: readonly ForgetRequest[];
  readonly limits: StoreLimits;
  /** Read all contents again from the disk before the switch. */
  readonly verify: boolean;
  /** Go on without contents that are damaged or missing. */
  readonly acceptDamage: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: RekeyProgress;
}

export interface RekeyResult {
  readonly sets: number;
  readonly contents: number;
  readonly verifiedContents: number;
  /** Versions of files whose contents were lost before. */
  readonly lostVersions: number;
  readonly storedBytes: number;
}

/**
 * Does all that an earlier run has not done, up to the switch. Throws CLIENT_BUSY when a session does not let the
 * client go (nothing is lost: another run does the rest), CONTENT_DAMAGED, NOT_AUTHENTIC, DISK_FULL, INTERRUPTED.
 */
export async function rekeyClient(system: System, request: RekeyRequest): Promise<RekeyResult> {
  const { generations } = request;
  const { first } = generations;
  const lock = await acquireClient(system, first);
  let run: Run;
  try {
    await recover(system, first);
    run = await Run.open(system, request);
  } finally {
    lock.release();
  }
  try {
    await run.catchUp(false);
    const last = await acquireClient(system, first);
    try {
      await recover(system, first);
      if (request.forgotten.length > 0) {
        // Nothing changes any more: what is to be left out is looked up once for all.
        const { verifiedUpTo } = run;
        run.abandon();
        run = await Run.open(system, request, verifiedUpTo);
      }
      const result = await run.finish();
      if (request.keyring === undefined) await generations.copyKeys();
      await generations.exchange();
      // The lock is that of the old one now: nobody gets at it before it is gone.
      await removeOld(generations, request.onProgress);
      return result;
    } finally {
      last.release();
    }
  } finally {
    run.abandon();
  }
}

/** Removes the old generation after the switch, also one that an earlier run has left. */
export async function removeOld(
  generations: Generations,
  onProgress: RekeyProgress,
): Promise<void> {
  let removed = 0;
  await generations.removeOld(() => {
    removed += 1;
    onProgress('remove', removed, undefined);
  });
}

/** Brings the catalog of the first generation up to what its packs hold, and to the newest version. */
async function recover(system: System, directory: ClientDirectory): Promise<void> {
  clearIncoming(system, directory);
  const catalog = Catalog.openForWriting(system, directory.catalogPath);
  const backend = new DirectoryBackend(directory.path, system.files);
  try {
    const isLost = catalog.state.readCommitPoint().commit === 0;
    await recoverCatalog(catalog, backend, { checkBodies: isLost });
  } catch (error) {
    catalog.abandon();
    throw error;
  } finally {
    backend.close();
  }
  catalog.close();
}

/** What a run holds open. */
interface Parts {
  readonly old: OldGeneration;
  readonly whole: OldGeneration;
  readonly left: ForgettingCopy | undefined;
  readonly archive: Archive;
  readonly store: ClientStore;
  readonly map: DigestMap;
}

class Run {
  private isOpen = true;
  private readonly system: System;
  private readonly request: RekeyRequest;
  /** As much of the first generation as is to be brought over. */
  private readonly old: OldGeneration;
  /** All of it. */
  private readonly whole: OldGeneration;
  private readonly left: ForgettingCopy | undefined;
  private readonly archive: Archive;
  private readonly store: ClientStore;
  private readonly map: DigestMap;
  private readonly mover: ContentMover;
  private readonly history: History;
  private readonly verifier: Verifier;
  /** The number of the first generation's key record when this run began. */
  private readonly keysNumber: number;

  private constructor(system: System, request: RekeyRequest, parts: Parts) {
    const { old, whole, left, archive, store, map } = parts;
    const { keyring, generations } = request;
    const { native } = system;
    this.system = system;
    this.request = request;
    this.old = old;
    this.archive = archive;
    this.store = store;
    this.map = map;
    this.whole = whole;
    this.left = left;
    const keys = new NewKeys(native, keyring);
    this.mover = new ContentMover(native, old, store, keys, map, left?.needed);
    const seals = keyring && new HistorySeals(native, whole, archive, store, keyring);
    this.history = new History(old, store, keys, this.mover, seals);
    this.verifier = new Verifier(native, old, store, keys, this.mover);
    this.keysNumber = newestKeys(system, generations.first.path)?.number ?? 0;
  }

  /** Throws DISK_FULL when there is no room for a second generation. */
  static async open(system: System, request: RekeyRequest, verifiedUpTo = 0): Promise<Run> {
    const { generations, oldKeyring, limits, forgotten } = request;
    const { first, second } = generations;
    const whole = new OldGeneration(system, first, oldKeyring);
    let left: ForgettingCopy | undefined;
    let old = whole;
    let archive: Archive | undefined;
    let store: ClientStore | undefined;
    let map: DigestMap | undefined;
    try {
      if (forgotten.length > 0) {
        left = ForgettingCopy.make(system, first.catalogPath, forgotten);
        old = new OldGeneration(system, first, oldKeyring, left.catalogPath);
      }
      requireAsked(whole.catalog, forgotten);
      requireRoom(system, request, old);
      archive = openArchiveIn(system, first, new Access(undefined), 0);
      store = await ClientStore.open(system, second, limits);
      map = DigestMap.open(system, second.path);
      const run = new Run(system, request, { old, whole, left, archive, store, map });
      run.verifier.goOnAfter(verifiedUpTo);
      return run;
    } catch (error) {
      letGo(
        () => store?.abandon(),
        () => map?.close(),
        () => archive?.close(),
        ...closersOf(old, whole, left),
      );
      throw error;
    }
  }

  /** The last content of the second generation that was read and found right. */
  get verifiedUpTo(): number {
    return this.verifier.lastContent;
  }

  /** Brings over what is not there yet; with `isAlone`, all of it. */
  async catchUp(isAlone: boolean): Promise<void> {
    const { mover, history, request, old } = this;
    const { signal, onProgress, verify } = request;
    this.copyCounters();
    if (this.left !== undefined) this.requireContents(old.catalog); // before anything is copied
    const all = old.catalog.history.contentCount;
    await mover.moveNew(signal, () => onProgress('contents', Math.min(mover.contents, all), all));
    // Of what is left without some paths nothing is told before it can change no more.
    if (isAlone || this.left === undefined) {
      await history.replayNew(isAlone, signal, (set, of) => onProgress('sets', set, of));
      this.requireContents(this.store.catalog);
    }
    if (!verify) return;
    const fresh = this.store.catalog.history.contentCount;
    await this.verifier.readNewContents(signal, (done) => onProgress('verify', done, fresh));
  }

  /** The rest, with the client's lock held; afterwards the second generation is closed and whole. */
  async finish(): Promise<RekeyResult> {
    const { system, request, old, store, map, history, verifier } = this;
    const { generations, signal, onProgress } = request;
    this.requireSame();
    await this.catchUp(true);
    history.bringSettings();
    history.bringForgets(request.forgotten);
    // Of sets that were deleted everything has come along; whoever clears up next looks.
    store.catalog.state.writeWaste({ versions: true, contents: true });
    history.copyFlags();
    store.catalog.state.writeDoubtfulUpTo(old.catalog.state.readDoubtfulUpTo());
    this.copyCounters();
    await store.checkpoint();
    onProgress('compare', 0, undefined);
    const fresh = openArchiveIn(system, generations.second, new Access(undefined), 0);
    try {
      await verifier.compare(fresh, signal);
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
    this.closeReading();
    map.close();
    store.close();
    this.isOpen = false;
    return result;
  }

  /** What this run began with must still count. Throws CLIENT_BUSY. */
  private requireSame(): void {
    const number = newestKeys(this.system, this.request.generations.first.path)?.number ?? 0;
    if (number === this.keysNumber && this.whole.isCurrent) return;
    const what = 'the keys were changed, or the catalog was made anew, meanwhile';
    throw new TardisError('CLIENT_BUSY', `${what}: run this again`);
  }

  /** Lets go of everything; a later run goes on from the last checkpoint. Never throws. */
  abandon(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { store, map, archive, old, whole, left } = this;
    letGo(
      () => store.abandon(),
      () => map.close(),
      () => archive.close(),
      ...closersOf(old, whole, left),
    );
  }

  private closeReading(): void {
    this.archive.close();
    for (const close of closersOf(this.old, this.whole, this.left)) close();
  }

  /** No number that was given is given again. */
  private copyCounters(): void {
    const { counters } = this.store;
    const known = this.old.catalog.state.readCounters();
    counters.set = Math.max(counters.set, known.set);
    counters.root = Math.max(counters.root, known.root);
    counters.directory = Math.max(counters.directory, known.directory);
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

/** What is to be left out may have been taken back meanwhile. Throws CLIENT_BUSY. */
function requireAsked({ forgets }: Catalog, forgotten: readonly ForgetRequest[]): void {
  const asked = forgets.all();
  const isAsked = forgotten.every((request) =>
    asked.some(
      ({ id, path: where, lastSet }) =>
        id === request.id && lastSet === request.lastSet && where.equals(request.path),
    ),
  );
  if (isAsked) return;
  const what = 'what is to be forgotten was taken back, or asked for anew, meanwhile';
  throw new TardisError('CLIENT_BUSY', `${what}: run this again`);
}

function closersOf(
  old: OldGeneration,
  whole: OldGeneration,
  left: ForgettingCopy | undefined,
): (() => void)[] {
  const generations = old === whole ? [whole] : [old, whole];
  return [...generations.map((one) => () => one.close()), () => left?.close()];
}

function requireRoom(
  system: System,
  { generations, limits }: RekeyRequest,
  old: OldGeneration,
): void {
  const { catalogPath, path: directory } = old.directory;
  const catalogBytes = system.files.status(catalogPath)?.sizeBytes ?? 0;
  const contentBytes = old.catalog.history.recordBytes * (1 + GROWTH_PERCENT / 100);
  const neededBytes = Math.ceil(contentBytes) + 4 * catalogBytes + SPARE_BYTES;
  const spareBytes = generations.freeBytes() - (limits.leastFreeBytes ?? 0);
  const missingBytes = neededBytes - generations.secondBytes() - spareBytes;
  if (missingBytes <= 0) return;
  throw new TardisError(
    'DISK_FULL',
    `a second generation of ${path.basename(directory)} takes about ${neededBytes} bytes: ${missingBytes} more than are free`,
    { neededBytes, missingBytes },
  );
}

function counted(versions: number): string {
  return versions === 1 ? '1 version of a file' : `${versions} versions of files`;
}
