/** The addon at one end of a socket, and the requests of a kernel at the other one. */
import fs from 'node:fs';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { systemCode } from '../../src/errors/index.js';
import { FuseConnection } from '../../src/mount/index.js';
import { nodeSystem } from '../../src/system/index.js';

/** Bytes of a reply before its data. */
export const HEAD_BYTES = 16;
/** Looks for an answer of the other thread, and how long each waits. */
export const LOOKS = 30_000;
export const LOOK_MS = 1;
const EAGAIN = 11;

export abstract class KernelEnd {
  protected readonly kernel: FuseConnection;
  private readonly far: number;
  /** Room for replies. */
  private readonly replies: Buffer;

  constructor(t: ExecutionContext, roomBytes: number) {
    const { native } = nodeSystem();
    const sockets = native.fuseSockets();
    const near = sockets.readInt32LE(0);
    this.far = sockets.readInt32LE(4);
    this.replies = Buffer.alloc(roomBytes);
    // It makes the descriptor non-blocking: a read that waits would take a thread of the pool that all tests share.
    const end = new Socket({ fd: this.far, readable: false });
    this.kernel = new FuseConnection(native, near, (errno) => t.fail(String(errno)));
    const ended = new Promise((resolve) => {
      this.kernel.listen(new Uint8Array(1), (...batch) => this.batch(...batch), resolve);
    });
    t.teardown(async () => {
      this.kernel.fail({ uniqueLow: 0, uniqueHigh: 0 }, EAGAIN);
      end.destroy(); // with something unread, so that the other end gets an error
      await ended;
      native.close(near);
    });
  }

  /** Called with the node of each request that the addon did not answer. The answer is EAGAIN. */
  protected abstract note(low: number, high: number): void;

  protected batch(memory: Buffer, offset: number, bytes: number): boolean {
    for (let at = offset; at < offset + bytes; at += (memory.readUInt32LE(at) + 7) & ~7) {
      this.note(memory.readUInt32LE(at + 16), memory.readUInt32LE(at + 20));
      this.kernel.fail({ uniqueLow: memory.readUInt32LE(at + 8), uniqueHigh: 0 }, EAGAIN);
    }
    return false;
  }

  /** Sends bytes to the addon. */
  protected put(bytes: Buffer): void {
    fs.writeSync(this.far, bytes);
  }

  /** Completes the header of a request, and sends it. */
  protected request(
    request: Buffer,
    { opcode, unique, low, high }: Record<'opcode' | 'unique' | 'low' | 'high', number>,
  ): void {
    [request.length, opcode, unique].forEach((word, at) => request.writeUInt32LE(word, 4 * at));
    request.writeUInt32LE(low, 16);
    request.writeUInt32LE(high, 20);
    this.put(request);
  }

  /** Returns the data of the answer to a request; undefined if JavaScript got the request. */
  protected async answer(unique: number): Promise<Buffer | undefined> {
    for (;;) {
      await nextTurn();
      const reply = this.readNow();
      if (reply !== undefined) return dataOf(reply, unique);
    }
  }

  /** Returns what `answer` does, while this thread does nothing else. */
  protected answerMeanwhile(unique: number): Buffer | undefined {
    const reply = this.replyMeanwhile(() => undefined);
    if (reply === undefined) throw new Error('no reply');
    return dataOf(reply, unique);
  }

  /** Calls `step` until there is a reply, which it returns, while this thread does nothing else; undefined if none comes. */
  replyMeanwhile(step: (look: number) => void): Buffer | undefined {
    const words = new Int32Array(new SharedArrayBuffer(4));
    for (let look = 0; look < LOOKS; look += 1) {
      const reply = this.readNow();
      if (reply !== undefined) return reply;
      step(look);
      Atomics.wait(words, 0, 0, LOOK_MS);
    }
    return undefined;
  }

  /** Returns the replies that are there; undefined if there are none. */
  protected readNow(): Buffer | undefined {
    try {
      return Buffer.from(this.replies.subarray(0, fs.readSync(this.far, this.replies)));
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error;
      return undefined;
    }
  }
}

function dataOf(reply: Buffer, unique: number): Buffer | undefined {
  if (reply.readUInt32LE(0) !== reply.length || reply.readUInt32LE(8) !== unique) {
    throw new Error('no reply to this request');
  }
  return reply.readInt32LE(4) === 0 ? reply.subarray(HEAD_BYTES) : undefined;
}
