/**
 * Counts the batches and parcels between the walk and the server. Calls `onStandstill` if there are none while the walk
 * waits: the budget that the walk waits for is then held by the cutter.
 */
export class Flight {
  private count = 0;
  private isStarving = false;
  private readonly onStandstill: () => void;

  constructor(onStandstill: () => void) {
    this.onStandstill = onStandstill;
  }

  /** Counts a batch that leaves the walk. The walk does not wait any more. */
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

  /** Records that the walk waits for the budget. */
  starve(): void {
    this.isStarving = true;
    this.check();
  }

  private check(): void {
    if (this.isStarving && this.count === 0) this.onStandstill();
  }
}
