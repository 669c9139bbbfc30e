/** A hand-written server for the pipeline: it records what it receives, and answers when the test allows it. */
import type {
  BackupPeer,
  HeadBatch,
  OfferedBasis,
  OutgoingParcel,
  PeerStream,
  StreamStart,
} from '../../src/pipeline/index.js';
import { type ContentKeys, type Entry, forEachRow, RowReader } from '../../src/model/index.js';
import {
  CHUNK_HEADER_BYTES,
  Codec,
  type CodecNumber,
  decode,
  decodeChunk,
  parseRecord,
  readChunkHeader,
  readContentIndex,
  readFrameIndex,
  RecordKind,
  STREAM_CHUNK_BYTES,
} from '../../src/store/index.js';
import { Verdict, Wanted } from '../../src/transport/index.js';
import { type Failure, type OwnerName, runOf } from '../../src/workers/index.js';
import { entriesOf, sha256 } from './rows.js';

/** Every call of the peer whose answer can be delayed or made to fail. */
export type PeerCall = 'heads' | 'listing' | 'digests' | 'parcel' | 'chunk' | 'end';

export interface SentStream {
  readonly isPart: boolean;
  readonly fileSizeBytes: number;
  readonly chunks: Buffer[];
  digest: string | undefined;
  sizeBytes: number;
  isAborted: boolean;
}

export class FakePeer implements BackupPeer {
  readonly isEmpty: boolean;
  readonly failure: Error | undefined = undefined;
  contentKeys: ContentKeys | undefined;
  readonly takesPages = true;
  /** Maps slots to directories: their path below the roots, from their heads. */
  readonly paths = new Map<number, string>();
  /** The received rows by path. Two rows of one path are an error. */
  readonly rows = new Map<string, Entry>();
  /** Contents by digest, in hexadecimal. */
  readonly contents = new Map<string, Buffer>();
  readonly signatures = new Map<string, Buffer>();
  readonly finished = new Map<number, boolean>();
  readonly failures: Failure[] = [];
  /** Names by `user` or `group` and number. */
  readonly ownerNames = new Map<string, string>();
  readonly streams: SentStream[] = [];
  readonly assemblies: { digest: string; sizeBytes: number }[] = [];
  readonly requested: string[] = [];
  /** Bytes of contents sent and not received yet, and their maximum. */
  unreceivedBytes = 0;
  unreceivedPeak = 0;
  /** Chunks sent and not received yet. */
  openChunks = 0;
  openChunksPeak = 0;
  /** Tests set these: which directories are unchanged, which rows are wanted, which contents are stored already. */
  isSame: (path: string) => boolean = () => false;
  verdictOf: (path: string) => number = () => Wanted.yes;
  knows: (digest: string) => boolean = () => false;
  /** Called before each answer: may wait, or throw. */
  beforeAnswer: (call: PeerCall) => Promise<void> | void = () => undefined;

  constructor(isEmpty = true) {
    this.isEmpty = isEmpty;
  }

  async heads({ slots, parents, rows }: HeadBatch): Promise<Uint8Array> {
    const entries = entriesOf(rows);
    const same = Array.from(slots, (slot, index) => {
      const name = entries[index]!.name.toString();
      const parent = parents[index]!;
      const path = parent < 0 ? '' : `${this.pathOf(parent)}/${name}`;
      if (this.paths.has(slot)) throw new Error(`slot ${slot} is declared twice`);
      this.paths.set(slot, path);
      return this.isSame(path) ? 1 : 0;
    });
    await this.beforeAnswer('heads');
    return Uint8Array.from(same);
  }

  async listing(slot: number, rows: Buffer, _isLast = true): Promise<Uint8Array> {
    const path = this.pathOf(slot);
    const wanted = entriesOf(rows).map(({ name }) => this.verdictOf(`${path}/${name.toString()}`));
    await this.beforeAnswer('listing');
    return Uint8Array.from(wanted);
  }

  async verdicts(digests: Uint8Array): Promise<Uint8Array> {
    const verdicts: number[] = [];
    for (let at = 0; at < digests.length; at += 32) {
      const digest = Buffer.from(digests.subarray(at, at + 32)).toString('hex');
      this.requested.push(digest);
      verdicts.push(this.knows(digest) ? Verdict.have : Verdict.want);
    }
    await this.beforeAnswer('digests');
    return Uint8Array.from(verdicts);
  }

  async parcel({ slots, rows, rowEnds, records, recordLengths }: OutgoingParcel): Promise<void> {
    const rawBytes = this.takeRecords(records, recordLengths);
    slots.forEach((slot, section) => {
      if (this.finished.has(slot)) throw new Error(`slot ${slot} is done already`);
      const path = this.pathOf(slot);
      const reader = new RowReader(Buffer.from(runOf(rows, rowEnds, section)));
      forEachRow(reader, (at) => {
        const [entry] = entriesOf(reader.row(at));
        const full = `${path}/${entry!.name.toString()}`;
        if (this.rows.has(full)) throw new Error(`${full} is sent twice`);
        this.rows.set(full, entry!);
      });
    });
    this.unreceivedBytes += rawBytes;
    this.unreceivedPeak = Math.max(this.unreceivedPeak, this.unreceivedBytes);
    await this.beforeAnswer('parcel');
    this.unreceivedBytes -= rawBytes;
  }

  private takeRecords(records: Uint8Array | undefined, lengths: readonly number[]): number {
    let [at, rawBytes] = [0, 0];
    for (const length of lengths) {
      const { header, index, body } = parseRecord(records!.subarray(at, at + length));
      const raw = Buffer.alloc(header.rawBytes);
      decode(header.codec, body, raw);
      const slices =
        header.kind === RecordKind.frame
          ? readFrameIndex(header, index)
          : [{ ...readContentIndex(index), offset: 0 }];
      for (const { digest, offset, sizeBytes } of slices) {
        this.keep(Buffer.from(digest), Buffer.from(raw.subarray(offset, offset + sizeBytes)));
      }
      at += length;
      rawBytes += header.rawBytes;
    }
    return rawBytes;
  }

  private keep(digest: Buffer, content: Buffer): void {
    if (!sha256(content).equals(digest)) throw new Error('a content is not what its digest says');
    this.contents.set(digest.toString('hex'), content);
  }

  done(slots: readonly number[], settled: readonly boolean[]): void {
    slots.forEach((slot, index) => {
      if (this.finished.has(slot)) throw new Error(`slot ${slot} is done twice`);
      this.finished.set(slot, settled[index]!);
    });
  }

  owners(names: readonly OwnerName[]): void {
    for (const { isGroup, id, name } of names) {
      this.ownerNames.set(`${isGroup ? 'group' : 'user'} ${id}`, Buffer.from(name).toString());
    }
  }

  notes(failures: readonly Failure[]): void {
    for (const { slot } of failures) this.pathOf(slot);
    this.failures.push(...failures);
  }

  openStream({ isPart, codec, fileSizeBytes }: StreamStart): PeerStream {
    const chunks: Buffer[] = [];
    const stream: SentStream = {
      isPart,
      fileSizeBytes,
      chunks,
      digest: undefined,
      sizeBytes: 0,
      isAborted: false,
    };
    this.streams.push(stream);
    return {
      chunk: async (bytes) => {
        chunks.push(Buffer.from(bytes));
        this.openChunks += 1;
        this.openChunksPeak = Math.max(this.openChunksPeak, this.openChunks);
        await this.beforeAnswer('chunk');
        this.openChunks -= 1;
      },
      end: async ({ digest, sizeBytes }) => {
        this.keep(Buffer.from(digest), joined(chunks, codec as CodecNumber, sizeBytes));
        stream.digest = Buffer.from(digest).toString('hex');
        stream.sizeBytes = sizeBytes;
        await this.beforeAnswer('end');
      },
      abort: () => {
        stream.isAborted = true;
      },
    };
  }

  seekBasis(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  basisOf(): OfferedBasis | undefined {
    return undefined;
  }

  openSignature(): PeerStream {
    const chunks: Buffer[] = [];
    return {
      chunk: async (bytes) => {
        chunks.push(Buffer.from(bytes));
        await this.beforeAnswer('chunk');
      },
      end: async ({ digest, rawBytes }) => {
        const signature = joined(chunks, Codec.none, rawBytes);
        this.signatures.set(Buffer.from(digest).toString('hex'), signature);
        await this.beforeAnswer('end');
      },
      abort: () => undefined,
    };
  }

  assembly(digest: Uint8Array, sizeBytes: number): void {
    this.assemblies.push({ digest: Buffer.from(digest).toString('hex'), sizeBytes });
  }

  /** Returns the digests of files, in hexadecimal, sorted. */
  digestsOf(...paths: string[]): string[] {
    return paths.map((path) => this.rows.get(path)!.digest!.toString('hex')).sort();
  }

  /**
   * True if the last rows of a directory have arrived and it may be skipped next time; undefined if it is not
   * finished.
   */
  settledOf(path: string): boolean | undefined {
    const slot = [...this.paths].find(([, other]) => other === path)?.[0];
    return slot === undefined ? undefined : this.finished.get(slot);
  }

  private pathOf(slot: number): string {
    if (slot < 0) return '';
    const path = this.paths.get(slot);
    if (path === undefined) throw new Error(`slot ${slot} was not declared`);
    return path;
  }
}

/** Returns the content of a stream that came in chunks. */
export function joined(chunks: readonly Buffer[], codec: CodecNumber, sizeBytes: number): Buffer {
  let remaining = sizeBytes;
  const pieces = chunks.map((chunk) => {
    const header = readChunkHeader(chunk, STREAM_CHUNK_BYTES);
    const target = Buffer.alloc(Math.min(STREAM_CHUNK_BYTES, remaining));
    decodeChunk(codec, header, { stored: chunk.subarray(CHUNK_HEADER_BYTES), target });
    remaining -= target.length;
    return target;
  });
  return Buffer.concat(pieces);
}
