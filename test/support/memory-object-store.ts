/**
 * An object store in memory, whose requests may be made to fail. It is used in tests, and is the simplest
 * implementation of the contract.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../../src/errors/index.js';
import {
  isListPrefix,
  isObjectKey,
  type ListedObject,
  type ObjectBody,
  type ObjectHead,
  type ObjectSource,
  type ObjectStore,
} from '../../src/store/objects/index.js';

/** Called before each request, and throws or waits to inject a fault. `apply` does what the request would do. */
export type BeforeRequest = (
  kind: 'put' | 'read' | 'head' | 'list' | 'remove',
  name: string,
  apply: () => void,
) => Promise<void> | void;

/** Objects by name. Several connections to one store share them. */
export type Objects = Map<string, Stored>;

interface Stored {
  readonly bytes: Buffer;
  readonly modifiedMs: number;
  /** Checksum of the bytes that were stored; undefined for an object that a test has put here. */
  readonly sha256?: string;
}

export class MemoryObjectStore implements ObjectStore {
  private readonly objects: Objects;
  private readonly before: BeforeRequest;

  constructor(objects: Objects = new Map(), before: BeforeRequest = () => undefined) {
    this.objects = objects;
    this.before = before;
  }

  async putNew(name: string, body: ObjectBody): Promise<'created' | 'exists'> {
    const bytes = await bytesOf(body);
    const stored = { bytes, modifiedMs: seconds(), sha256: checksumOf(bytes) };
    const apply = (): void => {
      if (!this.objects.has(checked(name))) this.objects.set(name, stored);
    };
    await this.before('put', name, apply);
    apply();
    return this.objects.get(name)!.bytes.equals(bytes) ? 'created' : 'exists';
  }

  async putOwn(name: string, bytes: Uint8Array): Promise<void> {
    const own = Buffer.from(bytes);
    const stored = { bytes: own, modifiedMs: seconds(), sha256: checksumOf(own) };
    const apply = (): void => void this.objects.set(checked(name), stored);
    await this.before('put', name, apply);
    apply();
  }

  async putAgain(name: string, source: ObjectSource): Promise<void> {
    await this.putOwn(name, await bytesOf(source));
  }

  async read(name: string, at: number, target: Uint8Array, bytes: number): Promise<number> {
    await this.before('read', name, () => undefined);
    const there = this.objects.get(checked(name));
    if (there === undefined) {
      throw Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
    }
    return there.bytes.subarray(at, at + bytes).copy(target);
  }

  async readWhole(name: string, maxBytes: number): Promise<Buffer | undefined> {
    await this.before('read', name, () => undefined);
    const there = this.objects.get(checked(name));
    if (there !== undefined && there.bytes.length > maxBytes) {
      throw new TardisError('BUCKET_ANSWER_INVALID', `${name} is too large`);
    }
    return there === undefined ? undefined : Buffer.from(there.bytes);
  }

  async head(name: string): Promise<ObjectHead | undefined> {
    await this.before('head', name, () => undefined);
    const there = this.objects.get(checked(name));
    if (there === undefined) return undefined;
    return {
      sizeBytes: there.bytes.length,
      sha256: there.sha256,
      modifiedMs: there.modifiedMs,
      storeNowMs: seconds(),
    };
  }

  async *list(prefix: string, after = ''): AsyncGenerator<string> {
    for await (const { name } of this.listSized(prefix, after)) yield name;
  }

  async *listSized(prefix: string, after = ''): AsyncGenerator<ListedObject> {
    if (!isListPrefix(prefix)) throw new Error(`"${prefix}" is no prefix of a list`);
    await this.before('list', prefix, () => undefined);
    for (const [name, { bytes }] of [...this.objects].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (name.startsWith(prefix) && name > after) yield { name, sizeBytes: bytes.length };
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const apply = (): void => void this.objects.delete(checked(name));
      await this.before('remove', name, apply);
      apply();
    }
  }

  close(): void {
    // there is nothing to close
  }
}

/** Returns all bytes of a body. Throws if they have another size or checksum than the body states. */
async function bytesOf(body: ObjectBody): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(Buffer.from(chunk));
  const bytes = Buffer.concat(chunks);
  const sha256 = createHash('sha256').update(bytes).digest();
  if (bytes.length !== body.sizeBytes || !sha256.equals(Buffer.from(body.sha256))) {
    throw new Error('a body has other bytes than it promises');
  }
  return bytes;
}

function checksumOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function checked(name: string): string {
  if (!isObjectKey(name)) throw new Error(`"${name}" is no name of an object`);
  return name;
}

function seconds(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}
