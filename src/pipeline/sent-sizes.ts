/**
 * Maximum number of sizes of sent files that are remembered. They are only a hint: a forgotten size costs a second
 * transfer at most.
 */
const MAX_SIZES = 1 << 16;

export class SentSizes {
  private readonly sizes = new Set<number>();

  has(sizeBytes: number): boolean {
    return this.sizes.has(sizeBytes);
  }

  add(sizeBytes: number): void {
    if (this.sizes.size >= MAX_SIZES) this.sizes.clear();
    this.sizes.add(sizeBytes);
  }
}
