/**
 * The file in which a fuzzing process leaves the input at work, so that its watcher still has the input if the process
 * dies or hangs: `u32 number, u32 length, bytes`.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const HEAD_BYTES = 8;

export class CurrentInput {
  private readonly fd: number;
  private readonly buffer: Buffer;
  private number = 0;

  constructor(path: string, maxBytes: number) {
    this.fd = openSync(path, 'w');
    this.buffer = Buffer.alloc(HEAD_BYTES + maxBytes);
  }

  write(data: Buffer): void {
    this.number = (this.number + 1) >>> 0;
    this.buffer.writeUInt32LE(this.number, 0);
    this.buffer.writeUInt32LE(data.length, 4);
    const bytes = HEAD_BYTES + data.copy(this.buffer, HEAD_BYTES);
    writeSync(this.fd, this.buffer, 0, bytes, 0);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Returns the number of the input and its bytes; undefined before the first input. */
export function readCurrent(path: string): { number: number; data: Buffer } | undefined {
  const bytes = readFileSync(path);
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = bytes.readUInt32LE(4);
  return {
    number: bytes.readUInt32LE(0),
    data: Buffer.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length)),
  };
}
