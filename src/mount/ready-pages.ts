/**
 * Replies to READDIRPLUS that are prepared before their requests arrive. They are in memory shared with the addon,
 * which sends them by itself, in this thread or in another one. So states are changed with `Atomics`. References that
 * the kernel gets are counted after a reply was sent.
 */
import { READY_BYTES, READY_PAGES, ReadyState } from '../system/index.js';
import { type Room, roomOf } from './packed-listings.js';
import { DOTS } from './packing.js';
import { OUT_HEADER_BYTES } from './protocol.js';

const PAGE_WORDS = 6;
const REPLIES_AT = READY_PAGES * PAGE_WORDS * 4;
const STATE_WORD = 3;

/** A tree whose directories are listed. */
export interface ListedTree {
  lookups: number;
  /** Records that a reply with the whole directory was sent. */
  wasListed(directory: number): void;
}

/** Directory and node of a page. */
interface ReadyPlace {
  readonly tree: ListedTree;
  readonly directory: number;
  readonly nodeLow: number;
  readonly nodeHigh: number;
}

/** Memory for the entries of a reply, with its index in the table. */
interface ReadyRoom extends Room {
  readonly index: number;
}

interface Offered {
  readonly tree: ListedTree;
  readonly directory: number;
  readonly lookups: number;
}

export class ReadyPages {
  /**
   * Memory that is shared with the addon: the table that `fuseListen` reads, followed by the replies.
   */
  readonly memory: Buffer = Buffer.from(new ArrayBuffer(REPLIES_AT + READY_PAGES * READY_BYTES));
  private readonly words = new Uint32Array(this.memory.buffer);
  private readonly rooms: ReadyRoom[] = [];
  private readonly offered: (Offered | undefined)[] = [];
  /** Answers waiting requests. Called between two pieces of work. */
  answer: () => void = () => undefined;
  /** Index of the oldest reply. Its room is used next. */
  private next = 0;

  /**
   * Returns the next room, and drops its reply, the oldest one; undefined if that reply is being sent, or was sent and
   * is not counted yet.
   */
  room(): ReadyRoom | undefined {
    const { words, memory, rooms, next: index } = this;
    const word = index * PAGE_WORDS + STATE_WORD;
    const state = Atomics.compareExchange(words, word, ReadyState.ready, ReadyState.free);
    if (state !== ReadyState.ready && state !== ReadyState.free) return undefined;
    const at = REPLIES_AT + index * READY_BYTES;
    return (rooms[index] ??= {
      ...roomOf(memory.subarray(at + OUT_HEADER_BYTES, at + READY_BYTES)),
      index,
    });
  }

  /**
   * Makes a reply ready to be sent. Its entries, each of which is a reference, are after `.` and `..` in the room that
   * was returned last.
   */
  offer(place: ReadyPlace, { bytes, entries }: { bytes: number; entries: number }): void {
    const { words, next: index } = this;
    const { tree, directory, nodeLow, nodeHigh } = place;
    const word = index * PAGE_WORDS;
    this.offered[index] = { tree, directory, lookups: entries };
    // The addon may look at these fields at any time, but relies on them only once it has taken a reply that is ready.
    Atomics.store(words, word, nodeLow);
    Atomics.store(words, word + 1, nodeHigh);
    Atomics.store(words, word + 2, OUT_HEADER_BYTES + bytes);
    words[word + 4] = entries + DOTS; // the offset at which the directory ends
    words[word + 5] = 0;
    Atomics.store(words, word + STATE_WORD, ReadyState.ready);
    this.next = (index + 1) % READY_PAGES;
  }

  /** Counts the references in replies that were sent. It must be called first when requests arrive. */
  count(): void {
    const { words, offered } = this;
    for (let index = 0; index < READY_PAGES; index += 1) {
      const word = index * PAGE_WORDS + STATE_WORD;
      if (Atomics.load(words, word) !== ReadyState.sent) continue;
      const { tree, directory, lookups } = offered[index]!;
      offered[index] = undefined;
      Atomics.store(words, word, ReadyState.free);
      tree.lookups += lookups;
      tree.wasListed(directory);
    }
  }

  /** Drops the replies that were not sent. It must be called when nodes become stale or free. */
  drop(): void {
    const { words, offered } = this;
    for (let index = 0; index < READY_PAGES; index += 1) {
      const word = index * PAGE_WORDS + STATE_WORD;
      const state = Atomics.compareExchange(words, word, ReadyState.ready, ReadyState.free);
      if (state === ReadyState.ready) offered[index] = undefined;
    }
  }

  /** True if a reply of a tree is being sent, or was sent and its references are not counted yet. */
  isSending(tree: ListedTree): boolean {
    return this.offered.some((offer, index) => {
      if (offer?.tree !== tree) return false;
      const state = Atomics.load(this.words, index * PAGE_WORDS + STATE_WORD);
      return state === ReadyState.sending || state === ReadyState.sent;
    });
  }
}
