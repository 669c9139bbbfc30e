/**
 * Contents of files that are decoded before their requests arrive. They are in memory shared with the addon, which
 * answers from it by itself, in this thread or in another one. So states are changed with `Atomics`.
 *
 * The contents are a queue: their rows, and the bytes behind the rows, are used in turn.
 */
import {
  READY_FILE_ROOM,
  READY_FILE_WORDS,
  READY_FILES,
  READY_FILES_BYTES,
  ReadyState,
} from '../system/index.js';
import type { ReplyData } from './fuse-connection.js';

/** Maximum size of a content, so that several find room. */
export const MAX_READY_BYTES: number = READY_FILE_ROOM / 4;
const CONTENTS_AT = READY_FILES * READY_FILE_WORDS * 4;
const STATE_WORD = 4;
/** Maximum number of attempts to drop a content. An attempt fails only if a part of it was sent at that moment. */
const DROP_TRIES = 1024;

/** The node of a file, in two halves. */
export interface FileNode {
  readonly nodeLow: number;
  readonly nodeHigh: number;
}

export class ReadyFiles {
  /** Memory that is shared with the addon: the table that `fuseListen` reads, followed by the contents. */
  readonly memory: Buffer = Buffer.from(new ArrayBuffer(READY_FILES_BYTES));
  private readonly words = new Uint32Array(this.memory.buffer);
  /** Row of the oldest content in the queue, and the number of rows in it. */
  private first = 0;
  private rows = 0;
  /** Offset at which the next content begins. */
  private end = 0;

  /**
   * Copies a whole content into the queue, from which the addon sends it. Returns false if the queue has no room, or
   * the content is too large.
   */
  offer({ nodeLow, nodeHigh }: FileNode, { data, from, bytes }: ReplyData): boolean {
    this.removeFree();
    const at = this.roomFor(bytes);
    if (at === undefined || this.rows === READY_FILES) return false;
    const { words, memory } = this;
    memory.set(data.subarray(from, from + bytes), CONTENTS_AT + at);
    const word = ((this.first + this.rows) % READY_FILES) * READY_FILE_WORDS;
    // The addon may look at the node at any time, but relies on it only once it has taken a content that is ready.
    Atomics.store(words, word, nodeLow);
    Atomics.store(words, word + 1, nodeHigh);
    words[word + 2] = at;
    words[word + 3] = bytes;
    Atomics.store(words, word + STATE_WORD, ReadyState.ready);
    this.rows += 1;
    this.end = at + bytes;
    return true;
  }

  /**
   * Returns the node of a file whose content was sent: of several, the one that is last in the queue. Returns undefined
   * if none was sent since the last call. The reader has passed over those before it, and they leave the queue.
   */
  takeSent(): FileNode | undefined {
    const { words, first } = this;
    for (let place = this.rows - 1; place >= 0; place -= 1) {
      const word = ((first + place) % READY_FILES) * READY_FILE_WORDS;
      if (Atomics.load(words, word + STATE_WORD) !== ReadyState.sent) continue;
      const node = { nodeLow: words[word]!, nodeHigh: words[word + 1]! };
      for (let before = 0; before < place; before += 1) {
        this.dropRow((first + before) % READY_FILES);
      }
      Atomics.store(words, word + STATE_WORD, ReadyState.free);
      this.removeFree();
      return node;
    }
    return undefined;
  }

  /** Drops all contents. It must be called when nodes become stale or free. */
  drop(): void {
    for (let index = 0; index < READY_FILES; index += 1) this.dropRow(index);
    this.removeFree();
  }

  /** Drops a content. While a part of it is being sent, it keeps its place in the queue, but no other part is sent. */
  private dropRow(index: number): void {
    const { words } = this;
    const word = index * READY_FILE_WORDS + STATE_WORD;
    const { ready, free, sending, dropped } = ReadyState;
    // The other thread may take the content, or finish with it, between two of these calls.
    for (let tries = 0; tries < DROP_TRIES; tries += 1) {
      const state = Atomics.compareExchange(words, word, ready, free);
      if (state === ReadyState.sent) Atomics.store(words, word, free);
      if (state !== sending) return;
      if (Atomics.compareExchange(words, word, sending, dropped) === sending) return;
    }
    throw new Error('a content is sent without an end'); // no kernel sends that many requests in this time
  }

  /** Removes the oldest contents as long as their rows are free. */
  private removeFree(): void {
    const { words } = this;
    while (this.rows > 0) {
      const word = this.first * READY_FILE_WORDS + STATE_WORD;
      if (Atomics.load(words, word) !== ReadyState.free) return;
      this.first = (this.first + 1) % READY_FILES;
      this.rows -= 1;
    }
    this.end = 0;
  }

  /** Returns an offset at which so many bytes are free; undefined if there is none. */
  private roomFor(bytes: number): number | undefined {
    if (bytes === 0 || bytes > MAX_READY_BYTES) return undefined;
    if (this.rows === 0) return 0;
    const oldest = this.words[this.first * READY_FILE_WORDS + 2]!;
    const isWrapped = this.end <= oldest;
    if (isWrapped) return this.end + bytes <= oldest ? this.end : undefined;
    if (this.end + bytes <= READY_FILE_ROOM) return this.end;
    return bytes <= oldest ? 0 : undefined;
  }
}
