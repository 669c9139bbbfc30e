/** Opens a client of a lab as a mount does: the history passes each call to the one that is open at the moment. */
import type { History } from '../../src/history/index.js';
import { LastingHistory } from '../../src/mount/index.js';
import { type HistoryLab, openHere } from './history-lab.js';

export async function openForMount(lab: HistoryLab, client: string): Promise<History> {
  const lasting = await LastingHistory.of(await openHere(lab, client), {
    reopen: () => openHere(lab, client),
    warn: () => undefined,
  });
  await lasting.look();
  return lasting.history;
}
