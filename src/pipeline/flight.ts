/** Counts the batches, parcels and large files between the walk and the server. */
import { Subject } from 'rxjs';

export class Flight {
  /**
   * Emits if nothing is in flight while the walk waits: the budget that the walk waits for is then held by the cutter.
   */
  readonly standstills = new Subject<undefined>();
  private count = 0;
  /** Number of batches that wait for the budget in the walk. */
  private starving = 0;

  /** Counts a batch that leaves the walk. `hasStarved` is true if it waited there. */
  enterBatch(hasStarved: boolean): void {
    if (hasStarved) this.starving -= 1;
    this.enter();
  }

  enter(): void {
    this.count += 1;
  }

  leave(): void {
    this.count -= 1;
    this.check();
  }

  /** Records that a batch waits for the budget in the walk. */
  starve(): void {
    this.starving += 1;
    this.check();
  }

  private check(): void {
    if (this.starving > 0 && this.count === 0) this.standstills.next(undefined);
  }
}
