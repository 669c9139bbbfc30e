/** The part of `sonic check` that concerns parity: repairs, and what is protected. */
import { configInvalid } from '../../config/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import type { Admin } from '../../maintenance/admin/index.js';
import type { ParitySummary, RepairFinding, RepairResult } from '../../maintenance/check/index.js';
import type { ProgressLine } from '../shared/progress-line.js';
import { jsonText } from '../shared/json-text.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { counted, formatBytes } from '../shared/units.js';

/** The result of a check that concerns parity. */
export interface ParityReport extends ParitySummary {
  /** Undefined without --repair. */
  readonly repair?: RepairResult;
}

interface RepairWish {
  readonly repair: boolean;
  readonly parityPercent: number;
  readonly json: boolean;
}

/** Throws CONFIG_INVALID for a repair through a server. */
export function refuseFarRepair(isWanted: boolean): void {
  if (!isWanted) return;
  throw configInvalid("--repair works on the store itself: run it on the server's machine");
}

/**
 * Repairs a client if that is wanted, and returns what parity protects; undefined through a server. Throws CLIENT_BUSY,
 * INTERRUPTED.
 */
export async function lookAtParity(
  there: Admin,
  { repair, parityPercent: percent, json }: RepairWish,
  progress: {
    readonly line: ProgressLine;
    readonly read: (doneBytes: number, ofBytes: number) => void;
    readonly interrupted: () => AbortSignal;
  },
): Promise<ParityReport | undefined> {
  if (!repair) return parityIfReadable(there);
  const result = await there.repair({
    percent,
    signal: progress.interrupted(),
    onProgress: progress.read,
    onFinding: (finding) => {
      if (json) return print(jsonText({ version: JSON_VERSION, ...finding }));
      progress.line.clear();
      print(displayText(textOf(finding)));
    },
  });
  const summary = await there.parity();
  return summary && { ...summary, repair: result };
}

/** Returns undefined if the directories cannot be listed: the check itself reports what cannot be read. */
async function parityIfReadable(there: Admin): Promise<ParityReport | undefined> {
  try {
    return await there.parity();
  } catch (error) {
    if (systemCode(error) === undefined && !(error instanceof TardisError)) throw error;
    return undefined;
  }
}

function textOf({ file, outcome, restoredBlocks, lostBlocks, why }: RepairFinding): string {
  const restored = `${counted(restoredBlocks, 'block')} restored from parity`;
  const lost = `${counted(lostBlocks, 'block')} damaged beyond what its parity restores`;
  const text = {
    healed: restored,
    partly: `${restored}, ${lost}`,
    beyond: lostBlocks === 0 ? 'damaged, and so is its parity' : `${lost}; nothing was changed`,
    unprotected: 'has bytes that are no records, and no parity; the check shows if they are needed',
    failed: `not repaired, and nothing was changed: ${why ?? ''}`,
  }[outcome];
  return `repair: ${file}: ${text}`;
}

/** Returns the lines about parity that end a check; none if all is protected and nothing was repaired. */
export function parityLines(report: ParityReport): string[] {
  const { unprotected, bytes, repair } = report;
  const all = unprotected + report.protected;
  const lines: string[] = [];
  if (repair !== undefined) {
    const { healed, damaged, parityMade, parityRemade } = repair;
    lines.push(
      `Repaired from parity: ${counted(healed, 'file')}; still damaged: ${counted(damaged, 'file')}.`,
    );
    const made = parityMade + parityRemade;
    if (made > 0) lines.push(`Parity made: for ${counted(made, 'file')}.`);
  }
  if (unprotected === 0 && repair === undefined) return [];
  if (report.protected > 0) {
    lines.push(
      `Parity protects ${report.protected} of ${counted(all, 'file')} (${formatBytes(bytes)}).`,
    );
  } else if (all > 0) {
    lines.push('No file has parity: `sonic check --repair` makes it.');
  }
  return lines;
}
