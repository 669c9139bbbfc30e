/** A backend in memory. It is used in tests, and is the simplest implementation of the contract. */
import type { Backend, ObjectWriter } from '../../src/store/index.js';

export class MemoryBackend implements Backend {
  private readonly objects = new Map<string, Buffer[]>();

  create(name: string): ObjectWriter {
    const writer = new MemoryWriter((wanted, chunks) => this.put(wanted, chunks));
    writer.publish(name);
    return writer;
  }

  stage(): ObjectWriter {
    return new MemoryWriter((name, chunks) => this.put(name, chunks));
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const chunks = this.objects.get(name);
    if (chunks === undefined) {
      throw Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
    }
    return copyRange(chunks, position, target, bytes);
  }

  async sync(): Promise<void> {
    // memory has nothing to sync
  }

  async size(name: string): Promise<number | undefined> {
    return this.objects.get(name)?.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  owner(): undefined {
    return undefined;
  }

  async list(prefix: string): Promise<string[]> {
    return [...this.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  async shorten(name: string, sizeBytes: number): Promise<void> {
    const chunks = this.objects.get(name);
    if (chunks === undefined) {
      throw Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
    }
    const whole = Buffer.concat(chunks).subarray(0, sizeBytes);
    chunks.splice(0, chunks.length, whole);
  }

  async remove(name: string): Promise<void> {
    this.objects.delete(name);
  }

  close(): void {
    // there is nothing to close
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private put(name: string, chunks: Buffer[]): void {
    if (this.objects.has(name)) {
      throw Object.assign(new Error(`EEXIST: object exists, ${name}`), { code: 'EEXIST' });
    }
    this.objects.set(name, chunks);
  }
}

class MemoryWriter implements ObjectWriter {
  sizeBytes = 0;
  private readonly chunks: Buffer[] = [];
  private readonly put: (name: string, chunks: Buffer[]) => void;

  constructor(put: (name: string, chunks: Buffer[]) => void) {
    this.put = put;
  }

  append(bytes: Uint8Array): void {
    this.chunks.push(Buffer.from(bytes));
    this.sizeBytes += bytes.length;
  }

  cut(sizeBytes: number): void {
    const whole = Buffer.concat(this.chunks).subarray(0, sizeBytes);
    this.chunks.splice(0, this.chunks.length, whole);
    this.sizeBytes = sizeBytes;
  }

  readBack(position: number, target: Uint8Array, bytes: number): number {
    return copyRange(this.chunks, position, target, bytes);
  }

  replaceStart(bytes: Uint8Array): void {
    const whole = Buffer.concat(this.chunks);
    whole.set(bytes);
    this.chunks.splice(0, this.chunks.length, whole);
  }

  async sync(): Promise<void> {
    // memory has nothing to sync
  }

  publish(name: string): void {
    this.put(name, this.chunks);
  }

  close(): void {
    // there is nothing to close
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function copyRange(
  chunks: readonly Buffer[],
  position: number,
  target: Uint8Array,
  bytes: number,
): number {
  const whole = Buffer.concat(chunks);
  return whole.subarray(position, position + bytes).copy(target);
}
