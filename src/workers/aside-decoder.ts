/**
 * Reads and decodes records on threads of libuv's pool. These share the memory of the process, whereas a worker thread
 * has its own heap and compiled code.
 */
import path from 'node:path';
import type { BodyDecoder } from '../delta/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { releaseAll, releaseBuffers } from '../model/index.js';
import { changedRecord, Codec, type ObjectReader, unreadable } from '../store/index.js';
import {
  type AsideBody,
  AsideOutcome,
  type NativeCalls,
  NO_BODY_CIPHER,
  type System,
} from '../system/index.js';
import { decodeHere, memoryReader } from './decode-job.js';
import { type BodyToDecode, decodeRecord, type DecodingSteps } from './decode-record.js';
import type { DecodeInput, DecodeOutput, Decoder } from './decode-types.js';

const NOTHING = Buffer.alloc(0);
/** Maximum number of records that are decoded at once, since other reads need threads of libuv's pool too. */
const DECODED_AT_ONCE = 2;

export class AsideDecoder implements Decoder {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly system: System;
  private readonly mostAtOnce: number;

  /**
   * `mostAtOnce`: number of records that are decoded at once. Further requests wait, and hold no memory while they
   * wait.
   */
  constructor(system: System, mostAtOnce = DECODED_AT_ONCE) {
    this.system = system;
    this.mostAtOnce = mostAtOnce;
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
    const { system } = this;
    const { source, keys } = input;
    const backend =
      'directory' in source
        ? new AsideReader(system, source.directory.path)
        : memoryReader(source.stored);
    const rooms: Buffer[] = [];
    try {
      const from = { backend, native: system.native, keys };
      return await decodeRecord(input, from, system, stepsAside(system, rooms));
    } finally {
      backend.close();
      releaseAll(rooms);
    }
  }
}

/** Reads objects of a client's directory without blocking this thread. */
class AsideReader implements ObjectReader {
  private readonly system: System;
  private readonly root: string;
  private opened: { readonly name: string; readonly fd: number } | undefined;

  constructor(system: System, root: string) {
    this.system = system;
    this.root = root;
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const { files, native } = this.system;
    try {
      if (this.opened?.name !== name) {
        this.close();
        this.opened = { name, fd: files.open(path.join(this.root, name), 'read') };
      }
      return await native.readAside(this.opened.fd, position, target.subarray(0, bytes));
    } catch (error) {
      throw unreadable(error, name);
    }
  }

  close(): void {
    if (this.opened !== undefined) this.system.files.close(this.opened.fd);
    this.opened = undefined;
  }
}

function stepsAside({ native }: System, rooms: Buffer[]): DecodingSteps {
  return {
    room: (bytes) => {
      const room = Buffer.allocUnsafeSlow(bytes);
      rooms.push(room);
      return room;
    },
    decode: (body) => decodeAside(native, body),
  };
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

function requireDecoded(outcome: number): void {
  if (outcome === AsideOutcome.decoded) return;
  if (outcome === AsideOutcome.changed) throw changedRecord();
  const isBroken = outcome === AsideOutcome.broken;
  const what = isBroken ? 'are broken' : 'decode to another length';
  throw new TardisError('RECORD_DAMAGED', `compressed bytes ${what}`);
}
