/**
 * Answers to a reader's questions, from one client's store. There is one handler for each question of the message
 * table; each question is decoded once, with the codec of its row.
 */
import { Access, type Handlers, openHistoryIn } from '../../history/index.js';
import { asTardisError, Opened, protocolViolation } from '../../errors/index.js';
import { MAX_ADDED_RUNS, type RunRecord, runsOfClient } from '../../model/index.js';
import {
  addRuns,
  catalogFileOf,
  type ClientDirectory,
  mediumOf,
  openClientDirectory,
  useBucket,
} from '../../store/index.js';
import { isQuestion, type MessageName } from '../../transport/index.js';
import { overviewBeside } from './client-overview.js';
import { BackgroundJobs, type JobLimits } from '../jobs/background-jobs.js';
import { forgetHandlers, type PurgeRights, setHandlers } from './change-handlers.js';
import { ReaderDeltas } from './delta-maker.js';
import { CopyOffers } from './copy-offers.js';
import { answerWith, readOnlyHandlers, wholeMessage } from './read-only.js';
import { catchUp, isBehind } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';

/** Rights of a reader, and its account; empty or undefined for the client itself. */
export interface Reader {
  readonly rights: PurgeRights;
  readonly account?: string | undefined;
}

export class Answers {
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
    .map((run) => ({ ...run, configured: undefined }));
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
    try {
      if (await isBehind(system, directory)) await catchUp(system, directory);
    } catch (error) {
      // The catalog of this machine counts until the bucket answers again; a bug is no reason for that.
      if (asTardisError(error).row.kind === 'bug') throw error;
    }
  };
}
