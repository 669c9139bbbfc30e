/**
 * Reads and decodes records on threads of libuv's pool. These share the memory of the process, whereas a worker thread
 * has its own heap and compiled code.
 */
import path from 'node:path';
import type { BodyDecoder } from '../delta/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { releaseAll, releaseBuffers } from '../model/index.js';
import {
  changedRecord,
  Codec,
  type CodecNumber,
  decode,
  type ObjectReader,
  openSealed,
  type SealedBody,
  unreadable,
} from '../store/index.js';
import { AsideOutcome, type NativeCalls, NO_BODY_CIPHER, type System } from '../system/index.js';
import { decodePartHere, digestContents, memoryReader, type PartToDecode } from './decode-job.js';
import { decodeRecord, type DecodingSteps } from './decode-record.js';
import type { DecodeInput, DecodeOutput, Decoder } from './decode-types.js';

const NOTHING = Buffer.alloc(0);
/** Maximum number of records that are decoded at once, since other reads need threads of libuv's pool too. */
const DECODED_AT_ONCE = 2;

export class AsideDecoder implements Decoder {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly system: System;
  private readonly mostAtOnce: number;

  /** `mostAtOnce`: number of records that are decoded at once. The others wait, without memory of their own. */
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
    decode: (codec, sealed, target, contents) =>
      decodeAside(native, { codec, sealed, target, contents }),
    decodePart: (codec, sealed, target, part) =>
      decodePartAside(native, { codec, sealed, target, ...part }),
  };
}

interface AsideBody {
  readonly codec: CodecNumber;
  readonly sealed: SealedBody;
  readonly target: Buffer;
  /** See `DecodingSteps.decode`. */
  readonly contents: Buffer;
}

async function decodeAside(
  native: NativeCalls,
  { codec, sealed, target, contents }: AsideBody,
): Promise<void> {
  if (codec !== Codec.none && codec !== Codec.zstd) {
    // The addon has no other codecs.
    decode(codec, openSealed(native, sealed), target);
    digestContents(native, target, contents);
    return;
  }
  const { cipher, key, nonce, also } = openingOf(sealed);
  const { body } = sealed;
  requireDecoded(await native.decodeAside(cipher, key, nonce, also, body, codec, target, contents));
}

async function decodePartAside(native: NativeCalls, part: PartToDecode): Promise<void> {
  const { codec, sealed, target, from, contents } = part;
  if (codec !== Codec.none && codec !== Codec.zstd) {
    decodePartHere(native, part);
    return;
  }
  const { cipher, key, nonce, also } = openingOf(sealed);
  const { body } = sealed;
  requireDecoded(
    await native.decodePartAside(cipher, key, nonce, also, body, codec, target, contents, from),
  );
}

/** Returns a decoder of bodies that works on libuv's pool. */
export function bodiesAside(native: NativeCalls): BodyDecoder {
  return (codec, sealed, target) =>
    decodeAside(native, { codec, sealed, target, contents: NOTHING });
}

function openingOf({ opening }: SealedBody): NonNullable<SealedBody['opening']> | typeof PLAIN {
  return opening ?? PLAIN;
}

const PLAIN = { cipher: NO_BODY_CIPHER, key: NOTHING, nonce: NOTHING, also: NOTHING } as const;

function requireDecoded(outcome: number): void {
  if (outcome === AsideOutcome.decoded) return;
  if (outcome === AsideOutcome.changed) throw changedRecord();
  const isBroken = outcome === AsideOutcome.broken;
  const what = isBroken ? 'are broken' : 'decode to another length';
  throw new TardisError('RECORD_DAMAGED', `compressed bytes ${what}`);
}
