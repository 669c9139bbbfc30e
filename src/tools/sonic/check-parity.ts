/** The part of `sonic check` for parity: repairs, and reports which data parity protects. */
import { configInvalid, type SettingsNamed } from '../../config/index.js';
import { asTardisError, systemCode, TardisError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import type { Admin } from '../../maintenance/admin/index.js';
import type { RepairFinding, RepairOutcome } from '../../maintenance/check/index.js';
import type { ProgressLine } from '../output/progress-line.js';
import { USUAL_PARITY_PERCENT } from '../opening/local-store.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes } from '../output/units.js';
import { inFrontWords } from '../output/command-names.js';

/**
 * The parity result of a check: the numbers of protected and unprotected files, and with --repair also the result of
 * the repair.
 */
export type ParityReport = Omit<RepairOutcome, 'repair'> & Partial<Pick<RepairOutcome, 'repair'>>;

interface RepairProgress {
  readonly line: ProgressLine;
  readonly read: (doneBytes: number, ofBytes: number) => void;
  readonly interrupted: () => AbortSignal;
}

type RepairChoice = SettingsNamed<'repair' | 'parityPercent' | 'json'>;

/** Throws CONFIG_INVALID for a repair through a server. */
export function refuseRemoteRepair(isRequested: boolean): void {
  if (!isRequested) return;
  throw configInvalid("--repair works on the store itself: run it on the server's machine");
}

/**
 * Repairs a client if that is requested, and returns a summary of its parity. If no repair is requested, returns
 * undefined through a server, for a bucket, and if the directories of the client cannot be listed. Throws CLIENT_BUSY,
 * INTERRUPTED.
 */
export async function lookAtParity(
  there: Admin,
  { repair, parityPercent: percent = USUAL_PARITY_PERCENT, json }: RepairChoice,
  progress: RepairProgress,
): Promise<ParityReport | undefined> {
  if (!repair) return parityIfReadable(there);
  return there.repair({
    percent,
    signal: progress.interrupted(),
    onProgress: progress.read,
    onFinding: (finding) => {
      if (json) return printJson(finding);
      progress.line.clear();
      print(displayText(textOf(finding)));
    },
  });
}

/**
 * Returns the parity report; undefined if the directories cannot be listed, since the check itself reports that. Throws STORE_UNSAFE
 * for a link in the place of the parity, of which nothing else speaks.
 */
async function parityIfReadable(there: Admin): Promise<ParityReport | undefined> {
  try {
    return await there.parity();
  } catch (error) {
    const isKnown = systemCode(error) !== undefined || error instanceof TardisError;
    if (!isKnown || asTardisError(error).code === 'STORE_UNSAFE') throw error;
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
    removed: `this copy of the catalog was removed: ${why ?? ''}`,
    later: `no new copy of the catalog could be made, a later backup makes one: ${why ?? ''}`,
  }[outcome];
  return `repair: ${file}: ${text}`;
}

const NO_PARITY = inFrontWords('`sonic check --repair` makes it.');
const NO_PARITY_THERE = 'with `Parity`, a bucket gets it for all that is stored from then on.';

/**
 * Returns the lines about parity at the end of a check; none if all files are protected and no repair was requested.
 */
export function parityLines(report: ParityReport): string[] {
  const { unprotected, bytes, repair } = report;
  const all = unprotected + report.protected;
  const lines: string[] = [];
  if (repair !== undefined) {
    const { healed, damaged, parityMade, parityRebuilt } = repair;
    lines.push(
      `Repaired from parity: ${counted(healed, 'file')}; not repaired: ${counted(damaged, 'file')}.`,
    );
    const made = parityMade + parityRebuilt;
    if (made > 0) lines.push(`Parity made: for ${counted(made, 'file')}.`);
  }
  if (unprotected === 0 && repair === undefined) return [];
  if (report.protected > 0) {
    lines.push(
      `Parity protects ${report.protected} of ${counted(all, 'file')} (${formatBytes(bytes)}).`,
    );
  } else if (all > 0) {
    const how = report.isProven === undefined ? NO_PARITY : NO_PARITY_THERE;
    lines.push(`No file has parity: ${how}`);
  }
  return lines;
}
