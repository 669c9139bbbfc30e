/**
 * Where records live. Few verbs, each with its promise, so that a directory, memory or an object
 * store can stand behind the same store; one contract suite (test/contract) runs against all.
 *
 * Names are relative, made by src/store/layout.ts only. Appending is synchronous (into a buffer,
 * file or staging place of the backend's choice); whatever may wait for a medium is asynchronous.
 * Nothing is durable before the writer's `sync` resolved.
 */
export interface ObjectWriter {
  /** Bytes written so far: the position of the next append. */
  readonly sizeBytes: number;
  /** Adds bytes at the end. The backend does not keep the buffer. */
  append(bytes: Uint8Array): void;
  /** Takes away what was appended behind `sizeBytes`, also by an `append` that failed. */
  cut(sizeBytes: number): void;
  /** Reads back what was appended (a staged object, to be copied elsewhere). */
  readBack(position: number, target: Uint8Array, bytes: number): number;
  /** Replaces bytes at the start, before `publish` only (a header whose lengths come last). */
  replaceStart(bytes: Uint8Array): void;
  /** Resolves when all appended bytes, and the name if it is published, are durable. */
  sync(): Promise<void>;
  /** Gives an object made by `stage` its name. Replaces nothing: throws EEXIST if it is taken. */
  publish(name: string): void;
  /** Ends writing. A staged object that was not published is gone. May be called twice. */
  close(): void;
}

/** The reading half of a backend, which may stand for a store elsewhere. */
export interface ObjectReader {
  /**
   * Reads up to `bytes` at `position`; resolves with how many (fewer only at the end). Rejects with
   * ENOENT when there is no such object.
   */
  read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number>;
  /** Releases what reading keeps open. */
  close(): void;
}

export interface Backend extends ObjectReader {
  /** Starts a new named object that grows. Throws EEXIST if the name is taken. */
  create(name: string): ObjectWriter;
  /** Starts an object whose name is not known yet. */
  stage(): ObjectWriter;
  /** Makes an object that exists durable, name included: before a catalog may rest on it. */
  sync(name: string): Promise<void>;
  /** Size in bytes, or undefined when there is no such object. */
  size(name: string): Promise<number | undefined>;
  /** Names of all objects below a prefix that ends with `/`, sorted. Empty when there are none. */
  list(prefix: string): Promise<string[]>;
  /** Removes an object, for good when it resolves; absent is fine. */
  remove(name: string): Promise<void>;
}
