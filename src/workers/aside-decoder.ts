/**
 * Reads and decodes records on threads of libuv's pool. These share the memory of the process, whereas a worker thread
 * has its own heap and compiled code.
 */
import path from 'node:path';
import {
  type BodyDecoder,
  type RecordPlace,
  truncated,
  unreadRecord,
  decodeHere,
  memoryReader,
  type BodyToDecode,
  decodeRecord,
  type DecodingSteps,
  RECORD_START_BYTES,
  type StepsFromFile,
  type DecodeInput,
  type DecodeOutput,
  type Decoder,
} from '../contents/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { releaseAll, releaseBuffers } from '../model/index.js';
import { changedRecord, Codec, type ObjectReader, unreadable } from '../store/index.js';
import {
  type AsideBody,
  AsideOutcome,
  BODY_PLACE_BYTES,
  type NativeCalls,
  NO_BODY_CIPHER,
  type System,
} from '../system/index.js';
import { type KeptFile, KeptFiles } from './kept-files.js';
import type { SpareMemory } from './spare-memory.js';

const NOTHING = Buffer.alloc(0);
/** Maximum number of records that are decoded at once, since other reads need threads of libuv's pool too. */
const DECODED_AT_ONCE = 2;

export class AsideDecoder implements Decoder {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly system: System;
  private readonly mostAtOnce: number;
  /** Packs that were read last. */
  readonly opened: KeptFiles;
  /** Memory for heads of records: at most one for each record that is decoded at once. */
  readonly heads: Buffer[] = [];
  private readonly spare: SpareMemory | undefined;

  /**
   * `mostAtOnce`: number of records that are decoded at once. Further requests wait, and hold no memory while they
   * wait. `spare` is given if the caller gives decoded bytes back (`reuse`).
   */
  constructor(system: System, mostAtOnce = DECODED_AT_ONCE, spare?: SpareMemory) {
    this.spare = spare;
    this.system = system;
    this.mostAtOnce = mostAtOnce;
    this.opened = new KeptFiles(system);
  }

  async run(
    _name: 'decode',
    input: DecodeInput,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<{ readonly output: DecodeOutput }> {
    await this.turn();
    try {
      return { output: await this.decoded(input) };
    } catch (error) {
      throw asTardisError(error, 'decoding');
    } finally {
      releaseBuffers(transfer);
      this.pass();
    }
  }

  private async turn(): Promise<void> {
    if (this.running < this.mostAtOnce) {
      this.running += 1;
      return;
    }
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve);
    });
  }

  /** Gives the freed place to the request that has waited longest. */
  private pass(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running -= 1;
    else next();
  }

  private async decoded(input: DecodeInput): Promise<DecodeOutput> {
    const { system, spare } = this;
    const { source, keys } = input;
    const rooms: Buffer[] = [];
    const steps: DecodingSteps = {
      room: (bytes) => {
        const room = Buffer.allocUnsafeSlow(bytes);
        rooms.push(room);
        return room;
      },
      target: (bytes) => spare?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes),
      decode: (body) => decodeAside(system.native, body),
    };
    const reader =
      'directory' in source ? new AsideReader(system, this, source.directory.path) : undefined;
    const backend = reader ?? memoryReader((source as { stored: Uint8Array }).stored);
    try {
      const from = { backend, native: system.native, keys };
      return await decodeRecord(input, from, system, { ...steps, fromFile: reader });
    } finally {
      backend.close();
      releaseAll(rooms);
    }
  }

  reuse(blocks: readonly Buffer[]): void {
    if (this.spare === undefined) releaseAll(blocks);
    else this.spare.giveBack(blocks);
  }

  forget(): void {
    this.opened.forget();
  }
}

/** Reads objects of a client's directory. Only to open them, and to read the heads of records, it blocks this thread. */
class AsideReader implements ObjectReader, StepsFromFile {
  private readonly system: System;
  private readonly opened: KeptFiles;
  /** Memory for heads of records, which readers share one after the other: the garbage collector would free it late. */
  private readonly heads: Buffer[];
  private readonly usedHeads: Buffer[] = [];
  private readonly root: string;
  /** The files that are in use until `close`, by the names of the objects. */
  private readonly used = new Map<string, KeptFile>();

  constructor(
    system: System,
    { opened, heads }: { readonly opened: KeptFiles; readonly heads: Buffer[] },
    root: string,
  ) {
    this.system = system;
    this.opened = opened;
    this.heads = heads;
    this.root = root;
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    try {
      return await this.system.native.readAside(this.fd(name), position, target.subarray(0, bytes));
    } catch (error) {
      throw unreadable(error, name);
    }
  }

  head({ object, position }: RecordPlace, bytes: number): Buffer {
    const head = this.heads.pop() ?? Buffer.allocUnsafeSlow(RECORD_START_BYTES);
    this.usedHeads.push(head);
    try {
      const got = this.system.files.read(this.fd(object), head, 0, bytes, position);
      return head.subarray(0, got);
    } catch (error) {
      throw unreadRecord(unreadable(error, object), object);
    }
  }

  async decode(
    { codec, sealed, target, contents, part }: BodyToDecode,
    { object, position }: RecordPlace,
    { at, bytes }: { readonly at: number; readonly bytes: number },
  ): Promise<void> {
    const place = Buffer.alloc(BODY_PLACE_BYTES);
    place.writeDoubleLE(position + at, 0);
    place.writeDoubleLE(bytes, 8);
    place.writeDoubleLE(part?.from ?? -1, 16);
    const { cipher, key, nonce, also } = sealed.opening ?? PLAIN;
    const { native } = this.system;
    let outcome: number;
    try {
      const fd = this.fd(object);
      const body = [cipher, key, nonce, also, place, codec, target, contents, fd] as const;
      outcome = await native.decodeStoredAside(...body);
    } catch (error) {
      throw unreadRecord(unreadable(error, object), object);
    }
    if (outcome === AsideOutcome.truncated) throw truncated(object);
    requireDecoded(outcome);
  }

  close(): void {
    this.heads.push(...this.usedHeads.splice(0));
    for (const file of this.used.values()) this.opened.leave(file);
    this.used.clear();
  }

  private fd(name: string): number {
    const file = this.used.get(name) ?? this.opened.use(path.join(this.root, name));
    this.used.set(name, file);
    return file.fd;
  }
}

async function decodeAside(native: NativeCalls, body: BodyToDecode): Promise<void> {
  const { codec, sealed, target, contents, part } = body;
  if (codec !== Codec.none && codec !== Codec.zstd) {
    decodeHere(native, body); // the addon has no other codecs
    return;
  }
  const { cipher, key, nonce, also } = sealed.opening ?? PLAIN;
  const job: AsideBody = [cipher, key, nonce, also, sealed.body, codec, target, contents];
  requireDecoded(
    part === undefined
      ? await native.decodeAside(...job)
      : await native.decodePartAside(...job, part.from),
  );
}

/** Returns a decoder of bodies that works on libuv's pool. */
export function bodiesAside(native: NativeCalls): BodyDecoder {
  return (codec, sealed, target) =>
    decodeAside(native, { codec, sealed, target, contents: NOTHING });
}

const PLAIN = { cipher: NO_BODY_CIPHER, key: NOTHING, nonce: NOTHING, also: NOTHING } as const;

function whatIsWrong(outcome: number): string {
  if (outcome === AsideOutcome.broken) return 'compressed bytes are broken';
  if (outcome === AsideOutcome.outside) return 'a content is longer than its record';
  return 'compressed bytes decode to another length';
}

function requireDecoded(outcome: number): void {
  if (outcome === AsideOutcome.decoded) return;
  if (outcome === AsideOutcome.changed) throw changedRecord();
  throw new TardisError('RECORD_DAMAGED', whatIsWrong(outcome));
}
