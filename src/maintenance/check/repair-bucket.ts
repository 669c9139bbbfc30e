/**
 * Restores damaged objects of a client in a bucket from the parity in these objects. Each object is repaired
 * independently, and other machines may write to the client meanwhile.
 */
import { asTardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  type Mended,
  mediumOf,
  ObjectHealer,
  withClient,
} from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { type RepairOptions, type RepairOutcome, repairWithoutBlocks } from './repair.js';

/** Errors that concern only one object. Any other error would also occur for the next object. */
const OF_ONE_OBJECT: ReadonlySet<string> = new Set(['OBJECT_DAMAGED', 'BUCKET_ANSWER_INVALID']);

/**
 * Takes the lock of a client on this machine, and repairs the client. It needs neither the client's catalog nor its
 * commits. Throws CLIENT_BUSY if the client is in use, INTERRUPTED if it is aborted, DISK_FULL if this machine's disk
 * is full, and errors of a bucket.
 */
export async function repairInBucket(
  system: System,
  directory: ClientDirectory,
  options: Omit<RepairOptions, 'percent'>,
): Promise<RepairOutcome> {
  return withClient(system, directory, async () => {
    mediumOf(system, directory).clearStaged();
    const breathe = yieldRegularly(options.signal);
    using healer = await ObjectHealer.open(system, directory, breathe);
    return await new Repair(healer, options).run();
  });
}

class Repair {
  private readonly counts = { files: 0, healed: 0, damaged: 0, parityMade: 0, parityRebuilt: 0 };
  private readonly parity = { protected: 0, unprotected: 0, bytes: 0 };
  private isProven = true;

  constructor(
    private readonly healer: ObjectHealer,
    private readonly options: Omit<RepairOptions, 'percent'>,
  ) {}

  async run(): Promise<RepairOutcome> {
    let [ofBytes, doneBytes] = [0, 0];
    for await (const { sizeBytes } of this.healer.objects()) ofBytes += sizeBytes;
    for await (const { name, sizeBytes } of this.healer.objects()) {
      await this.object(name);
      doneBytes += sizeBytes;
      this.options.onProgress(doneBytes, Math.max(doneBytes, ofBytes));
    }
    const { counts, parity, isProven } = this;
    return { ...parity, repair: counts, isProven: isProven && counts.damaged === 0 };
  }

  private async object(name: string): Promise<void> {
    let mended: Mended;
    try {
      mended = await this.healer.mend(name);
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (!OF_ONE_OBJECT.has(code)) throw error;
      this.counts.files += 1;
      this.counts.damaged += 1;
      this.options.onFinding(repairWithoutBlocks(name, 'failed', message));
      return;
    }
    const { outcome, parityBytes, ...blocks } = mended;
    if (outcome === 'gone') return;
    this.counts.files += 1;
    this.parity.bytes += parityBytes;
    if (parityBytes > 0) this.parity.protected += 1;
    else this.parity.unprotected += 1;
    if (outcome === 'unproven') this.isProven = false;
    if (outcome === 'remade') this.counts.parityRebuilt += 1;
    if (outcome === 'healed') this.counts.healed += 1;
    if (outcome === 'beyond' || outcome === 'unprotected') this.counts.damaged += 1;
    if (outcome === 'healed' || outcome === 'beyond' || outcome === 'unprotected') {
      this.options.onFinding({ finding: 'repair', file: name, outcome, ...blocks });
    }
  }
}
