/**
 * One session of a reader: its questions are answered one by one and in order, from an archive that is
 * opened without the client's lock, so a backup may go on beside it. It runs where storage sessions run.
 */
import {
  type Archive,
  Access,
  entriesToWire,
  openArchiveIn,
  placesToWire,
  setsToWire,
  versionsToWire,
} from '../../archive/index.js';
import { systemCode, TardisError, toWire } from '../../errors/index.js';
import {
  type Backend,
  type ClientDirectory,
  DirectoryBackend,
  isObjectName,
} from '../../store/index.js';
import {
  changeSetting,
  dropSets,
  markSets,
  previewPurgeOf,
  purgeByRules,
  type StoreLimits,
  askToForget,
  forgetRequestsOf,
  previewForget,
  withdrawForget,
} from '../../keeper/index.js';
import { DIGEST_BYTES } from '../../model/index.js';
import type { System } from '../../system/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  MAX_LOCATED,
  MAX_PAGE_ENTRIES,
  MAX_QUESTIONS,
  MAX_READ_BYTES,
  type MessageName,
  READING_CREDIT_BYTES,
} from '../../transport/index.js';
import { ReaderDeltas } from './delta-maker.js';
import { answerReport } from './report-answers.js';
import { answerForget, type Forgets } from './forget-answers.js';
import { answerChange, type PurgeRights, type SetChanges } from './set-change-answers.js';

/** Notes or owners in one answer. */
const PAGE_ITEMS = 16_384;
/** Rows in one answer, unless a single one is larger. */
const PAGE_BYTES = 4 << 20;

/** Where answers go, as one buffer; `processedBytes` of questions have been handled with it. */
type AnswerSink = (answer: Buffer | undefined, processedBytes: number) => void;

interface Waiting {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

export class ReadingSession {
  private readonly queue: Waiting[] = [];
  /** What the reader lets us send. */
  private creditBytes = READING_CREDIT_BYTES;
  private isBusy = false;
  private isOver = false;
  private isClosed = false;
  private idle: (() => void)[] = [];
  private readonly archive: Archive;
  private readonly changes: SetChanges;
  private readonly forgets: Forgets;
  private readonly backend: Backend;
  private readonly deltas: ReaderDeltas;
  private readonly sink: AnswerSink;
  private readonly onFailure: (error: unknown) => void;

  private constructor(
    system: System,
    archive: Archive,
    backend: Backend,
    { changes, forgets }: { readonly changes: SetChanges; readonly forgets: Forgets },
    sink: AnswerSink,
    onFailure: (error: unknown) => void,
  ) {
    this.archive = archive;
    this.changes = changes;
    this.forgets = forgets;
    this.backend = backend;
    this.deltas = new ReaderDeltas(system, archive, backend);
    this.sink = sink;
    this.onFailure = onFailure;
  }

  /** Opens a client for reading. Throws what opening a catalog throws. */
  static open(
    system: System,
    directory: ClientDirectory,
    limits: StoreLimits,
    { leastAgeMs, forgetAfterMs, wishFor }: PurgeRights,
    sink: AnswerSink,
    onFailure: (error: unknown) => void,
  ): ReadingSession {
    // Who may read is the session's matter: whoever has come here may see all of this client. No reading
    // transaction stays open, since a backup of the client may begin in this very thread.
    const archive = openArchiveIn(system, directory, new Access(undefined), 0);
    const backend = new DirectoryBackend(directory.path, system.files);
    const changes: SetChanges = {
      drop: (sets) => dropSets(system, directory, limits, sets, leastAgeMs),
      mark: (sets, wish) => markSets(system, directory, limits, sets, wish),
      purge: async (isPreview) => {
        return isPreview
          ? previewPurgeOf(system, directory, wishFor)
          : purgeByRules(system, directory, limits, wishFor);
      },
      set: (key, value) => changeSetting(system, directory, limits, key, value),
    };
    const forgets: Forgets = {
      preview: (paths) => previewForget(system, directory, paths),
      ask: (paths, undoMs) =>
        askToForget(system, directory, limits, paths, Math.max(undoMs, forgetAfterMs)),
      withdraw: (ids) => withdrawForget(system, directory, limits, ids),
      all: () => forgetRequestsOf(system, directory),
    };
    return new ReadingSession(system, archive, backend, { changes, forgets }, sink, onFailure);
  }

  post(name: MessageName, bytes: Buffer): void {
    if (this.isOver) return;
    try {
      if (name === 'taken') {
        const { bytes: taken } = decodeMessage(name, bytes).head;
        this.creditBytes = Math.min(READING_CREDIT_BYTES, this.creditBytes + taken);
        this.sink(undefined, bytes.length);
      } else {
        if (this.queue.length >= MAX_QUESTIONS) {
          throw new TardisError('PROTOCOL_VIOLATION', 'too many questions wait');
        }
        this.queue.push({ name, bytes });
      }
      this.pump();
    } catch (error) {
      this.fail(error);
    }
  }

  /** A reader makes nothing durable. */
  checkpointSoon(): void {}

  /** Answers nothing more. */
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
    this.onFailure(error);
    if (!this.isBusy) this.close();
  }

  private close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.deltas.close().catch((error: unknown) => this.onFailure(error));
    this.backend.close();
    this.archive.close();
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
      const answer = await this.answer(next);
      if (this.isOver) return;
      this.creditBytes -= answer.length;
      this.sink(answer, next.bytes.length);
    }
  }

  /** A question that makes no sense ends the session; one that fails is answered so. */
  private async answer({ name, bytes }: Waiting): Promise<Buffer> {
    const question = questionIn(name, bytes);
    try {
      const report = await answerReport(name, bytes, this.archive.reports, this.changes.set);
      return report ?? (await this.answerOf(name, bytes));
    } catch (error) {
      const wire = toWire(error);
      if (wire.code === 'PROTOCOL_VIOLATION' || wire.code === 'INTERNAL') throw error;
      const { code, message, context } = wire;
      return encodeMessage('questionFailed', { question, code, message, context: { ...context } })
        .head;
    }
  }

  private async answerOf(name: MessageName, bytes: Buffer): Promise<Buffer> {
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

/** All questions have their number in the same field. */
function questionIn(name: MessageName, bytes: Buffer): number {
  if (name === 'readerSignature') return decodeMessage(name, bytes).head.question;
  return decodeMessage('readSets', bytes).head.question;
}

function encoded<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): Buffer {
  const message = encodeMessage(name, head, attachment);
  if (message.attachment === undefined) return message.head;
  return Buffer.concat([message.head, message.attachment]);
}

function refused(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a question asks with ${what} that cannot be`);
}
