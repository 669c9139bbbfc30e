/** Implements `sonic copy`: copies clients to another store, and brings earlier copies up to date. */
import { isBucketText, type Settings } from '../../config/index.js';
import { asTardisError, TardisError, toWire } from '../../errors/index.js';
import type { CopyResult } from '../../maintenance/rewrite/index.js';
import { displayText } from '../../model/index.js';
import { closeSharedStores, listClients } from '../../store/index.js';
import { byteText } from '../../system/index.js';
import { copyLines, copyTo, enterCopyTarget, type WantedCopy } from '../shared/client-copy.js';
import { jsonText } from '../shared/json-text.js';
import { clientPlace, storeSystem } from '../shared/local-store.js';
import { compareShown } from '../shared/older-store.js';
import { donePartly } from '../shared/output.js';
import { sayAbove } from '../shared/progress-line.js';
import { interruptSignal, JSON_VERSION, print } from '../shared/run-tool.js';

type Options = Settings<'sonic copy'>;

/** The result of one client, for --json. */
type Shown = WantedCopy & (CopyResult | { readonly error: ReturnType<typeof toWire> });

export async function copy(options: Options): Promise<number> {
  const { copyTo: to, client, copyAs, allClients, json } = options;
  if (to === undefined) throw new TardisError('USAGE', 'give the store to copy to: --to DIR');
  if (allClients && copyAs !== undefined) {
    throw new TardisError('USAGE', '--as names one client: it cannot be used with --all');
  }
  const system = storeSystem(options.umask);
  const { store } = clientPlace(options);
  const clients: WantedCopy[] = allClients
    ? listClients(system, store).map((name) => ({ client: name, as: name }))
    : [{ client, as: copyAs ?? client }];
  const isBucket = isBucketText(byteText(to));
  const target = await enterCopyTarget(options, to);
  const signal = interruptSignal('sonic copy', 'the same command continues it');
  const shown: Shown[] = [];
  let status = 0;
  for (const wanted of clients) {
    try {
      compareShown(system, { ...options, client: wanted.client });
      const result = await copyTo(system, options, { ...wanted, to: target, signal });
      if (result.lostVersions > 0) donePartly();
      if (!json) copyLines(wanted, byteText(to), result).forEach(print);
      shown.push({ ...wanted, ...result });
    } catch (error) {
      const failure = asTardisError(error, `copying the client "${wanted.client}"`);
      if (!allClients || failure.code === 'INTERRUPTED' || failure.code === 'INTERNAL') throw error;
      const text = displayText(failure.message);
      sayAbove(`the client "${wanted.client}" was not copied: ${text} [${failure.code}]`);
      shown.push({ ...wanted, error: toWire(failure) });
      status = Math.max(status, failure.row.exitStatus);
    }
  }
  if (isBucket) await closeSharedStores();
  if (json) print(jsonText({ version: JSON_VERSION, to: byteText(to), clients: shown }));
  return status;
}
