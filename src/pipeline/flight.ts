/** Counts the batches, parcels and large files between the walk and the server. */
import { Subject } from 'rxjs';

export class Flight {
  /**
   * Emits if nothing is in flight while the walk waits: the budget that the walk waits for is then held by the cutter.
   */
  readonly standstills = new Subject<undefined>();
  private count = 0;
  private isStarving = false;

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
    if (this.isStarving && this.count === 0) this.standstills.next(undefined);
  }
}
