/**
 * Counts the bytes that a session adds to its account, and refuses bytes that exceed the account's quota. All sessions
 * of an account share one counter between their threads, so that concurrent sessions cannot exceed the quota together.
 */
import { TardisError } from '../../errors/index.js';

/** A number of bytes in memory shared by threads. */
export type SharedCount = BigInt64Array<SharedArrayBuffer>;

/** Limits and counters of what a session may add. */
export interface SpaceGrant {
  readonly account: string;
  readonly quotaBytes: number;
  readonly perFileBytes: number;
  readonly perDirectoryBytes: number;
  /** Bytes that the account uses; this session and others add to it. */
  readonly used: SharedCount;
  /** Bytes that this session has added. */
  readonly added: SharedCount;
}

export function sharedCount(): SharedCount {
  return new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT));
}

/** Adds to a count; a negative number is subtracted. */
export function addTo(count: SharedCount, bytes: number): void {
  Atomics.add(count, 0, BigInt(bytes));
}

export function valueOf(count: SharedCount): number {
  return Math.max(0, Number(Atomics.load(count, 0)));
}

export class SpaceMeter {
  /** Number of bytes counted so far. They are in the store, or are about to be. */
  private countedBytes = 0;

  constructor(private readonly grant: SpaceGrant) {}

  get usedBytes(): number {
    return valueOf(this.grant.used);
  }

  /** Throws QUOTA_EXCEEDED if the account has used up its quota. */
  requireRoom(): void {
    if (this.usedBytes >= this.grant.quotaBytes) throw this.exceeded();
  }

  /** Counts bytes before they are stored. If they exceed the quota, counts none of them and throws QUOTA_EXCEEDED. */
  take(bytes: number): void {
    this.reserve(bytes);
    this.countedBytes += bytes;
  }

  /** Counts the cost of an entry in addition to its bytes. Throws QUOTA_EXCEEDED. */
  takeEntry(isDirectory: boolean): void {
    this.reserve(isDirectory ? this.grant.perDirectoryBytes : this.grant.perFileBytes);
  }

  /**
   * Corrects the count. `storedBytes` is the number of bytes that the session has written, staged contents included.
   * Records of the server itself are counted only here, and are never refused.
   */
  settle(storedBytes: number): void {
    const change = storedBytes - this.countedBytes;
    addTo(this.grant.used, change);
    addTo(this.grant.added, change);
    this.countedBytes = storedBytes;
  }

  private reserve(bytes: number): void {
    const { used, added, quotaBytes } = this.grant;
    for (;;) {
      const now = Atomics.load(used, 0);
      const then = now + BigInt(bytes);
      if (then > BigInt(quotaBytes)) throw this.exceeded();
      // Another session was faster, so this one tries again. Refused bytes must not be counted even for a moment.
      if (Atomics.compareExchange(used, 0, now, then) === now) break;
    }
    addTo(added, bytes);
  }

  private exceeded(): TardisError {
    const { usedBytes } = this;
    const { account, quotaBytes } = this.grant;
    const used = `${usedBytes} of ${quotaBytes} bytes are used`;
    return new TardisError(
      'QUOTA_EXCEEDED',
      `the account "${account}" has no space left for this: ${used}`,
      { quotaBytes, usedBytes },
    );
  }
}
