/** Answers to a reader's questions, from one client's store. */
import {
  type History,
  Access,
  type ClientOverview,
  clientsToWire,
  entriesToWire,
  openHistoryIn,
  placesToWire,
  setsToWire,
  versionsToWire,
} from '../../history/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import {
  askToForget,
  changeSetting,
  dropSets,
  forgetRequestsOf,
  markSets,
  previewDrop,
  withdrawForget,
} from '../../store/writer/index.js';
import { previewPurgeOf, purgeByRules } from '../../maintenance/gc/index.js';
import { DIGEST_BYTES } from '../../model/index.js';
import {
  type Backend,
  type ClientDirectory,
  DirectoryBackend,
  isObjectName,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import {
  decodeMessage,
  type Head,
  MAX_LOCATED,
  MAX_PAGE_ENTRIES,
  MAX_READ_BYTES,
  type MessageName,
} from '../../transport/index.js';
import { overviewBeside } from '../client-overview.js';
import { answer, fitting, headOf, PAGE_ITEMS, refused } from './answer-messages.js';
import { ReaderDeltas } from './delta-maker.js';
import { answerForget, type Forgets } from './forget-answers.js';
import { answerReport } from './report-answers.js';
import { answerChange, type PurgeRights, type SetChanges } from './set-change-answers.js';
import { BackgroundJobs, type JobLimits } from '../jobs/background-jobs.js';

interface Parts {
  readonly history: History;
  readonly backend: Backend;
  readonly changes: SetChanges;
  readonly forgets: Forgets;
  readonly tending: BackgroundJobs;
  /** Returns an overview of this client and of the others that its account owns. */
  readonly clients: () => Promise<ClientOverview[]>;
}

export class Answers {
  private readonly history: History;
  private readonly backend: Backend;
  private readonly changes: SetChanges;
  private readonly forgets: Forgets;
  private readonly tending: BackgroundJobs;
  private readonly clients: Parts['clients'];
  private readonly deltas: ReaderDeltas;

  private constructor(system: System, parts: Parts) {
    const { history, backend, changes, forgets, tending, clients } = parts;
    this.history = history;
    this.backend = backend;
    this.changes = changes;
    this.forgets = forgets;
    this.tending = tending;
    this.clients = clients;
    this.deltas = new ReaderDeltas(system, history, backend);
  }

  /** Opens a client for reading. Throws errors of opening a catalog. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: JobLimits,
    rights: PurgeRights,
  ): Answers {
    const { leastAgeMs, forgetAfterMs, wishFor } = rights;
    const { limits: store } = limits;
    // Access to this client was checked by the session, so the history is shown whole. No reading transaction stays
    // open, since a backup of the client may begin in this very thread.
    const history = openHistoryIn(system, directory, new Access(undefined), 0);
    const backend = new DirectoryBackend(directory.path, system.files);
    const changes: SetChanges = {
      drop: async (sets, isPreview) => {
        if (isPreview) previewDrop(system, directory, sets, leastAgeMs);
        else await dropSets(system, directory, store, sets, leastAgeMs);
      },
      mark: (sets, wish) => markSets(system, directory, store, sets, wish),
      purge: async (isPreview) => {
        return isPreview
          ? previewPurgeOf(system, directory, wishFor)
          : purgeByRules(system, directory, store, wishFor);
      },
      set: (key, value) => changeSetting(system, directory, store, key, value),
    };
    const tending = new BackgroundJobs(directory, limits);
    const forgets: Forgets = {
      preview: (paths) => tending.previewForget(paths),
      ask: async (paths, undoMs) => {
        const { lockedSets } = await tending.previewForget(paths);
        if (lockedSets > 0) {
          throw new TardisError('SET_LOCKED', `it is in locked sets (${lockedSets})`);
        }
        // Waits for the least age of sets too, so that no young set is deleted path by path.
        const afterMs = Math.max(undoMs, forgetAfterMs, leastAgeMs);
        return askToForget(system, directory, store, paths, afterMs);
      },
      withdraw: (ids) => withdrawForget(system, directory, store, ids),
      all: () => forgetRequestsOf(system, directory),
    };
    const clients = (): Promise<ClientOverview[]> => overviewBeside(system, directory);
    return new Answers(system, { history, backend, changes, forgets, tending, clients });
  }

  async close(): Promise<void> {
    const closing = [this.deltas.close(), this.tending.close()];
    this.backend.close();
    this.history.close();
    await Promise.all(closing);
  }

  /**
   * Returns the answer to a question. Throws PROTOCOL_VIOLATION for an invalid question, and the question's own
   * errors.
   */
  async to(name: MessageName, bytes: Buffer): Promise<Buffer> {
    const { history, changes } = this;
    const report = await answerReport(name, bytes, history.reports, changes.set);
    return report ?? this.answerTo(name, bytes);
  }

  private async answerTo(name: MessageName, bytes: Buffer): Promise<Buffer> {
    const { history } = this;
    switch (name) {
      case 'readClients': {
        const { question } = headOf(name, bytes);
        return answer('clientsAre', { question, ...clientsToWire(await this.clients()) });
      }
      case 'readSets': {
        const { question } = headOf(name, bytes);
        return answer('setsAre', { question, ...setsToWire(await history.sets()) });
      }
      case 'readRoots':
        return this.roots(headOf(name, bytes));
      case 'readSeals':
        return this.seals(headOf(name, bytes));
      case 'readNotes':
        return this.notes(headOf(name, bytes));
      case 'readOwners':
        return this.owners(headOf(name, bytes));
      case 'readEntry': {
        const { question, set, path } = headOf(name, bytes);
        const entry = await history.find(path, set);
        const entries = entry === undefined ? [] : [entry];
        return answer('entriesAre', { question, ...entriesToWire(entries, false) });
      }
      case 'readListing':
        return this.listing(headOf(name, bytes));
      case 'readVersions': {
        const { question, path } = headOf(name, bytes);
        const versions = await history.versions(path);
        return answer('entriesAre', { question, ...versionsToWire(versions) });
      }
      case 'readDigests': {
        const { question, prefix, limit } = headOf(name, bytes);
        if (prefix.length < 8 || limit > MAX_PAGE_ENTRIES) throw refused('a prefix or a limit');
        const found = await history.findContents(prefix, limit);
        const contents = found.map(({ contentId }) => contentId);
        const digests = found.map(({ digest }) => digest);
        const sizes = found.map(({ sizeBytes }) => sizeBytes);
        return answer('digestsAre', { question, contents, digests, sizes });
      }
      case 'readPlaces': {
        const { question, contents } = headOf(name, bytes);
        if (contents.length > MAX_LOCATED) throw refused('a number of contents');
        const wanted = contents.map((contentId) => ({ contentId, digest: undefined }));
        return answer('placesAre', { question, ...placesToWire(await history.locate(wanted)) });
      }
      case 'readerSignature':
      case 'readDelta':
      case 'dropSignature':
        return this.delta(name, bytes);
      case 'dropSets':
      case 'markSets':
      case 'purgeSets':
      case 'previewPurge':
        return answerChange(name, bytes, this.changes);
      case 'forgetPaths':
      case 'withdrawForgets':
      case 'readForgets':
        return answerForget(name, bytes, this.forgets);
      case 'checkStore':
      case 'freeUnneeded':
      case 'askWork':
        return this.tending.answer(name, bytes);
      case 'readObject':
        return this.object(headOf(name, bytes));
      default:
        throw new TardisError('PROTOCOL_VIOLATION', `"${name}" is no question of a reader`);
    }
  }

  /** Answers messages about a reader's signatures, and about deltas on the file versions that they describe. */
  private async delta(
    name: 'readerSignature' | 'readDelta' | 'dropSignature',
    bytes: Buffer,
  ): Promise<Buffer> {
    switch (name) {
      case 'readerSignature': {
        const { head, attachment } = decodeMessage(name, bytes);
        const { question, signature, basisBytes, last } = head;
        this.deltas.sign(signature, basisBytes, attachment, last);
        return answer('signatureTaken', { question });
      }
      case 'readDelta': {
        const { question, signature, digest, first } = headOf(name, bytes);
        if (digest.length !== DIGEST_BYTES) throw refused('a digest');
        const { chunk, isLast, isUseless } = await this.deltas.next(signature, digest, first);
        return answer('deltaIs', { question, last: isLast, useless: isUseless }, chunk);
      }
      case 'dropSignature': {
        const { question, signature } = headOf(name, bytes);
        await this.deltas.drop(signature);
        return answer('signatureTaken', { question });
      }
    }
  }

  private async roots({ question, set }: Head<'readRoots'>): Promise<Buffer> {
    const found = await this.history.roots(set);
    return answer('rootsAre', {
      question,
      roots: found.map(({ root }) => root),
      directories: found.map(({ directory }) => directory),
      paths: found.map(({ path }) => path),
      devices: found.map(({ device }) => device ?? ''),
    });
  }

  private async seals({ question, set, after }: Head<'readSeals'>): Promise<Buffer> {
    const { directories, setSeal } = await this.history.seals(set, after, PAGE_ITEMS);
    return answer('sealsAre', {
      question,
      directories: directories.map(({ directory }) => directory),
      seals: Buffer.concat(directories.map(({ seal }) => seal)),
      more: directories.length === PAGE_ITEMS,
      setSeal: setSeal ?? Buffer.alloc(0),
    });
  }

  private async notes({ question, set, from }: Head<'readNotes'>): Promise<Buffer> {
    const all = await this.history.notes(set);
    const page = all.slice(from, from + PAGE_ITEMS);
    return answer('notesAre', {
      question,
      directories: page.map(({ directory }) => directory),
      names: page.map(({ name }) => name),
      whats: page.map(({ what }) => what),
      reasons: page.map(({ reason }) => reason),
      more: from + page.length < all.length,
    });
  }

  private async owners({ question, set, from }: Head<'readOwners'>): Promise<Buffer> {
    const all = await this.history.owners(set);
    const page = all.slice(from, from + PAGE_ITEMS);
    return answer('ownersAre', {
      question,
      groups: Buffer.from(page.map(({ isGroup }) => (isGroup ? 1 : 0))),
      ids: page.map(({ id }) => id),
      names: page.map(({ name }) => name),
      more: from + page.length < all.length,
    });
  }

  private async listing(head: Head<'readListing'>): Promise<Buffer> {
    const { question, unlike } = head;
    if (head.limit === 0) throw refused('a limit');
    const limit = Math.min(head.limit, MAX_PAGE_ENTRIES);
    const found = await this.history.list({ ...head, limit, unlike: unlike || undefined });
    const told = fitting(found, ({ metadata, name }) => metadata.length + name.length);
    const more = told.length < found.length || found.length === limit;
    return answer('entriesAre', { question, ...entriesToWire(told, more) });
  }

  private async object({ question, object, position, bytes }: Head<'readObject'>): Promise<Buffer> {
    if (!isObjectName(object) || bytes > MAX_READ_BYTES) throw refused('an object or a length');
    const target = Buffer.allocUnsafeSlow(bytes);
    try {
      const got = await this.backend.read(object, position, target, bytes);
      return answer('objectIs', { question, exists: true }, target.subarray(0, got));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      return answer('objectIs', { question, exists: false });
    }
  }
}
