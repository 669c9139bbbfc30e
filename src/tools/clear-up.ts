/** Freeing what no set needs, as the commands do that delete sets. */
import type { Keyring } from '../crypto/index.js';
import { keepUp, type UpkeepReport, type UpkeepStep } from '../keeper/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { ProgressLine } from './progress-line.js';
import { TimeLeft } from './time-left.js';
import { counted, formatBytes, formatCount } from './units.js';
import { clientPlace, storeLimits } from './local-store.js';

type ClearUpSettings = Parameters<typeof clientPlace>[0] & {
  readonly wastePercent: number;
  readonly progress: boolean | undefined;
};

/** What becomes of clearing up that is broken off. */
export const CLEARED_LATER =
  'what is not cleared up by then is left for the next time (sonic orphans)';

const STEPS: Readonly<Record<UpkeepStep, string>> = {
  versions: 'looking for versions that no set shows',
  contents: 'looking for contents that nothing needs',
  packs: 'writing packs anew',
  files: 'deleting files',
};

/** With `isThorough` it looks at all of the client, also if nothing says that there is something to free. Throws INTERRUPTED. */
export async function freeUnneeded(
  system: System,
  options: ClearUpSettings,
  keyring: Keyring | undefined,
  { isThorough, signal }: { readonly isThorough: boolean; readonly signal: AbortSignal },
): Promise<UpkeepReport> {
  let shown = '';
  const line = new ProgressLine(options.progress, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  let at: UpkeepStep | undefined;
  line.start();
  try {
    return await keepUp(system, openClientDirectory(system, clientPlace(options)), {
      limits: storeLimits(),
      graceMs: 0, // who reads meanwhile looks up again
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

export function describedUpkeep({
  isDone,
  contents,
  packs,
  deletedFiles,
  deletedBytes,
}: UpkeepReport): string {
  const what =
    `${counted(contents, 'content')} forgotten, ${counted(packs, 'pack')} written anew, ` +
    `${counted(deletedFiles, 'file')} of ${formatBytes(deletedBytes)} deleted.`;
  if (isDone) return what;
  return `${what} A session wanted the client: the rest is for the next time (\`sonic orphans\`).`;
}
