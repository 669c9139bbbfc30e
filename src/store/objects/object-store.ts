import { createHash } from 'node:crypto';

/**
 * Storage of whole objects that many machines share, such as a bucket. One suite (test/contract/object-store.suite.ts)
 * tests each guarantee below for every implementation.
 *
 * Names are relative to the prefix of the store and have the form that `isObjectKey` accepts. Everything that is read
 * is untrusted. An object may have been replaced by anyone who may write to the bucket, so callers check its records.
 *
 * Every method may reject with an error of a bucket (`BUCKET_…`, `CREDENTIALS_…`, `NO_SUCH_BUCKET`, `CLOCK_WRONG`). The
 * implementation has already retried for as long as that could help.
 */
export interface ObjectStore {
  /**
   * Creates an object that did not exist, durable when it resolves with `created`. It never replaces an object.
   *
   * `created` means that the object has exactly these bytes. `exists` means that it has other bytes, and will keep
   * them. If the answer to a request is lost, the method sends the same request again, and compares the bytes of an
   * existing object. Two writers with equal bytes may both get `created`. So if the object decides which writer is
   * first, its bytes must contain something unique to the writer.
   *
   * Rejects with BUCKET_OUTCOME_UNKNOWN if no answer came in the time allowed. The object may then exist, or appear
   * later; a later call with the same bytes returns the outcome.
   */
  putNew(name: string, body: ObjectBody, options?: PutOptions): Promise<'created' | 'exists'>;
  /**
   * Creates or replaces an object, durable when it resolves. Only one process may write the name. A lost request of an
   * earlier call can still take effect after a later call, so a reader must be able to recognise old bytes.
   */
  putOwn(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Writes an object again with the bytes that it was created with, durable when it resolves. The name always stands
   * for these bytes, so any writer may do this, any number of times and at any time.
   */
  putAgain(name: string, source: ObjectSource): Promise<void>;
  /**
   * Reads up to `bytes` bytes at `at` into `target`, and resolves with their number (fewer only at the end). Rejects
   * with ENOENT if the object does not exist. Rejects with OBJECT_DAMAGED if the whole object was read and its bytes
   * differ from the checksum that was stored with them.
   */
  read(name: string, at: number, target: Uint8Array, bytes: number): Promise<number>;
  /**
   * Returns all bytes of an object; undefined if it does not exist. Rejects with OBJECT_DAMAGED as `read` does, and
   * with BUCKET_ANSWER_INVALID if the object has more than `maxBytes`.
   */
  readWhole(name: string, maxBytes: number): Promise<Buffer | undefined>;
  /** Returns the size, checksum and times of an object; undefined if it does not exist. */
  head(name: string): Promise<ObjectHead | undefined>;
  /**
   * Lists the names of all objects below a prefix that is empty or ends with `/`, sorted by their bytes. With `after`,
   * begins with the first name after it. Objects whose names `isObjectKey` refuses are left out. Objects that are
   * created or removed meanwhile may be listed or not.
   */
  list(prefix: string, after?: string): AsyncIterable<string>;
  /** Lists objects as `list` does, with their sizes. Rejects with BUCKET_ANSWER_INVALID if the store reports no size. */
  listSized(prefix: string, after?: string): AsyncIterable<ListedObject>;
  /** Removes objects, durable when it resolves. An object that does not exist is no error. */
  remove(names: readonly string[]): Promise<void>;
  /** Ends open connections. A later call may open them again. */
  close(): void;
}

/** The bytes of a new object: a buffer, or a source that can be read more than once. */
export type ObjectBody = Uint8Array | ObjectSource;

/** Bytes that are not in memory, such as a part of a file. */
export interface ObjectSource {
  readonly sizeBytes: number;
  /** SHA-256 of all bytes. */
  readonly sha256: Uint8Array;
  /** Returns the bytes from the start. It is called for each attempt, and must return equal bytes each time. */
  open(): AsyncIterable<Uint8Array>;
}

export interface PutOptions {
  /** Storage class, such as STANDARD_IA. The default is that of the bucket. */
  readonly storageClass?: string;
  /**
   * Time for which nobody can delete the object's bytes (Object Lock, COMPLIANCE), from now by the clock of the store.
   * 0 for an object that is removed soon. The default is that of the store.
   */
  readonly retainMs?: number;
}

export interface ListedObject {
  readonly name: string;
  readonly sizeBytes: number;
}

export interface ObjectHead {
  readonly sizeBytes: number;
  /** SHA-256 of the bytes that the object was stored with, in hexadecimal; undefined if it was not recorded. */
  readonly sha256: string | undefined;
  /** Time of the last change by the clock of the store, in whole seconds. */
  readonly modifiedMs: number;
  /** Time of the answer by the clock of the store, in whole seconds. */
  readonly storeNowMs: number;
}

/** Maximum length of an object's name together with the prefix of its store: the limit of S3. */
const MAX_KEY_BYTES = 1024;

const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** True if a name has only letters, digits and `._-` in parts between slashes, and no part begins with a dot. */
export function isObjectKey(name: string): boolean {
  return name.length <= MAX_KEY_BYTES && KEY.test(name);
}

/** True for a prefix that can be listed: empty, or a name and a slash. */
export function isListPrefix(prefix: string): boolean {
  return prefix === '' || (prefix.endsWith('/') && isObjectKey(prefix.slice(0, -1)));
}

/** Bytes in memory as the source of an object. */
export function sourceOfBytes(bytes: Buffer): ObjectSource {
  return {
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest(),
    async *open() {
      yield bytes;
    },
  };
}
