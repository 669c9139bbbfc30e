/** Implements `sonic copy`: copies clients of a store or of a server to another store, and brings earlier copies up to date. */
import { isBucketText, type Settings } from '../../config/index.js';
import { asTardisError, refuse, toWire } from '../../errors/index.js';
import type { CopyFeed, Creation } from '../../maintenance/rewrite/index.js';
import { displayText } from '../../model/index.js';
import { closeSharedStores, listClients } from '../../store/index.js';
import { byteText, type System } from '../../system/index.js';
import { warnOlder } from '../opening/history.js';
import { clientPlace, storeSystem } from '../opening/local-store.js';
import { compareShown } from '../opening/rollback.js';
import { remotePlace, requireNoWeb } from '../opening/server.js';
import { donePartly } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { printAbove } from '../output/progress-line.js';
import {
  type Copied,
  copyLines,
  copyOut,
  copyTo,
  enterCopyTarget,
  isTargetStore,
  type RequestedCopy,
  retrying,
} from '../shared/client-copy.js';
import { interruptSignal } from '../shared/signals.js';

type Options = Settings<'sonic copy'>;

/** The result of one client, for --json. */
type Shown = RequestedCopy & (Copied | { readonly error: ReturnType<typeof toWire> });

export async function copy(options: Options): Promise<number> {
  requireWords(options);
  const system = storeSystem(options.umask);
  const signal = interruptSignal('sonic copy', 'the same command continues it');
  const work: Work = { system, options, signal };
  const { copyTo: to, copyToServer: toServer, throughServer } = options;
  const target = to && (await enterCopyTarget(options, to));
  const creation = target && (await creationOf(work, target));
  const choice = { ...options, skipFile: options.storeSkipFile };
  const sources = throughServer === undefined ? [options.database] : [];
  const copyOne: CopyOne = (requested, feed) =>
    target === undefined
      ? copyOut(system, options, { ...requested, host: toServer!, signal, feed })
      : copyTo(system, choice, {
          ...requested,
          to: target,
          signal,
          creation: creation!,
          sources,
          ...(feed && { feed }),
        });
  const shown =
    throughServer === undefined
      ? await copyHere(work, copyOne)
      : await copyThere(work, throughServer, copyOne);
  if (to !== undefined && isBucketText(byteText(to))) await closeSharedStores();
  if (options.json) {
    printJson({ to: shownTarget(options), clients: shown.results });
  }
  return shown.status;
}

interface Work {
  readonly system: System;
  readonly options: Options;
  readonly signal: AbortSignal;
}

type CopyOne = (requested: RequestedCopy, feed?: CopyFeed) => Promise<Copied>;

interface Results {
  readonly results: readonly Shown[];
  readonly status: number;
}

/**
 * Returns how copies begin. A copy of one client is created with --create only. Copies of all clients include those
 * that are new, as soon as the target is a store.
 */
async function creationOf({ system, options }: Work, target: Buffer): Promise<Creation> {
  const { create, allClients } = options;
  if (!allClients) return create ? 'new' : 'no';
  const isThere = await isTargetStore(system, target);
  if (create && isThere) {
    const why = 'it would hide that a disk is not mounted';
    printAbove(
      `sonic copy: ${shownTarget(options)} is a store already: omit --create, since ${why}`,
    );
  }
  return create || isThere ? 'missing' : 'no';
}

/** Throws USAGE for options that exclude each other. */
function requireWords(options: Options): void {
  const { copyTo: to, copyToServer: toServer, copyAs, allClients, throughServer } = options;
  if (to === undefined && toServer === undefined) {
    refuse('give the store to copy to: --to DIR, or --to-server HOST');
  }
  if (to !== undefined && toServer !== undefined) refuse('give --to or --to-server, not both');
  if (allClients && copyAs !== undefined) {
    refuse('--as names one client: it cannot be used with --all');
  }
  if (allClients && (throughServer ?? toServer) !== undefined) {
    refuse('each client of a server has a login of its own: name one with -C, not --all');
  }
  if (options.copyDeletes && toServer !== undefined) {
    refuse('a server deletes sets by its own rules: run `sonic purge --server`, without --delete');
  }
}

/** Returns the target in the form in which the user named it. */
function shownTarget({ copyTo: to, copyToServer: toServer }: Options): string {
  return to === undefined ? toServer! : byteText(to);
}

/**
 * Copies one client, or all clients, of a store that this machine opens. If one of several fails, the others are still
 * copied.
 */
async function copyHere({ system, options }: Work, copyOne: CopyOne): Promise<Results> {
  const { client, copyAs, allClients } = options;
  const { store } = clientPlace(options);
  const clients: RequestedCopy[] = allClients
    ? listClients(system, store).map((name) => ({ client: name, as: name }))
    : [{ client, as: copyAs ?? client }];
  const results: Shown[] = [];
  let status = 0;
  for (const requested of clients) {
    try {
      compareShown(system, { ...options, client: requested.client });
      results.push(shownResult(options, requested, await copyOne(requested)));
    } catch (error) {
      const failure = asTardisError(error, `copying the client "${requested.client}"`);
      if (!allClients || failure.code === 'INTERRUPTED' || failure.code === 'INTERNAL') throw error;
      const text = displayText(failure.message);
      printAbove(`the client "${requested.client}" was not copied: ${text} [${failure.code}]`);
      results.push({ ...requested, error: toWire(failure) });
      status = Math.max(status, failure.row.exitStatus);
    }
  }
  return { results, status };
}

/** Copies a client of a server. */
async function copyThere(
  { system, options }: Work,
  host: string,
  copyOne: CopyOne,
): Promise<Results> {
  const { client, copyAs } = options;
  requireNoWeb(host);
  const place = await remotePlace(host, options);
  const { openRemoteCopy } = await import('../../remote/index.js'); // most runs need no connection
  const { feed, history: opened } = await openRemoteCopy(system, {
    ...place,
    ...retrying(options),
  });
  using history = opened;
  history.acceptOlder?.(warnOlder);
  await history.sets(); // compares the newest seals with this machine's memory
  const requested = { client, as: copyAs ?? client };
  return { results: [shownResult(options, requested, await copyOne(requested, feed))], status: 0 };
}

/**
 * Prints the result of a copied client; with --json, it is printed later with all others. Returns the result for
 * --json.
 */
function shownResult(options: Options, requested: RequestedCopy, result: Copied): Shown {
  if (result.lostVersions > 0) donePartly();
  if (!options.json) copyLines(requested, shownTarget(options), result).forEach(print);
  return { ...requested, ...result };
}
