/**
 * Storage of records. The interface is small, and states what each method guarantees. So the same store can use a
 * directory, memory or an object store. One contract suite (test/contract) runs against all backends.
 *
 * Names are relative and are made by src/store/layout/layout.ts only. Appending is synchronous (into a buffer, file or
 * staging place of the backend's choice); operations that may wait for a medium are asynchronous. Nothing is durable
 * before the writer's `sync` has resolved.
 */
export interface ObjectWriter extends Disposable {
  /** Number of bytes written so far, which is the position of the next append. */
  readonly sizeBytes: number;
  /** Appends bytes. The backend does not keep the buffer. */
  append(bytes: Uint8Array): void;
  /** Truncates to `sizeBytes`. It also removes bytes that a failed `append` left. */
  cut(sizeBytes: number): void;
  /** Reads back appended bytes, for example to copy a staged object elsewhere. Returns the number of bytes read. */
  readBack(position: number, target: Uint8Array, bytes: number): number;
  /**
   * Overwrites bytes at the start, before `publish` only. It is used for headers whose lengths are not known before
   * the end.
   */
  replaceStart(bytes: Uint8Array): void;
  /** Resolves when all appended bytes are durable, and the name too if the object has one. */
  sync(): Promise<void>;
  /** Names an object that `stage` made. Never replaces an object: throws EEXIST if the name is taken. */
  publish(name: string): void;
  /** Ends writing, and discards the object if it is staged and was not published. May be called twice. */
  close(): void;
}

/** The reading half of a backend. It may also represent a store on another machine. */
export interface ObjectReader {
  /**
   * Reads up to `bytes` bytes at `position`, and resolves with their number (fewer only at the end). Rejects with
   * ENOENT if the object does not exist. An error may carry the name of the object; `unreadableObject` returns that
   * name.
   */
  read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number>;
  /**
   * Announces ranges that will be read soon. A backend whose requests are slow then fetches these ranges together, and
   * no bytes beyond them. Announced ranges need not be read.
   */
  expect?(ranges: readonly ExpectedRange[]): void;
  /** Releases the resources that reading keeps open. */
  close(): void;
}

/** Range of bytes in an object that will probably be read soon. */
export interface ExpectedRange {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
  /** Called with the bytes of the range if they were fetched, and are dropped before anybody read them. */
  readonly dropped?: (data: Buffer) => void;
}

export interface Backend extends ObjectReader, Disposable {
  /** Creates a named object to append to. Throws EEXIST if the name is taken. */
  create(name: string): ObjectWriter;
  /** Starts an object whose name is not known yet. */
  stage(): ObjectWriter;
  /** Makes an existing object durable, name included. Call it before the catalog refers to the object. */
  sync(name: string): Promise<void>;
  /** Resolves with the size in bytes, or undefined if the object does not exist. */
  size(name: string): Promise<number | undefined>;
  /** Returns the id of the client that owns the store, in hexadecimal; undefined if it is not known. */
  owner(): string | undefined;
  /** Lists the names of all objects below a prefix that ends with `/`, sorted; empty if there are none. */
  list(prefix: string): Promise<string[]>;
  /** Truncates an object to `sizeBytes`, durable when it resolves. Rejects with ENOENT if it does not exist. */
  shorten(name: string, sizeBytes: number): Promise<void>;
  /** Removes an object, durable when it resolves. An object that does not exist is no error. */
  remove(name: string): Promise<void>;
}

/** A backend whose objects a repair may replace. */
export interface MendableBackend extends Backend {
  /**
   * Gives a staged object of this backend the name of an existing one, which it replaces atomically and durably.
   * Readers that have the old object open can still read it.
   */
  replace(staged: ObjectWriter, name: string): Promise<void>;
}
