/** Garbage collection for the commands that delete sets. */
import type { SettingsNamed } from '../../config/index.js';
import { asTardisError } from '../../errors/index.js';
import type { Admin, WorkHooks } from '../../maintenance/admin/index.js';
import type { GcReport, GcStep } from '../../maintenance/gc/index.js';
import type { System } from '../../system/index.js';
import { withStepProgress } from '../output/step-progress.js';
import { noteNumbers } from './run-facts.js';
import { counted, formatBytes } from '../output/units.js';

type ClearUpSettings = SettingsNamed<'wastePercent' | 'progress'>;

/** Phrase that is printed when a garbage collection was interrupted. */
export const CLEARED_LATER = 'the rest is left for the next garbage collection (sonic orphans)';

const STEPS: Readonly<Record<GcStep | 'other', string>> = {
  versions: 'looking for versions that no set uses',
  contents: 'looking for unneeded contents',
  packs: 'rewriting packs',
  files: 'deleting files',
  other: 'freeing space',
};

/** A client whose sets were deleted a moment ago. */
interface Cleared {
  readonly system: System;
  readonly there: Admin;
  readonly options: ClearUpSettings & { readonly clearUp: boolean };
  readonly signal: AbortSignal;
}

/**
 * If `clearUp` is set, frees the space of deleted sets. Then calls `report`, with undefined if nothing was freed here.
 * `report` is called even if the garbage collection fails, since the sets are deleted then too. Throws INTERRUPTED.
 */
export async function clearUpAfter(
  { system, there, options, signal }: Cleared,
  report: (freed: GcReport | undefined) => void,
): Promise<void> {
  let freed: GcReport | undefined;
  try {
    if (options.clearUp) {
      freed = await withProgress(system, options, signal, (hooks) =>
        there.freeDeleted(requestOf(options), hooks),
      );
    }
    if (freed !== undefined) noteNumbers({ freedBytes: freed.freedBytes });
  } catch (error) {
    // Another process rewrites the client, which leaves out the data of deleted sets, or uses it.
    if (asTardisError(error).code !== 'CLIENT_BUSY') throw error;
  } finally {
    report(freed);
  }
}

/** Searches the whole client for space to free, and frees it. Throws INTERRUPTED. */
export async function freeUnneeded(
  system: System,
  there: Admin,
  options: ClearUpSettings,
  signal: AbortSignal,
): Promise<GcReport> {
  const report = await withProgress(system, options, signal, (hooks) =>
    there.freeUnneeded(requestOf(options), hooks),
  );
  noteNumbers({ freedBytes: report.freedBytes });
  return report;
}

/** Runs garbage collection with a progress line. A server may report steps that this program does not know. */
function withProgress<T>(
  system: System,
  { progress }: ClearUpSettings,
  signal: AbortSignal,
  work: (hooks: WorkHooks) => Promise<T>,
): Promise<T> {
  return withStepProgress(system, progress, STEPS, (report) =>
    work({
      signal,
      onProgress: ({ step, done, of }) =>
        report(Object.hasOwn(STEPS, step) ? (step as GcStep) : 'other', done, of),
    }),
  );
}

function requestOf({ wastePercent }: ClearUpSettings): Parameters<Admin['freeUnneeded']>[0] {
  return { wasteRatio: wastePercent / 100 };
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
