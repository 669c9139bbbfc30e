/** Opens the history of a mount. The history can be opened again later. */
import type { Found, Settings } from '../../config/index.js';
import type { History } from '../../history/index.js';
import { LastingHistory } from '../../mount/index.js';
import type { System } from '../../system/index.js';
import { openHistory } from '../shared/open-history.js';

type MountSettings = Settings<'tardisfs'>;

/** Opens the history. Throws the errors of `openHistory`. */
export async function openLasting(
  system: System,
  settings: MountSettings,
  found: ReadonlyMap<string, Found>,
  warn: (line: string) => void,
): Promise<LastingHistory> {
  const open = async (triesFirst: boolean): Promise<History> => {
    const opening = { warn, keepsCatalog: true, triesFirst };
    const history = await openHistory(system, settings, found, opening);
    if (settings.allowUnproven) history.acceptUnproven?.();
    return history;
  };
  const history = await open(true);
  try {
    return await LastingHistory.of(history, { reopen: () => open(false), warn });
  } catch (error) {
    history.close();
    throw error;
  }
}
