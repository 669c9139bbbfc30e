/** Brings the copies of a client in other stores up to date, after a backup to the first store. */
import { isSshText, type Settings } from '../../config/index.js';
import { asTardisError, type ErrorCode, TardisError, toWire } from '../../errors/index.js';
import { SKIP_FILE_NAME } from '../../excludes/index.js';
import { displayText } from '../../model/index.js';
import { closeSharedStores } from '../../store/index.js';
import { byteText, nodeSystem } from '../../system/index.js';
import { PARTLY } from '../output/exit-status.js';
import {
  type Copied,
  type CopyChoice,
  copyLines,
  copyOut,
  copyTo,
  enterCopyTarget,
} from '../shared/client-copy.js';
import { recordedAt, targetOf } from '../shared/recorded.js';

/** The result of one store, for --json. */
type ShownCopy = { readonly to: string } & (Copied | { readonly error: ReturnType<typeof toWire> });

export interface CopiesResult {
  readonly shown: readonly ShownCopy[];
  readonly lines: readonly string[];
  /** One line for each store that did not get all sets. */
  readonly warnings: readonly string[];
  readonly isInterrupted: boolean;
}

/**
 * Copies to each store in turn. If a copy fails, the other stores still get their copies. The source's files are not
 * read again, since all data comes from the first store. Sets that a store lacks because of an earlier failure are
 * copied too.
 */
export async function copyToOthers(
  settings: Settings<'tardis'>,
  signal: AbortSignal,
): Promise<CopiesResult> {
  const { client, otherStores } = settings;
  const skipFile = settings.skipFileName ?? SKIP_FILE_NAME;
  const choice: CopyChoice = { ...settings, copyDeletes: false, wastePercent: 100, skipFile };
  const wanted = { client, as: client };
  const system = nodeSystem();
  const shown: ShownCopy[] = [];
  const lines: string[] = [];
  const warnings: string[] = [];
  for (const store of otherStores) {
    const to = byteText(store);
    const copy = async (): Promise<number> => {
      if (signal.aborted) throw new TardisError('INTERRUPTED', 'interrupted');
      const result = isSshText(to)
        ? await copyOut(system, settings, { ...wanted, host: to, signal })
        : await copyTo(system, choice, {
            ...wanted,
            to: await enterCopyTarget(choice, store),
            signal,
            creation: settings.create ? 'missing' : 'no',
            sources: [...settings.directories, settings.database],
          });
      const [line, ...notes] = copyLines(wanted, to, result);
      lines.push(line!, ...notes);
      if (result.lostVersions > 0) warnings.push(...notes);
      shown.push({ to, ...result });
      return result.lostVersions > 0 ? PARTLY : 0;
    };
    try {
      const place = { client, store: settings.database, server: '', target: targetOf(store) };
      await recordedAt('copy', place, copy);
    } catch (error) {
      const failure = asTardisError(error, `copying to ${displayText(to)}`);
      if (failure.code === 'INTERNAL') throw error;
      warnings.push(
        `the backup was not copied to ${displayText(to)}: ${displayText(failure.message)} [${failure.code}]; ${nextStep(failure.code, to)}`,
      );
      shown.push({ to, error: toWire(failure) });
    }
  }
  await closeSharedStores();
  return { shown, lines, warnings, isInterrupted: signal.aborted };
}

/** Returns the advice for a store that did not get its copy. */
function nextStep(code: ErrorCode, to: string): string {
  const isMissing = code === 'NO_SUCH_STORE' || code === 'NO_SUCH_CLIENT';
  return isMissing
    ? `the next run does it if the copy is there then (\`sonic copy --create ${isSshText(to) ? '--to-server' : '--to'}\` makes a new one)`
    : 'the next run does it';
}
