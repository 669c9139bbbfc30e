/** The object store over a bucket (S3). */
import { createHash } from 'node:crypto';
import { noSuchObject, TardisError } from '../../../errors/index.js';
import {
  isListPrefix,
  isObjectKey,
  type ListedObject,
  type ObjectBody,
  type ObjectHead,
  type ObjectSource,
  type ObjectStore,
  type PutOptions,
} from '../object-store.js';
import { type ListedKey, listObjects } from './lists.js';
import { putNew, putAgain, lockHeaders } from './put-new.js';
import {
  absent,
  CHECKSUM_HEADER,
  checksumIn,
  type RangeRead,
  READS,
  readRange,
} from './read-range.js';
import { invalidAnswer, type RequestCounts, type Requests } from './requests.js';

/** Maximum number of objects that `remove` deletes at once. */
const MAX_REMOVALS = 8;

export class S3Store implements ObjectStore {
  private readonly before: string;
  private isConditional = true;
  /**
   * Called by `putNew` before its request, and after it has created an object. If it throws, `putNew` does. So nothing is
   * written to a bucket that is known to ignore conditions, and a PUT whose answer shows that is not acknowledged.
   */
  recheck: () => Promise<void> = async () => undefined;

  private readonly retainMs: number;

  /**
   * Creates the store. `prefix` is empty, or a name without slashes at its ends. `retainMs` is the time for which new
   * objects are locked; 0 for none.
   */
  constructor(
    private readonly requests: Requests,
    prefix: string,
    retainMs = 0,
  ) {
    this.before = prefix === '' ? '' : `${prefix}/`;
    this.retainMs = retainMs;
  }

  /** Returns the numbers of requests that were sent. */
  get counts(): RequestCounts {
    return this.requests.counts;
  }

  /**
   * Makes `putNew` search for an existing object before it writes, since the store ignores conditions. Only for a
   * single writer.
   */
  lookFirst(): void {
    this.isConditional = false;
  }

  async putNew(
    name: string,
    body: ObjectBody,
    { storageClass, retainMs = this.retainMs }: PutOptions = {},
  ): Promise<'created' | 'exists'> {
    await this.recheck();
    const sha256 = checksumOf(body);
    const headers = {
      [CHECKSUM_HEADER]: sha256,
      ...(storageClass === undefined ? {} : { 'x-amz-storage-class': storageClass }),
      ...(retainMs === 0 ? {} : await lockHeaders(body, this.requests.storeNowMs() + retainMs)),
    };
    const { isConditional } = this;
    const object = { key: this.keyOf(name), name, body, sha256, headers, isConditional };
    const result = await putNew(this.requests, object);
    if (result === 'created') await this.recheck();
    return result;
  }

  async putOwn(name: string, bytes: Uint8Array): Promise<void> {
    const bodySha256 = checksumOf(bytes);
    await this.requests.send({
      method: 'PUT',
      key: this.keyOf(name),
      what: `writing ${name}`,
      headers: { [CHECKSUM_HEADER]: bodySha256 },
      body: bytes,
      bodySha256,
      expects: [],
    });
  }

  async putAgain(name: string, source: ObjectSource): Promise<void> {
    await putAgain(this.requests, { key: this.keyOf(name), name, source, retainMs: this.retainMs });
  }

  async read(name: string, at: number, target: Uint8Array, bytes: number): Promise<number> {
    if (bytes === 0) {
      if ((await this.head(name)) === undefined) throw noSuchObject(name);
      return 0;
    }
    const read = await this.readChecked(name, at, target.subarray(0, bytes));
    if (read === undefined) throw noSuchObject(name);
    return read.bytes;
  }

  async readWhole(name: string, maxBytes: number): Promise<Buffer | undefined> {
    const what = `reading ${name}`;
    let chunks: Buffer[] = [];
    const take = (chunk: Buffer, at: number): void => {
      if (at === 0) chunks = [];
      chunks.push(chunk);
    };
    const range = { key: this.keyOf(name), name, at: 0, bytes: maxBytes + 1, take };
    for (let attempt = 1; attempt <= READS; attempt += 1) {
      chunks = [];
      const read = await readRange(this.requests, range);
      if (read === undefined) return undefined;
      if (read.totalBytes > maxBytes) {
        throw invalidAnswer(what, `it has ${read.totalBytes} bytes, more than ${maxBytes}`);
      }
      const whole = Buffer.concat(chunks);
      if (read.sha256 === undefined || checksumOf(whole) === read.sha256) return whole;
    }
    throw this.damaged(name);
  }

  async head(name: string): Promise<ObjectHead | undefined> {
    const what = `looking at ${name}`;
    const key = this.keyOf(name);
    const answer = await this.requests.send({
      method: 'HEAD',
      key,
      what,
      expects: [400, 403, 404],
    });
    if (answer.status === 404) return undefined;
    if (answer.status >= 400) {
      // The answer to a HEAD has no body, and so no reason; the answer to a GET has.
      const explained = await this.requests.send({
        method: 'GET',
        key,
        what,
        headers: { range: 'bytes=0-0' },
        expects: [404, 416],
      });
      if (explained.status === 404) return absent(explained, this.requests, what);
      throw invalidAnswer(what, `it answers HEAD by ${answer.status}, and GET otherwise`);
    }
    const { 'content-length': length, 'last-modified': modified, date } = answer.headers;
    const modifiedMs = Date.parse(modified ?? '');
    const storeNowMs = Date.parse(date ?? '');
    const isWhole = /^\d{1,15}$/.test(length ?? '') && !Number.isNaN(modifiedMs + storeNowMs);
    if (!isWhole)
      throw invalidAnswer(what, 'the answer has no size, no date, or no time of change');
    const sha256 = checksumIn(answer);
    return { sizeBytes: Number(length), sha256, modifiedMs, storeNowMs };
  }

  async *list(prefix: string, after = ''): AsyncGenerator<string> {
    for await (const { key } of this.listed(prefix, after)) yield key;
  }

  async *listSized(prefix: string, after = ''): AsyncGenerator<ListedObject> {
    for await (const { key: name, sizeBytes } of this.listed(prefix, after)) {
      if (sizeBytes === undefined) {
        throw invalidAnswer(`listing ${this.requests.shown}`, `the list has no size of ${name}`);
      }
      yield { name, sizeBytes };
    }
  }

  /** Lists objects with their names relative to the store's prefix. */
  private async *listed(prefix: string, after: string): AsyncGenerator<ListedKey> {
    if (!isListPrefix(prefix)) throw new Error(`"${prefix}" is no prefix of a list`);
    const { before } = this;
    const from = after === '' ? '' : before + after;
    for await (const { key, sizeBytes } of listObjects(this.requests, before + prefix, from)) {
      const name = key.slice(before.length);
      if (isObjectKey(name)) yield { key: name, sizeBytes };
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    const left = [...names];
    const removing = Array.from({ length: Math.min(MAX_REMOVALS, left.length) }, async () => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) await this.removeOne(name);
    });
    await Promise.all(removing);
  }

  close(): void {
    this.requests.close();
  }

  private async removeOne(name: string): Promise<void> {
    const what = `removing ${name}`;
    const answer = await this.requests.send({
      method: 'DELETE',
      key: this.keyOf(name),
      what,
      expects: [404],
    });
    if (answer.status === 404) absent(answer, this.requests, what);
  }

  /**
   * Fills `target` with the object's bytes from `at` on. Returns undefined if the object does not exist. If the whole
   * object was read and has a checksum, the bytes are compared with it. Throws OBJECT_DAMAGED if they differ after
   * several reads (`READS`).
   */
  private async readChecked(
    name: string,
    at: number,
    target: Uint8Array,
  ): Promise<RangeRead | undefined> {
    const range = {
      key: this.keyOf(name),
      name,
      at,
      bytes: target.length,
      take: (chunk: Buffer, position: number): void => target.set(chunk, position),
    };
    for (let attempt = 1; attempt <= READS; attempt += 1) {
      const read = await readRange(this.requests, range);
      const isWhole = at === 0 && read?.bytes === read?.totalBytes;
      if (read === undefined || !isWhole || read.sha256 === undefined) return read;
      if (checksumOf(target.subarray(0, read.bytes)) === read.sha256) return read;
    }
    throw this.damaged(name);
  }

  private damaged(name: string): TardisError {
    const message = `${name} (${this.requests.where}) differs from its checksum`;
    return new TardisError('OBJECT_DAMAGED', message, { unreadable: name });
  }

  private keyOf(name: string): string {
    if (!isObjectKey(name)) throw new Error(`"${name}" is no name of an object`);
    return this.before + name;
  }
}

function checksumOf(body: ObjectBody): string {
  if (!(body instanceof Uint8Array)) return Buffer.from(body.sha256).toString('hex');
  return createHash('sha256').update(body).digest('hex');
}
