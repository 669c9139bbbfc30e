/**
 * Counts the batches and parcels between the walk and the server, and tells when there are none of
 * them while the walk waits: then what the walk waits for must lie still somewhere.
 */
export class Flight {
  private count = 0;
  private isStarving = false;
  private readonly onStandstill: () => void;

  constructor(onStandstill: () => void) {
    this.onStandstill = onStandstill;
  }

  /** A batch leaves the walk: it was given what it waited for, if it did. */
  enterBatch(): void {
    this.isStarving = false;
    this.enter();
  }

  enter(): void {
    this.count += 1;
  }

  leave(): void {
    this.count -= 1;
    this.check();
  }

  /** The walk waits. */
  starve(): void {
    this.isStarving = true;
    this.check();
  }

  private check(): void {
    if (this.isStarving && this.count === 0) this.onStandstill();
  }
}
