/** Garbage collection for the commands that delete sets. */
import { defaultOf } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { collectGarbage, type GcReport, type GcStep } from '../../maintenance/gc/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { ProgressLine } from './progress-line.js';
import { TimeLeft } from './time-left.js';
import { counted, formatBytes, formatCount } from './units.js';
import { clientPlace, storeLimits } from './local-store.js';

type ClearUpSettings = Parameters<typeof clientPlace>[0] & {
  readonly wastePercent: number;
  readonly parityPercent: number | undefined;
  readonly progress: boolean | undefined;
};

/** Phrase for a garbage collection that was interrupted. */
export const CLEARED_LATER = 'the rest is left for the next garbage collection (sonic orphans)';

const STEPS: Readonly<Record<GcStep, string>> = {
  versions: 'looking for versions that no set uses',
  contents: 'looking for unneeded contents',
  packs: 'rewriting packs',
  files: 'deleting files',
};

/**
 * Deletes contents and files that no set needs. `isThorough` scans the whole client, even if nothing indicates that
 * space can be freed. Throws INTERRUPTED.
 */
export async function freeUnneeded(
  system: System,
  options: ClearUpSettings,
  keyring: Keyring | undefined,
  { isThorough, signal }: { readonly isThorough: boolean; readonly signal: AbortSignal },
): Promise<GcReport> {
  let shown = '';
  const line = new ProgressLine(options.progress, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  let at: GcStep | undefined;
  line.start();
  try {
    return await collectGarbage(system, openClientDirectory(system, clientPlace(options)), {
      limits: storeLimits(options),
      graceMs: 0, // a reader that misses a file looks it up again
      wantedFreeBytes: defaultOf('leastFreeBytes') + defaultOf('reserveBytes'),
      wasteRatio: options.wastePercent / 100,
      frames: { native: system.native, keys: keyring?.contents },
      isThorough,
      signal,
      onProgress: (step, done, of) => {
        const isNew = step !== at;
        at = step;
        if (isNew) timeLeft.restart();
        shown = STEPS[step];
        if (done > 0 || of !== undefined) shown += `: ${formatCount(done)}`;
        if (of !== undefined) shown += ` of ${formatCount(of)}${timeLeft.text(done, of)}`;
        if (isNew) line.refresh();
      },
    });
  } finally {
    line.stop();
  }
}

export function gcSummary({
  isDone,
  contents,
  packs,
  freedBytes,
  deletedFiles,
  deletedBytes,
}: GcReport): string {
  // A server keeps deleted files for a while, for readers that still use them.
  const isLater = freedBytes > 0 && deletedFiles === 0;
  const what =
    `${counted(contents, 'content')} removed, ${counted(packs, 'pack')} rewritten, ` +
    `${counted(deletedFiles, 'file')} of ${formatBytes(deletedBytes)} deleted; ` +
    `${formatBytes(freedBytes)} ${isLater ? 'will be freed after RemoveAfter of the server' : 'freed'}.`;
  if (isDone) return what;
  return `${what} Stopped for another session of the client; the rest is left for the next time (\`sonic orphans\`).`;
}
