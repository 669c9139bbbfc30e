/**
 * The streams stage: saves what commands write, and standard input, as files. Their bytes are read once, and their sizes
 * are known only at the end. So the bytes are collected in pieces in memory, and each piece passes the stages of a part of
 * a large file: it is hashed, compared with the whole basis, and sent if the server lacks it. The row follows if the
 * source has ended well. Without its row, what was sent belongs to no file.
 */
import { from, ignoreElements, type Observable } from 'rxjs';
import { blockBytesFor, LEAST_DELTA_BYTES, MAX_BLOCKS } from '../delta/index.js';
import { RowOffset, RowReader, type SlotNumber } from '../model/index.js';
import type { Context } from './context.js';
import { FileDelta } from './file-delta.js';
import { chosenScheme, type PartResult, type Sending } from './large-file.js';
import type { LargeFile } from './parcel.js';
import { noteLarge, sendRow } from './send-large.js';
import { PartsSender } from './send-parts.js';
import { SignatureSender } from './signature-sender.js';
import { stage } from './stage.js';

/** Length of a piece. It consists of whole blocks of any signature. */
const PIECE_BYTES: number = 4 << 20;
/** Number of pieces in memory: one is filled while the others are sent. */
const PIECES = 3;
const NO_PIECE = new Uint8Array(0);
/** Size by which the blocks of a first signature are chosen, which then serves contents of up to a gigabyte. */
const USUAL_BYTES: number = 512 << 20;
/** Length of a directory's skip hash. Zeros mean that the listing must be compared. */
const NO_HASH: Uint8Array = new Uint8Array(32);

/** A file of the set whose bytes are read once, from a command or a pipe. */
export interface StreamedFile {
  readonly slot: SlotNumber;
  /** Number by which the server knows the root that has only this file, and the row of that root. */
  readonly parent: number;
  readonly rootRow: Buffer;
  /** Path of the directory, as failures name it, and its identity. */
  readonly directoryPath: Buffer;
  readonly directory: Buffer;
  /** Row of the file, with UNKNOWN_SIZE_BYTES. */
  readonly row: Buffer;
  /**
   * Passes all bytes to `take`, whose promise it awaits. Resolves with the reason why they are incomplete; undefined if
   * the source has ended well. Rejects with an error of `take`.
   */
  read(take: (bytes: Uint8Array) => Promise<void>): Promise<string | undefined>;
}

/** Saves all streams of the backup, one at a time, which bounds their memory. Emits nothing. */
export function sendStreams(context: Context): Observable<never> {
  const { counters, sources } = context;
  return from(sources.streams ?? []).pipe(
    stage(counters.streams, (streamed) => sendStream(context, streamed)),
    ignoreElements(),
  );
}

async function sendStream(context: Context, streamed: StreamedFile): Promise<void> {
  const { counters, directories, peer, progress } = context;
  const { slot, parent, rootRow: rows, row, directoryPath, directory } = streamed;
  const head = { slots: Uint32Array.of(slot), parents: Int32Array.of(parent), rows };
  await peer.heads({ ...head, hashes: NO_HASH }, !peer.isEmpty);
  // The listing is compared, so that a basis is offered. Its answer follows from the unknown size.
  if (!peer.isEmpty) await peer.listing(slot, row, true);
  progress.entries += 1;
  directories.open(slot, 0, false);
  directories.hold(slot);
  directories.cut(slot);
  const sizeBytes = new RowReader(row).sizeBytes(0);
  const file = { slot, directoryPath, directory, row, sizeBytes, hashFirst: !peer.isEmpty };
  progress.isStreaming = true;
  const sentBytes = await new StreamSender(context, file).send(streamed);
  progress.isStreaming = false;
  counters.streams.count(1, sentBytes, 0);
  counters.large.count(1, sentBytes, 0);
  directories.release(slot);
}

/** The fields of a file that are fixed with its first piece. */
type SentSource = Pick<Sending, 'scheme' | 'blockBytes' | 'delta' | 'signature'>;

/** A stream that is read and sent. */
class StreamSender {
  private readonly sender: PartsSender;
  private readonly parts: PartResult[] = [];
  /** The piece that is filled, those that are free, and the number of all. */
  private piece: Uint8Array = NO_PIECE;
  private readonly free: Uint8Array[] = [];
  private made = 0;
  private filledBytes = 0;
  private count = 0;
  /** Number of bytes before the piece that is filled. */
  private offset = 0;
  private source: SentSource | undefined;
  /** The file as the newest piece was sent. */
  private sent: Sending | undefined;
  /** The pieces that are being sent. */
  private readonly sending = new Set<Promise<void>>();

  constructor(
    private readonly context: Context,
    private readonly file: LargeFile,
  ) {
    this.sender = new PartsSender(context);
  }

  /** Sends the file, or notes why it is left as it was in the last set. Returns the number of bytes read. */
  async send(streamed: StreamedFile): Promise<number> {
    try {
      const failure = await streamed.read((bytes) => this.take(bytes));
      if (failure === undefined && this.filledBytes > 0) await this.finish();
      else await this.drop(failure ?? 'it gave no data');
      return this.offset + this.filledBytes;
    } finally {
      await Promise.allSettled(this.sending); // their jobs use what is closed here; a failure was thrown before
      this.source?.signature?.[Symbol.dispose]();
      this.source?.delta?.close();
    }
  }

  private async take(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.filledBytes === PIECE_BYTES) await this.sendPiece(true);
      if (this.piece.length === 0) this.piece = await this.freePiece();
      const part = bytes.subarray(at, at + PIECE_BYTES - this.filledBytes);
      this.piece.set(part, this.filledBytes);
      this.filledBytes += part.length;
      at += part.length;
    }
    this.context.progress.scannedBytes += bytes.length;
  }

  /** Returns memory for a piece, once some is free. Rejects if a piece could not be sent. */
  private async freePiece(): Promise<Uint8Array> {
    if (this.free.length === 0 && this.made < PIECES) {
      this.made += 1;
      return new Uint8Array(new SharedArrayBuffer(PIECE_BYTES));
    }
    if (this.free.length === 0) await Promise.race(this.sending);
    return this.free.pop()!;
  }

  /** Begins to send the piece. */
  private async sendPiece(isInParts: boolean): Promise<void> {
    const { offset, piece } = this;
    const content = piece.subarray(0, this.filledBytes);
    const source = (this.source ??= await this.begin());
    const formBytes = offset + content.length;
    // A signature with more blocks is longer than any that a server takes.
    const isSigned = formBytes <= (source.blockBytes ?? 0) * MAX_BLOCKS;
    const signature = isSigned ? source.signature : undefined;
    const form = { sparseHead: undefined, formBytes, content, isInParts, signature };
    this.sent = { ...this.file, ...source, ...form };
    const number = this.count;
    const sending = this.sender.sendPart(this.sent, offset, number).then((part) => {
      this.parts[number] = part;
      this.sending.delete(sending);
      this.free.push(piece);
    });
    sending.catch(() => undefined); // rejects where it is awaited
    this.sending.add(sending);
    this.count += 1;
    this.offset = formBytes;
    this.filledBytes = 0;
    this.piece = NO_PIECE;
  }

  /**
   * Finds the basis, and begins a signature. Its blocks have the length that suits the basis, since the size of a dump
   * changes little.
   */
  private async begin(): Promise<SentSource> {
    const { context, file, filledBytes } = this;
    const { encryption, jobs, peer, settings, streams } = context;
    const scheme = chosenScheme(settings.cipherChoice, file);
    const offer = peer.basisOf(file.slot, new RowReader(file.row).name(0));
    const blockBytes = blockBytesFor(Math.max(filledBytes, offer?.sizeBytes ?? 0, USUAL_BYTES));
    if (filledBytes < LEAST_DELTA_BYTES) {
      offer?.release();
      return { scheme, blockBytes, delta: undefined, signature: undefined };
    }
    const { signatureBytes } = streams;
    const options = { signatureBytes, rangeBytes: undefined, mayBeSame: false };
    const delta = offer && (await FileDelta.begin(offer, jobs, options));
    const isSigned = peer.contentKeys !== undefined || settings.sendSignatures === true;
    if (!isSigned || blockBytes === undefined)
      return { scheme, blockBytes, delta, signature: undefined };
    const isDelta = delta !== undefined;
    const start = { blockBytes, isDelta, mostBytes: Infinity, scheme, memory: streams.madeBytes };
    return { scheme, blockBytes, delta, signature: await SignatureSender.begin(encryption, start) };
  }

  /** Sends the rest and the row. */
  private async finish(): Promise<void> {
    const { context, file, parts } = this;
    const isInParts = this.offset > 0;
    await this.sendPiece(isInParts);
    await Promise.all(this.sending);
    const row = Buffer.from(file.row);
    row.writeBigUInt64LE(BigInt(this.offset), RowOffset.sizeBytes);
    const { signature } = this.source!;
    const isSigned = signature?.isWhole(parts.length) === true;
    const sent = { ...this.sent!, signature: isSigned ? signature : undefined };
    const result = await this.sender.finish(
      sent,
      parts.map((part) => ({ ...part, row })),
    );
    await sendRow(context, file, result);
  }

  /** Leaves the file as it was in the last set. The pieces that were sent are garbage. */
  private async drop(reason: string): Promise<void> {
    const { context, file, parts } = this;
    await Promise.all(this.sending);
    context.progress.readBytes -= parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    noteLarge(context, file, 'unreadable', reason);
  }
}
