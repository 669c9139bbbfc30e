/**
 * Counts what a session adds to its account, and refuses what goes beyond the account's quota. All
 * sessions of an account count in one number that their threads share, so that many at once take no
 * more than one.
 */
import { TardisError } from '../errors/index.js';

/** A number of bytes in memory that threads share. */
export type SharedCount = BigInt64Array<SharedArrayBuffer>;

/** What a session may add. */
export interface SpaceGrant {
  readonly account: string;
  readonly quotaBytes: number;
  readonly perFileBytes: number;
  readonly perDirectoryBytes: number;
  /** What the account uses: this session and others add to it. */
  readonly used: SharedCount;
  /** What this session has added. */
  readonly added: SharedCount;
}

export function sharedCount(): SharedCount {
  return new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT));
}

/** Adds to a count, or (below 0) takes away. */
export function addTo(count: SharedCount, bytes: number): void {
  Atomics.add(count, 0, BigInt(bytes));
}

export function valueOf(count: SharedCount): number {
  return Math.max(0, Number(Atomics.load(count, 0)));
}

export class SpaceMeter {
  /** Bytes counted so far that are, or are about to be, in the store. */
  private countedBytes = 0;
  private readonly grant: SpaceGrant;

  constructor(grant: SpaceGrant) {
    this.grant = grant;
  }

  get usedBytes(): number {
    return valueOf(this.grant.used);
  }

  /** Throws QUOTA_EXCEEDED when nothing is left. */
  requireRoom(): void {
    if (this.usedBytes >= this.grant.quotaBytes) throw this.exceeded();
  }

  /** Counts bytes before they are stored. Throws QUOTA_EXCEEDED, and counts nothing, if they are too many. */
  take(bytes: number): void {
    this.reserve(bytes);
    this.countedBytes += bytes;
  }

  /** Counts what an entry costs beside its bytes. Throws QUOTA_EXCEEDED. */
  takeEntry(isDirectory: boolean): void {
    this.reserve(isDirectory ? this.grant.perDirectoryBytes : this.grant.perFileBytes);
  }

  /**
   * Sets right what was counted: `storedBytes` is what the session has written, staged contents included.
   * Records of the server itself are counted here only, and never refused.
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
      // Again if another session was quicker: what is refused must not have been counted for a moment.
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
