/** The threads that write packs and catalogs. */
import type { Settings } from '../../config/index.js';
import { thisMachine } from '../../system/index.js';

/** Maximum number of processors at which all of them are busy during a local backup. */
const FEW_PROCESSORS = 2;

/**
 * Returns the number of storage threads of a server. A separate thread prevents a slow disk from stalling other sessions,
 * and writes while the next messages arrive. With only one session and no idle processor, a thread would only cost 45 MB
 * of memory.
 */
export function storageThreadsOf({
  single,
  storageThreads,
}: Pick<Settings<'tardisd'>, 'single' | 'storageThreads'>): number {
  return storageThreads ?? (single && thisMachine().processors <= FEW_PROCESSORS ? 0 : 1);
}
