/**
 * Restores damaged packs and objects of a client from their parity, and makes parity that is missing or damaged. Each
 * file is repaired independently. An interruption leaves either the old file or the healed one, and the next run does
 * the rest.
 */
import { asTardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  examine,
  type Examined,
  heal,
  type HealTools,
  makeParity,
  type MendableBackend,
  mediumOf,
  parityName,
  protectable,
  soundRecords,
  strayParity,
  withClient,
} from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import type { ParitySummary } from './parity-summary.js';

/** A file that a repair has changed, or could not restore. */
export interface RepairFinding {
  readonly finding: 'repair';
  /** Path of the pack or object below the client's directory. */
  readonly file: string;
  /**
   * `healed`: all damage was repaired. `partly`: some of it was. `beyond`: more is damaged than the parity can restore,
   * or the parity is damaged too. `unprotected`: the file has no parity. `failed`: the repair failed, and changed
   * nothing. `removed`: the file was an unusable copy of the catalog in a bucket. `later`: no new copy could be made
   * now.
   */
  readonly outcome: 'healed' | 'partly' | 'beyond' | 'unprotected' | 'failed' | 'removed' | 'later';
  /** Number of blocks of 4 KiB that were restored. */
  readonly restoredBlocks: number;
  /** Number of blocks that could not be restored. */
  readonly lostBlocks: number;
  /** The reason of a failure. */
  readonly why?: string;
}

/** Returns the finding of a repair that failed, or that concerns no blocks. */
export function repairWithoutBlocks(
  file: string,
  outcome: 'failed' | 'removed' | 'later',
  why: string,
): RepairFinding {
  return { finding: 'repair', file, outcome, restoredBlocks: 0, lostBlocks: 0, why };
}

export interface RepairOptions {
  /** Number of bytes of parity for 100 bytes. With 0 no parity is made, but existing parity is used for repairs. */
  readonly percent: number;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: RepairFinding) => void;
  readonly onProgress: (doneBytes: number, ofBytes: number) => void;
}

export interface RepairResult {
  /** Number of files examined. */
  readonly files: number;
  /** Number of files that were healed completely. */
  readonly healed: number;
  /** Number of files that are still damaged. */
  readonly damaged: number;
  /** Number of parity files made because they were missing. */
  readonly parityMade: number;
  /** Number of parity files made because they were damaged. */
  readonly parityRebuilt: number;
}

/** The result of a repair. */
export interface RepairOutcome extends ParitySummary {
  readonly repair: RepairResult;
  /**
   * False if objects of a bucket without parity may be damaged, so that a check must read their contents. Undefined in
   * a directory.
   */
  readonly isProven?: boolean;
}

/**
 * Takes the lock of a client, and repairs the client. Throws CLIENT_BUSY if the client is in use, INTERRUPTED if it is
 * aborted, STORE_NEWER for a newer format, and errors of listing the files.
 */
export async function repairClient(
  system: System,
  directory: ClientDirectory,
  options: RepairOptions,
): Promise<RepairResult> {
  return withClient(system, directory, async () => {
    const medium = mediumOf(system, directory);
    medium.clearStaged();
    using backend = medium.mendable();
    return await new Repair(backend, system, options).run();
  });
}

class Repair {
  private readonly result = { files: 0, healed: 0, damaged: 0, parityMade: 0, parityRebuilt: 0 };
  private readonly tools: HealTools;

  constructor(
    backend: MendableBackend,
    { native }: System,
    private readonly options: RepairOptions,
  ) {
    const breathe = yieldRegularly(options.signal);
    this.tools = { backend, math: native, breathe };
  }

  async run(): Promise<RepairResult> {
    const { backend } = this.tools;
    for (const file of await strayParity(backend)) await backend.remove(file);
    const names = await protectable(backend);
    const sizes = await Promise.all(names.map((name) => backend.size(name)));
    const ofBytes = sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
    let doneBytes = 0;
    for (const [at, name] of names.entries()) {
      this.result.files += 1;
      await this.file(name);
      doneBytes += sizes[at] ?? 0;
      this.options.onProgress(doneBytes, ofBytes);
    }
    return this.result;
  }

  private async file(name: string): Promise<void> {
    try {
      await this.repair(name);
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code === 'INTERRUPTED' || code === 'STORE_NEWER') throw error;
      this.result.damaged += 1;
      this.options.onFinding(repairWithoutBlocks(name, 'failed', message));
    }
  }

  private async repair(name: string): Promise<void> {
    const { tools, result } = this;
    const found = await examine(tools, name);
    if (found.state === 'sound') return;
    if (found.state !== 'damaged') return this.protect(name, found);
    const hasParity = (await tools.backend.size(parityName(name))) !== undefined;
    const { outcome, ...blocks } = await heal(tools, name, found);
    const shown = hasParity ? outcome : 'unprotected';
    this.options.onFinding({ finding: 'repair', file: name, outcome: shown, ...blocks });
    // Bytes that are no records may be left from an interrupted session. Only the check knows if they are needed.
    if (!hasParity) return;
    if (outcome !== 'healed') {
      result.damaged += 1;
      return;
    }
    result.healed += 1;
    const healed = await examine(tools, name);
    if (healed.state === 'badParity') await this.protect(name, healed);
  }

  /** Makes the parity of a sound file, or removes damaged parity if none is to be made. */
  private async protect(name: string, { state, records }: Examined): Promise<void> {
    const { backend, math, breathe } = this.tools;
    const { percent } = this.options;
    if (percent === 0) {
      if (state === 'badParity') await backend.remove(parityName(name));
      return;
    }
    const { wholeBytes } = records ?? (await soundRecords(backend, name, breathe));
    if (wholeBytes === 0) return;
    await makeParity(backend, math, name, { coveredBytes: wholeBytes, percent, breathe });
    if (state === 'noParity') this.result.parityMade += 1;
    else this.result.parityRebuilt += 1;
  }
}
