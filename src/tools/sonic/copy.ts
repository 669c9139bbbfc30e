/** Implements `sonic copy`: copies clients of a store or of a server to another store, and brings earlier copies up to date. */
import { type Found, isBucketText, type Settings } from '../../config/index.js';
import { asTardisError, TardisError, toWire } from '../../errors/index.js';
import type { CopyFeed, CopyResult } from '../../maintenance/rewrite/index.js';
import { displayText } from '../../model/index.js';
import { closeSharedStores, listClients } from '../../store/index.js';
import { byteText, type System } from '../../system/index.js';
import { copyLines, copyTo, enterCopyTarget, type WantedCopy } from '../shared/client-copy.js';
import { jsonText } from '../shared/json-text.js';
import { clientPlace, storeSystem } from '../shared/local-store.js';
import { warnOlder } from '../shared/open-history.js';
import { compareShown } from '../shared/older-store.js';
import { donePartly } from '../shared/output.js';
import { sayAbove } from '../shared/progress-line.js';
import { requireNoWeb, retryText } from '../shared/server-address.js';
import { remotePlace } from '../shared/server-login.js';
import { interruptSignal, JSON_VERSION, print } from '../shared/run-tool.js';

type Options = Settings<'sonic copy'>;

type Sources = ReadonlyMap<string, Found>;

/** The result of one client, for --json. */
type Shown = WantedCopy & (CopyResult | { readonly error: ReturnType<typeof toWire> });

export async function copy(options: Options, found: Sources): Promise<number> {
  const { copyTo: to, copyAs, allClients, throughServer } = options;
  if (to === undefined) throw new TardisError('USAGE', 'give the store to copy to: --to DIR');
  if (allClients && copyAs !== undefined) {
    throw new TardisError('USAGE', '--as names one client: it cannot be used with --all');
  }
  if (allClients && throughServer !== undefined) {
    const what = 'each client of a server has a login of its own: name one with -C, not --all';
    throw new TardisError('USAGE', what);
  }
  const system = storeSystem(options.umask);
  const target = await enterCopyTarget(options, to);
  const signal = interruptSignal('sonic copy', 'the same command continues it');
  const copyOne: CopyOne = (wanted, feed) =>
    copyTo(system, options, { ...wanted, to: target, signal, ...(feed && { feed }) });
  const shown =
    throughServer === undefined
      ? await copyHere(system, options, copyOne)
      : await copyThere(system, options, { found, host: throughServer, copyOne });
  if (isBucketText(byteText(to))) await closeSharedStores();
  if (options.json) {
    print(jsonText({ version: JSON_VERSION, to: byteText(to), clients: shown.results }));
  }
  return shown.status;
}

type CopyOne = (wanted: WantedCopy, feed?: CopyFeed) => Promise<CopyResult>;

interface Results {
  readonly results: readonly Shown[];
  readonly status: number;
}

/** Copies one client, or all, of a store that this machine opens. One of several that fails does not stop the others. */
async function copyHere(system: System, options: Options, copyOne: CopyOne): Promise<Results> {
  const { client, copyAs, allClients } = options;
  const { store } = clientPlace(options);
  const clients: WantedCopy[] = allClients
    ? listClients(system, store).map((name) => ({ client: name, as: name }))
    : [{ client, as: copyAs ?? client }];
  const results: Shown[] = [];
  let status = 0;
  for (const wanted of clients) {
    try {
      compareShown(system, { ...options, client: wanted.client });
      results.push(told(options, wanted, await copyOne(wanted)));
    } catch (error) {
      const failure = asTardisError(error, `copying the client "${wanted.client}"`);
      if (!allClients || failure.code === 'INTERRUPTED' || failure.code === 'INTERNAL') throw error;
      const text = displayText(failure.message);
      sayAbove(`the client "${wanted.client}" was not copied: ${text} [${failure.code}]`);
      results.push({ ...wanted, error: toWire(failure) });
      status = Math.max(status, failure.row.exitStatus);
    }
  }
  return { results, status };
}

interface There {
  readonly host: string;
  readonly found: Sources;
  readonly copyOne: CopyOne;
}

/** Copies a client of a server. */
async function copyThere(
  system: System,
  options: Options,
  { host, found, copyOne }: There,
): Promise<Results> {
  const { client, copyAs, reconnectSeconds } = options;
  requireNoWeb(host);
  const place = await remotePlace(host, options, found);
  const { openRemoteCopy } = await import('../../history/remote/index.js'); // most runs need no connection
  const { feed, history } = await openRemoteCopy(system, {
    ...place,
    patience: { forMs: reconnectSeconds * 1000 },
    onRetry: (retry) => sayAbove(retryText(retry)),
  });
  try {
    history.acceptOlder?.(warnOlder);
    await history.sets(); // compares the newest seals with this machine's memory
    const wanted = { client, as: copyAs ?? client };
    return { results: [told(options, wanted, await copyOne(wanted, feed))], status: 0 };
  } finally {
    history.close();
  }
}

/** Prints the result of a client, unless all are printed at the end. */
function told({ copyTo: to, json }: Options, wanted: WantedCopy, result: CopyResult): Shown {
  if (result.lostVersions > 0) donePartly();
  if (!json) copyLines(wanted, byteText(to!), result).forEach(print);
  return { ...wanted, ...result };
}
