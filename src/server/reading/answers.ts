/** What a reader is answered, question by question, from one client's store. */
import {
  type Archive,
  Access,
  entriesToWire,
  openArchiveIn,
  placesToWire,
  setsToWire,
  versionsToWire,
} from '../../archive/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import {
  askToForget,
  changeSetting,
  dropSets,
  forgetRequestsOf,
  markSets,
  previewPurgeOf,
  purgeByRules,
  withdrawForget,
} from '../../keeper/index.js';
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
  encodeMessage,
  type Head,
  MAX_LOCATED,
  MAX_PAGE_ENTRIES,
  MAX_READ_BYTES,
  type MessageName,
} from '../../transport/index.js';
import { ReaderDeltas } from './delta-maker.js';
import { answerForget, type Forgets } from './forget-answers.js';
import { answerReport } from './report-answers.js';
import { answerChange, type PurgeRights, type SetChanges } from './set-change-answers.js';
import { Tending, type TendingLimits } from '../tending/tending.js';

/** Notes or owners in one answer. */
const PAGE_ITEMS = 16_384;
/** Rows in one answer, unless a single one is larger. */
const PAGE_BYTES = 4 << 20;

interface Parts {
  readonly archive: Archive;
  readonly backend: Backend;
  readonly changes: SetChanges;
  readonly forgets: Forgets;
  readonly tending: Tending;
}

export class Answers {
  private readonly archive: Archive;
  private readonly backend: Backend;
  private readonly changes: SetChanges;
  private readonly forgets: Forgets;
  private readonly tending: Tending;
  private readonly deltas: ReaderDeltas;

  private constructor(system: System, { archive, backend, changes, forgets, tending }: Parts) {
    this.archive = archive;
    this.backend = backend;
    this.changes = changes;
    this.forgets = forgets;
    this.tending = tending;
    this.deltas = new ReaderDeltas(system, archive, backend);
  }

  /** Opens a client for reading. Throws what opening a catalog throws. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: TendingLimits,
    rights: PurgeRights,
  ): Answers {
    const { leastAgeMs, forgetAfterMs, wishFor } = rights;
    const { limits: store } = limits;
    // Who may read is the session's matter: whoever has come here may see all of this client. No reading
    // transaction stays open, since a backup of the client may begin in this very thread.
    const archive = openArchiveIn(system, directory, new Access(undefined), 0);
    const backend = new DirectoryBackend(directory.path, system.files);
    const changes: SetChanges = {
      drop: (sets) => dropSets(system, directory, store, sets, leastAgeMs),
      mark: (sets, wish) => markSets(system, directory, store, sets, wish),
      purge: async (isPreview) => {
        return isPreview
          ? previewPurgeOf(system, directory, wishFor)
          : purgeByRules(system, directory, store, wishFor);
      },
      set: (key, value) => changeSetting(system, directory, store, key, value),
    };
    const tending = new Tending(directory, limits);
    const forgets: Forgets = {
      preview: (paths) => tending.previewForget(paths),
      ask: async (paths, undoMs) => {
        const { lockedSets } = await tending.previewForget(paths);
        if (lockedSets > 0) {
          throw new TardisError('SET_LOCKED', `it is in ${lockedSets} locked sets`);
        }
        // Nor may what is to be kept for a while go path by path.
        const afterMs = Math.max(undoMs, forgetAfterMs, leastAgeMs);
        return askToForget(system, directory, store, paths, afterMs);
      },
      withdraw: (ids) => withdrawForget(system, directory, store, ids),
      all: () => forgetRequestsOf(system, directory),
    };
    return new Answers(system, { archive, backend, changes, forgets, tending });
  }

  async close(): Promise<void> {
    const closing = [this.deltas.close(), this.tending.close()];
    this.backend.close();
    this.archive.close();
    await Promise.all(closing);
  }

  /** Throws PROTOCOL_VIOLATION for what makes no sense, and whatever a question fails with. */
  async to(name: MessageName, bytes: Buffer): Promise<Buffer> {
    const { archive, changes } = this;
    const report = await answerReport(name, bytes, archive.reports, changes.set);
    return report ?? this.answerTo(name, bytes);
  }

  private async answerTo(name: MessageName, bytes: Buffer): Promise<Buffer> {
    const { archive } = this;
    switch (name) {
      case 'readSets': {
        const { question } = decodeMessage(name, bytes).head;
        return encoded('setsAre', { question, ...setsToWire(await archive.sets()) });
      }
      case 'readRoots':
        return this.roots(decodeMessage(name, bytes).head);
      case 'readSeals':
        return this.seals(decodeMessage(name, bytes).head);
      case 'readNotes':
        return this.notes(decodeMessage(name, bytes).head);
      case 'readOwners':
        return this.owners(decodeMessage(name, bytes).head);
      case 'readEntry': {
        const { question, set, path } = decodeMessage(name, bytes).head;
        const entry = await archive.find(path, set);
        const entries = entry === undefined ? [] : [entry];
        return encoded('entriesAre', { question, ...entriesToWire(entries, false) });
      }
      case 'readListing':
        return this.listing(decodeMessage(name, bytes).head);
      case 'readVersions': {
        const { question, path } = decodeMessage(name, bytes).head;
        const versions = await archive.versions(path);
        return encoded('entriesAre', { question, ...versionsToWire(versions) });
      }
      case 'readDigests': {
        const { question, prefix, limit } = decodeMessage(name, bytes).head;
        if (prefix.length < 8 || limit > MAX_PAGE_ENTRIES) throw refused('a prefix or a limit');
        const found = await archive.findContents(prefix, limit);
        const contents = found.map(({ contentId }) => contentId);
        const digests = found.map(({ digest }) => digest);
        const sizes = found.map(({ sizeBytes }) => sizeBytes);
        return encoded('digestsAre', { question, contents, digests, sizes });
      }
      case 'readPlaces': {
        const { question, contents } = decodeMessage(name, bytes).head;
        if (contents.length > MAX_LOCATED) throw refused('a number of contents');
        const wanted = contents.map((contentId) => ({ contentId, digest: undefined }));
        return encoded('placesAre', { question, ...placesToWire(await archive.locate(wanted)) });
      }
      case 'readerSignature':
      case 'readDelta':
      case 'dropSignature':
        return this.delta(name, bytes);
      case 'dropSets':
      case 'markSets':
      case 'purgeSets':
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
        return this.object(decodeMessage(name, bytes).head);
      default:
        throw new TardisError('PROTOCOL_VIOLATION', `"${name}" is no question of a reader`);
    }
  }

  /** What a reader has, and parts of deltas on that. */
  private async delta(
    name: 'readerSignature' | 'readDelta' | 'dropSignature',
    bytes: Buffer,
  ): Promise<Buffer> {
    switch (name) {
      case 'readerSignature': {
        const { head, attachment } = decodeMessage(name, bytes);
        const { question, signature, basisBytes, last } = head;
        this.deltas.sign(signature, basisBytes, attachment, last);
        return encoded('signatureTaken', { question });
      }
      case 'readDelta': {
        const { question, signature, digest, first } = decodeMessage(name, bytes).head;
        if (digest.length !== DIGEST_BYTES) throw refused('a digest');
        const { chunk, isLast, isUseless } = await this.deltas.next(signature, digest, first);
        return encoded('deltaIs', { question, last: isLast, useless: isUseless }, chunk);
      }
      case 'dropSignature': {
        const { question, signature } = decodeMessage(name, bytes).head;
        await this.deltas.drop(signature);
        return encoded('signatureTaken', { question });
      }
    }
  }

  private async roots({ question, set }: Head<'readRoots'>): Promise<Buffer> {
    const found = await this.archive.roots(set);
    return encoded('rootsAre', {
      question,
      roots: found.map(({ root }) => root),
      directories: found.map(({ directory }) => directory),
      paths: found.map(({ path }) => path),
      devices: found.map(({ device }) => device ?? ''),
    });
  }

  private async seals({ question, set, after }: Head<'readSeals'>): Promise<Buffer> {
    const { directories, setSeal } = await this.archive.seals(set, after, PAGE_ITEMS);
    return encoded('sealsAre', {
      question,
      directories: directories.map(({ directory }) => directory),
      seals: Buffer.concat(directories.map(({ seal }) => seal)),
      more: directories.length === PAGE_ITEMS,
      setSeal: setSeal ?? Buffer.alloc(0),
    });
  }

  private async notes({ question, set, from }: Head<'readNotes'>): Promise<Buffer> {
    const all = await this.archive.notes(set);
    const page = all.slice(from, from + PAGE_ITEMS);
    return encoded('notesAre', {
      question,
      directories: page.map(({ directory }) => directory),
      names: page.map(({ name }) => name),
      whats: page.map(({ what }) => what),
      reasons: page.map(({ reason }) => reason),
      more: from + page.length < all.length,
    });
  }

  private async owners({ question, set, from }: Head<'readOwners'>): Promise<Buffer> {
    const all = await this.archive.owners(set);
    const page = all.slice(from, from + PAGE_ITEMS);
    return encoded('ownersAre', {
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
    const found = await this.archive.list({ ...head, limit, unlike: unlike || undefined });
    let bytes = 0;
    const fits = found.findIndex(({ metadata, name }, index) => {
      bytes += metadata.length + name.length;
      return index > 0 && bytes > PAGE_BYTES;
    });
    const told = fits < 0 ? found : found.slice(0, fits);
    const more = told.length < found.length || found.length === limit;
    return encoded('entriesAre', { question, ...entriesToWire(told, more) });
  }

  private async object({ question, object, position, bytes }: Head<'readObject'>): Promise<Buffer> {
    if (!isObjectName(object) || bytes > MAX_READ_BYTES) throw refused('an object or a length');
    const target = Buffer.allocUnsafeSlow(bytes);
    try {
      const got = await this.backend.read(object, position, target, bytes);
      return encoded('objectIs', { question, exists: true }, target.subarray(0, got));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      return encoded('objectIs', { question, exists: false });
    }
  }
}

function encoded<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): Buffer {
  const message = encodeMessage(name, head, attachment);
  if (message.attachment === undefined) return message.head;
  return Buffer.concat([message.head, message.attachment]);
}

function refused(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a question asks with ${what} that cannot be`);
}
