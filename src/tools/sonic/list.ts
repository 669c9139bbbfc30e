/** Implements `sonic list`: lists the backup sets of a client. */
import type { Settings } from '../../config/index.js';
import { withReports } from '../opening/history.js';
import { unlockForNames } from '../opening/keys.js';
import { printSets } from '../shared/report-sets.js';

export async function list(options: Settings<'sonic list'>): Promise<void> {
  const { json, longReport: long } = options;
  await withReports({ ...options, unlock: unlockForNames }, async (history) => {
    await printSets(history, await history.sets(), { json, long });
  });
}
