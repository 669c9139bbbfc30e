/**
 * One session of a reader. Its questions are answered one by one and in order, from the client's history, which is
 * read without the client's lock, so that a backup may run at the same time. It runs in the same threads as storage
 * sessions.
 */
import {
  asTardisError,
  isDoneUnlessBug,
  Opened,
  protocolViolation,
  TardisError,
} from '../../errors/index.js';
import { Access, type Handlers, openHistoryIn } from '../../history/index.js';
import { BackgroundJobs, type JobLimits } from '../jobs/background-jobs.js';
import { previewPurgeOf, purgeByRules, type PurgeRequest } from '../../maintenance/gc/index.js';
import {
  factsWithoutSnapshot,
  keysSumAt,
  OfferedCatalog,
  takeSnapshot,
} from '../../maintenance/rewrite/index.js';
import { MAX_ADDED_RUNS, type RunRecord, runsOfClient } from '../../model/index.js';
import type { StorageEvents, StorageHandle } from '../storage/storage-options.js';
import { type Catalog, databaseBytes } from '../../store/catalog/index.js';
import {
  addRuns,
  catalogFileOf,
  type ClientDirectory,
  mediumOf,
  openClientDirectory,
  useBucket,
} from '../../store/index.js';
import {
  catchUp,
  changeSetting,
  deleteSets,
  forgetRequestsOf,
  isBehind,
  markSets,
  previewDelete,
  requestForgets,
  type StoreLimits,
  withdrawForget,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import {
  decodeMessage,
  isQuestion,
  MAX_QUESTIONS,
  type MessageName,
  READING_CREDIT_BYTES,
} from '../../transport/index.js';
import { overviewBeside } from './client-overview.js';
import { ReaderDeltas } from './delta-maker.js';
import { answerWith, readOnlyHandlers, wholeMessage } from './read-only.js';

interface Waiting {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

export class ReadingSession implements StorageHandle {
  private readonly queue: Waiting[] = [];
  /** Number of bytes of answers that may still be sent to the reader. */
  private creditBytes = READING_CREDIT_BYTES;
  private isBusy = false;
  private isOver = false;
  private isClosed = false;
  private idle: (() => void)[] = [];

  private constructor(
    private readonly answers: Answers,
    private readonly events: StorageEvents,
  ) {}

  /** Opens a client for reading. Throws errors of opening a catalog. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: JobLimits,
    { events, ...reader }: Reader & { readonly events: StorageEvents },
  ): ReadingSession {
    const answers = Answers.open(system, directory, limits, reader);
    return new ReadingSession(answers, events);
  }

  post(name: MessageName, bytes: Buffer): void {
    if (this.isOver) return;
    try {
      if (name === 'taken') {
        const { bytes: taken } = decodeMessage(name, bytes).head;
        this.creditBytes = Math.min(READING_CREDIT_BYTES, this.creditBytes + taken);
        this.events.answer(undefined, bytes.length);
      } else {
        if (this.queue.length >= MAX_QUESTIONS) throw protocolViolation('too many questions wait');
        this.queue.push({ name, bytes });
      }
      this.pump();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Does nothing, since a reader writes nothing. */
  park(): void {}

  /** Ends the session; pending questions are not answered. */
  async end(): Promise<void> {
    await this.abandon();
  }

  async abandon(): Promise<void> {
    this.isOver = true;
    this.queue.length = 0;
    if (this.isBusy) await new Promise<void>((resolve) => this.idle.push(resolve));
    else this.close();
  }

  private fail(error: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.queue.length = 0;
    this.events.failed(asTardisError(error));
    if (!this.isBusy) this.close();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.answers.close().catch((error: unknown) => this.events.failed(asTardisError(error)));
  }

  private pump(): void {
    if (this.isBusy || this.isOver) return;
    this.isBusy = true;
    this.run()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.isBusy = false;
        for (const resolve of this.idle.splice(0)) resolve();
        if (this.isOver) this.close();
        else if (this.queue.length > 0 && this.creditBytes > 0) this.pump();
      });
  }

  private async run(): Promise<void> {
    while (this.creditBytes > 0) {
      const next = this.queue.shift();
      if (next === undefined) return;
      const answer = await this.answers.to(next.name, next.bytes);
      if (this.isOver) return;
      this.creditBytes -= answer.length;
      this.events.answer(answer, next.bytes.length);
    }
  }
}

/** Rights of a reader, and its account; empty or undefined for the client itself. */
interface Reader {
  readonly rights: PurgeRights;
  readonly account?: string | undefined;
}

/**
 * Answers to a reader's questions, from one client's store. There is one handler for each question of the message
 * table; each question is decoded once, with the codec of its row.
 */
class Answers {
  private constructor(
    private readonly handlers: Handlers,
    private readonly release: () => Promise<void>,
  ) {}

  /** Opens a client for reading. Throws errors of opening a catalog. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: JobLimits,
    { rights, account = '' }: Reader,
  ): Answers {
    // Access to this client was checked by the session, so the history is shown whole. No reading transaction stays
    // open, since a backup of the client may begin in this very thread.
    followHere(system, directory);
    using opened = new Opened();
    const close = (one: { close(): void }): void => one.close();
    const history = opened.add(openHistoryIn(system, directory, new Access(undefined), 0), close);
    const backend = opened.add(mediumOf(system, directory).records(), close);
    const deltas = new ReaderDeltas(system, history, backend);
    const jobs = new BackgroundJobs(directory, limits);
    const store = { system, directory, limits: limits.limits, rights };
    // A pack of a bucket may be elsewhere by now; the history then learns where.
    const objects = directory.bucket === undefined ? backend : history.objects();
    const look = regularLook(system, directory);
    const copies = opened.add(new CopyOffers(system, directory, jobs), close);
    const handlers: Handlers = {
      ...readOnlyHandlers(history, objects, (only) => overviewBeside(system, directory, { only })),
      readSets: async () => {
        await look();
        return history.sets();
      },
      readerSignature: async ({ signature, basisBytes, bytes, isLast }) => {
        deltas.sign(signature, basisBytes, bytes, isLast);
      },
      readDelta: ({ signature, digest, first }) => deltas.next(signature, digest, first),
      dropSignature: ({ signature }) => deltas.drop(signature),
      ...setHandlers(store),
      ...forgetHandlers(store, jobs),
      ...copies.handlers(),
      checkStore: (request) => jobs.check(request),
      freeUnneeded: () => jobs.free(),
      watchWork: () => jobs.news(),
      noteRuns: (runs) => addRuns(system, directory, believed(runs, account)),
    };
    const rest = opened.move();
    return new Answers(handlers, async () => {
      const closing = [deltas.close(), jobs.close()];
      rest[Symbol.dispose]();
      await Promise.all(closing);
    });
  }

  close(): Promise<void> {
    return this.release();
  }

  /**
   * Returns the answer to a question as one buffer. Throws PROTOCOL_VIOLATION for a malformed question, and INTERNAL
   * for a bug; both end the session.
   */
  async to(name: MessageName, bytes: Buffer): Promise<Buffer> {
    if (!isQuestion(name)) throw protocolViolation(`"${name}" is no question of a reader`);
    return wholeMessage(await answerWith(this.handlers, name, bytes));
  }
}

/**
 * Returns the records that a reader may add: only a backup itself reports that it is complete and what its configuration
 * has, and only a server sends alerts.
 */
function believed(runs: readonly RunRecord[], account: string): RunRecord[] {
  const isComplete = ({ kind, end }: RunRecord): boolean =>
    kind === 'backup' && (end === 'done' || end === 'partly');
  return runsOfClient(runs.slice(0, MAX_ADDED_RUNS), account)
    .filter((run) => !isComplete(run))
    .map(({ configured, ...run }) => {
      const { lateAfterMs: _, ...numbers } = run.numbers;
      return { ...run, numbers, ...(run.kind === 'copy' && { configured }) };
    });
}

/** Minimum time between two checks of one session for new commits. */
const LOOK_EVERY_MS = 30_000;

/** Enables this thread to update the catalogs of a bucket when a pack is missing. */
function followHere(system: System, directory: ClientDirectory): void {
  const { bucket } = directory;
  if (bucket === undefined) return;
  const catalogFile = catalogFileOf(directory);
  useBucket(bucket, (client) =>
    catchUp(system, openClientDirectory(system, { store: bucket.cache, client, catalogFile })),
  );
}

/**
 * Returns a function that updates the client's catalog from its bucket. The function does nothing if it checked for
 * new commits less than LOOK_EVERY_MS ago.
 */
function regularLook(system: System, directory: ClientDirectory): () => Promise<void> {
  const { clock } = system;
  let lookedMs = clock.monotonicMs(); // the session began with a look
  return async () => {
    const nowMs = clock.monotonicMs();
    if (directory.bucket === undefined || nowMs - lookedMs < LOOK_EVERY_MS) return;
    lookedMs = nowMs;
    // The catalog of this machine counts until the bucket answers again; a bug is no reason for that.
    await isDoneUnlessBug(async () => {
      if (await isBehind(system, directory)) await catchUp(system, directory);
    });
  };
}

/** Limits for deleting sets over the network, and the server's retention rules. */
interface PurgeRights {
  readonly leastAgeMs: number;
  /** Minimum time between a request to forget a path and its due date. */
  readonly forgetAfterMs: number;
  readonly purgeRequestFor: (catalog: Catalog) => PurgeRequest;
}

/** The client's store, and the limits for its changes. */
interface ChangedStore {
  readonly system: System;
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  readonly rights: PurgeRights;
}

function setHandlers({
  system,
  directory,
  limits,
  rights: { leastAgeMs, purgeRequestFor },
}: ChangedStore): Pick<
  Handlers,
  'deleteSets' | 'markSets' | 'purgeSets' | 'previewPurge' | 'changeSetting'
> {
  return {
    deleteSets: async ({ sets, preview }) => {
      if (preview) previewDelete(system, directory, sets, leastAgeMs);
      else await deleteSets(system, directory, { limits, sets, leastAgeMs });
    },
    markSets: ({ sets, change }) => markSets(system, directory, limits, { sets, change }),
    purgeSets: () => purgeByRules(system, directory, limits, purgeRequestFor),
    previewPurge: async () => previewPurgeOf(system, directory, purgeRequestFor),
    changeSetting: ({ key, value }) =>
      changeSetting(system, directory, limits, { text: key, value }),
  };
}

function forgetHandlers(
  { system, directory, limits, rights: { leastAgeMs, forgetAfterMs } }: ChangedStore,
  jobs: BackgroundJobs,
): Pick<Handlers, 'forgetPaths' | 'withdrawForgets' | 'readForgets'> {
  const all = () => ({ requests: forgetRequestsOf(system, directory) });
  return {
    forgetPaths: async ({ paths, undoMs, preview }) => {
      const report = await jobs.previewForget(paths);
      if (preview) return { requests: [], report };
      const { lockedSets } = report;
      if (lockedSets > 0)
        throw new TardisError('SET_LOCKED', `it is in locked sets (${lockedSets})`);
      // Waits for the least age of sets too, so that no young set is deleted path by path.
      const afterMs = Math.max(undoMs, forgetAfterMs, leastAgeMs);
      return {
        requests: await requestForgets(system, directory, { limits, paths, undoMs: afterMs }),
      };
    },
    withdrawForgets: async ({ ids }) => {
      await withdrawForget(system, directory, limits, ids);
      return all();
    },
    readForgets: async () => all(),
  };
}

/** Maximum number of snapshots at one time in a thread, since each takes space for temporary files. */
const MAX_OFFERS = 4;
/** Time without a read after which a snapshot may be removed to make room for another one. */
const IDLE_MS = 60_000;
/**
 * Minimum size of a catalog that is copied in a thread of its own. For a smaller one, the thread would cost more than
 * the copy.
 */
const LARGE_BYTES: number = 8 << 20;
/**
 * Number of random bytes in the number of a snapshot. They make it unlikely that a number of one session is valid in a
 * later one.
 */
const NUMBER_BYTES = 6;

interface Offer {
  readonly number: number;
  readonly catalog: OfferedCatalog;
  /** Pieces that were not read yet. */
  readonly unread: Set<number>;
  usedMs: number;
  /** True while a piece is read, so that its file stays open. */
  isRead: boolean;
}

/** The snapshots of all sessions of this thread. */
const offers = new Set<Offer>();
/** Number of snapshots that are being made. */
let making = 0;

/**
 * The snapshot of a client's catalog from which a reader copies the client. A session has at most one, in a temporary
 * file, which is removed when its last piece was read.
 */
class CopyOffers {
  private offer: Offer | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly jobs: BackgroundJobs,
  ) {}

  handlers(): Pick<Handlers, 'openCopy' | 'readCatalog'> {
    return {
      openCopy: ({ known }) => this.open(known),
      readCatalog: ({ offer, piece }) => this.piece(offer, piece),
    };
  }

  /** Removes the snapshot. */
  close(): void {
    if (this.offer !== undefined) drop(this.offer);
  }

  /**
   * Returns facts about the client, and the number of a new snapshot of its catalog. No snapshot is made if there is no
   * backup, or if the client is still in the state `known`, which the reader has. Throws CLIENT_BUSY if too many are
   * being made or the catalog keeps changing, CATALOG_DAMAGED if it is damaged, and TEMPORARY_FULL if there is no
   * space.
   */
  private async open(known: string): ReturnType<Handlers['openCopy']> {
    const { system, directory, jobs } = this;
    if (this.offer !== undefined) drop(this.offer);
    const number = system.random.bytes(NUMBER_BYTES).readUIntBE(0, NUMBER_BYTES);
    const unread = factsWithoutSnapshot(system, directory, known);
    if (unread !== undefined) {
      return { ...unread, offer: number, keysSum: keysSumAt(system, directory), catalogBytes: 0 };
    }
    makeRoom(system);
    making += 1;
    try {
      const isLarge = databaseBytes(system.files, directory.catalogPath) > LARGE_BYTES;
      const { facts, catalog } = await OfferedCatalog.taken(system, async (file) => ({
        ...(isLarge ? await jobs.snapshot(file) : await takeSnapshot(system, directory, file)),
        keysSum: keysSumAt(system, directory), // last: new keys must not go with an older record
      }));
      const unread = new Set(Array.from({ length: catalog.pieces }, (_, index) => index));
      const usedMs = system.clock.monotonicMs();
      this.offer = { number, catalog, unread, usedMs, isRead: false };
      offers.add(this.offer);
      return { offer: number, ...facts, catalogBytes: catalog.fileBytes };
    } finally {
      making -= 1;
    }
  }

  /**
   * Returns a piece. Throws NO_SUCH_REQUEST if the snapshot was removed, and PROTOCOL_VIOLATION if it has no such
   * piece.
   */
  private async piece(number: number, index: number): Promise<Buffer> {
    const { system, offer } = this;
    if (offer?.number !== number || !offers.has(offer)) {
      throw new TardisError('NO_SUCH_REQUEST', 'the snapshot of the catalog was removed');
    }
    if (index >= offer.catalog.pieces) throw protocolViolation('a catalog has no such piece');
    offer.isRead = true;
    try {
      return await offer.catalog.piece(index);
    } finally {
      offer.isRead = false;
      offer.usedMs = system.clock.monotonicMs();
      offer.unread.delete(index);
      if (offer.unread.size === 0) drop(offer);
    }
  }
}

/** Makes room for one more snapshot. Throws CLIENT_BUSY if all are in use. */
function makeRoom(system: System): void {
  const dueMs = system.clock.monotonicMs() - IDLE_MS;
  while (offers.size + making >= MAX_OFFERS) {
    const idle = [...offers].find(({ usedMs, isRead }) => usedMs <= dueMs && !isRead);
    if (idle === undefined) {
      throw new TardisError('CLIENT_BUSY', 'the server serves as many copies as it can');
    }
    drop(idle);
  }
}

/** Removes a snapshot, unless it was removed already. */
function drop(offer: Offer): void {
  if (offers.delete(offer)) offer.catalog.close();
}
