/** An object store in memory, with faults at chosen requests, for tests of what is built on it. */
import { TardisError } from '../../src/errors/index.js';
import type { ObjectBody, ObjectHead, ObjectStore } from '../../src/store/objects/index.js';

/** Called before each request; a fault throws or waits here. */
export type BeforeRequest = (
  kind: 'put' | 'read' | 'head' | 'list',
  name: string,
  apply: () => void,
) => Promise<void> | void;

/** The objects of a store, which several connections share. */
export type Objects = Map<string, Buffer>;

export class MemoryObjectStore implements ObjectStore {
  private readonly objects: Objects;
  private readonly before: BeforeRequest;

  constructor(objects: Objects, before: BeforeRequest = () => undefined) {
    this.objects = objects;
    this.before = before;
  }

  async putNew(name: string, body: ObjectBody): Promise<'created' | 'exists'> {
    const bytes = await bytesOf(body);
    const apply = (): void => {
      if (!this.objects.has(name)) this.objects.set(name, bytes);
    };
    await this.before('put', name, apply);
    apply();
    return this.objects.get(name)!.equals(bytes) ? 'created' : 'exists';
  }

  async putOwn(name: string, bytes: Uint8Array): Promise<void> {
    const copy = Buffer.from(bytes);
    const apply = (): void => void this.objects.set(name, copy);
    await this.before('put', name, apply);
    apply();
  }

  async read(name: string, at: number, target: Uint8Array, bytes: number): Promise<number> {
    await this.before('read', name, () => undefined);
    const object = this.objects.get(name);
    if (object !== undefined) return object.copy(target, 0, at, at + bytes);
    throw Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
  }

  async readWhole(name: string, maxBytes: number): Promise<Buffer | undefined> {
    await this.before('read', name, () => undefined);
    const object = this.objects.get(name);
    if (object !== undefined && object.length > maxBytes) {
      throw new TardisError('INTERNAL', `${name} is too large`);
    }
    return object && Buffer.from(object);
  }

  async head(name: string): Promise<ObjectHead | undefined> {
    await this.before('head', name, () => undefined);
    const object = this.objects.get(name);
    return object && { sizeBytes: object.length, modifiedMs: 0, storeNowMs: 0 };
  }

  async *list(prefix: string, after = ''): AsyncGenerator<string> {
    await this.before('list', prefix, () => undefined);
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix));
    yield* names.filter((name) => name > after).sort();
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.objects.delete(name);
  }

  close(): void {
    // nothing is open
  }
}

async function bytesOf(body: ObjectBody): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const pieces: Uint8Array[] = [];
  for await (const piece of body.open()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
