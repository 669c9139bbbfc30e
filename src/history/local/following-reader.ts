/**
 * Reads the packs of a client in a bucket. Another machine may have moved the contents of a pack and deleted the pack.
 * Therefore the catalog is brought up to date before a pack counts as missing, and the caller looks up the contents
 * again.
 */
import { systemCode } from '../../errors/index.js';
import type { ExpectedRange, ObjectReader } from '../../store/index.js';

/** Maximum number of missing packs whose names are remembered. */
const MAX_MISSED = 4096;

export class FollowingReader implements ObjectReader {
  private following: Promise<void> | undefined;
  /** Missing packs for which the catalog was already brought up to date; this is done once for each. */
  private readonly missed = new Set<string>();

  constructor(
    private readonly reader: ObjectReader,
    private readonly follow: () => Promise<void>,
  ) {}

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    try {
      return await this.reader.read(name, position, target, bytes);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      if (!this.missed.has(name)) await this.catchUp(name);
      throw error;
    }
  }

  expect(ranges: readonly ExpectedRange[]): void {
    this.reader.expect?.(ranges);
  }

  close(): void {
    this.reader.close();
  }

  /** Brings the catalog up to date. One call serves all packs that are found missing meanwhile. */
  private async catchUp(name: string): Promise<void> {
    this.following ??= this.follow().finally(() => {
      this.following = undefined;
    });
    await this.following;
    if (this.missed.size < MAX_MISSED) this.missed.add(name);
  }
}
