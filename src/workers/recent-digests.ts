/**
 * Digests of contents that the server has or is about to receive, shared by all threads without a lock. The set may
 * lose a digest; the content is then sent again, and the server discards it. The set never contains a digest that was
 * not added: all 32 bytes must be equal, so a torn write matches nothing. native/src/recent.cc implements the same set
 * in the same memory.
 */
import type { RecentDigests } from './jobs.js';

const WORDS = 8;
const PROBES = 8;
const HEADER_WORDS = WORDS;

export class SharedDigests implements RecentDigests {
  private readonly words: Int32Array;
  private readonly slots: number;
  readonly table: Uint8Array;

  /** Opens the set that is in this memory. */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.table = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.slots = (this.words.length - HEADER_WORDS) / WORDS;
  }

  /** Creates an empty set with room for `slots` digests, a power of two, of 32 bytes each. */
  static create(slots: number): SharedDigests {
    return new SharedDigests(new SharedArrayBuffer((HEADER_WORDS + slots * WORDS) * 4));
  }

  get added(): number {
    return Atomics.load(this.words, 0);
  }

  get capacity(): number {
    return this.slots;
  }

  has(digest: Uint8Array): boolean {
    const view = viewOf(digest);
    const home = view.getUint32(4, true);
    for (let probe = 0; probe < PROBES; probe += 1) {
      const at = this.at(home + probe);
      const first = Atomics.load(this.words, at);
      if (first === 0) return false;
      if (first === view.getInt32(0, true) && this.matches(at, view)) return true;
    }
    return false;
  }

  add(digest: Uint8Array): void {
    const view = viewOf(digest);
    const first = view.getInt32(0, true);
    if (first === 0) return; // 0 marks an empty slot, so such a digest is never remembered
    const home = view.getUint32(4, true);
    let at = this.at(home);
    for (let probe = 0; probe < PROBES; probe += 1) {
      const candidate = this.at(home + probe);
      if (Atomics.compareExchange(this.words, candidate, 0, first) === 0) {
        at = candidate;
        break;
      }
    }
    Atomics.store(this.words, at, first);
    for (let word = 1; word < WORDS; word += 1) {
      Atomics.store(this.words, at + word, view.getInt32(word * 4, true));
    }
    Atomics.add(this.words, 0, 1);
  }

  /** Forgets all digests. No thread may use them meanwhile. */
  clear(): void {
    this.words.fill(0);
  }

  private at(slot: number): number {
    return HEADER_WORDS + (slot & (this.slots - 1)) * WORDS;
  }

  private matches(at: number, view: DataView): boolean {
    for (let word = 1; word < WORDS; word += 1) {
      if (Atomics.load(this.words, at + word) !== view.getInt32(word * 4, true)) return false;
    }
    return true;
  }
}

function viewOf(digest: Uint8Array): DataView {
  return new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
}
