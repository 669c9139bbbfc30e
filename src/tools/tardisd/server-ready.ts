/** Prints the address of `tardisd` when it listens, and the commands to type next. */
import os from 'node:os';
import type { Settings } from '../../config/index.js';
import { displayLine, displayText } from '../../model/index.js';
import type { Visit } from '../../server/index.js';
import { bucketAt, listClients, shownStore } from '../../store/index.js';
import {
  absolutePath,
  byteText,
  hostInUrl,
  type SocketAddress,
  type System,
} from '../../system/index.js';
import { print, printJson } from '../output/output.js';
import { newPlace, newPlaceText } from '../opening/local-store.js';
import { shellWord } from '../output/shell-word.js';
import { formatBytes, formatSeconds, formatTime } from '../output/units.js';

/**
 * Prints the address if the server was started by hand on a terminal. A child of `tardis --local` and a server in the
 * background have no output.
 */
export function printReady(
  system: System,
  settings: Settings<'tardisd'>,
  address: SocketAddress,
  isStoreNew: boolean,
): void {
  const directory = byteText(absolutePath(settings.database));
  const store = shownStore(directory);
  const shown =
    address.kind === 'unix' ? address.path : `${hostInUrl(address.host)}:${address.port}`;
  if (settings.json) return printJson({ ready: shown, store, isStoreNew });
  const [place, clients] = [shellWord(store), clientsOf(system, directory)];
  print(`Ready: ${displayLine(shown)}, ${kindOf(settings, address)}, store ${displayLine(store)}.`);
  if (isStoreNew) print(`The store is new: ${newPlaceText(newPlace(directory, directory, []))}.`);
  const known = clients.find((name) => name !== '');
  if (known === undefined && bucketAt(directory) !== undefined) {
    print('No client of the bucket was used here yet. A client creates itself with --create if');
    print('AllowNewHosts is set; `tardis --local --create -D s3://…` creates one, too.');
  } else if (known === undefined) {
    print(
      'There are no clients yet. Create one on this machine, in another terminal (it prompts for a password):',
    );
    print(`  sonic create -D ${place} -C NAME --password`);
  } else print(`\`sonic clients -D ${place}\` lists its clients.`);
  print(
    `Back up from a client's machine:\n  tardis ${wayTo(address, settings).join(' ')} -C ${known ?? 'NAME'} -P ~`,
  );
}

/** Prints a line about a client that has come and gone. */
export function printVisit({ clock }: System, visit: Visit): void {
  const { client, address, receivedBytes, sentBytes, durationMs } = visit;
  const from = address === '' ? 'this machine' : address;
  const bytes = `received ${formatBytes(receivedBytes)}, sent ${formatBytes(sentBytes)}`;
  const time = formatTime(clock.nowMs());
  print(
    `${time}  ${displayText(client)} (${from}): ${workOf(visit)}; ${bytes}, ${formatSeconds(durationMs)}`,
  );
}

const BACKUPS = {
  none: 'no backup',
  failed: 'a backup, which is not complete',
  complete: 'a complete backup',
} as const;

function workOf({ purpose, outcome }: Visit): string {
  if (purpose === 'read') return 'has read';
  return purpose === 'copy' ? 'has copied sets' : BACKUPS[outcome];
}

/** Returns the clients of the store; none if the store does not exist yet. */
function clientsOf(system: System, store: string): string[] {
  return system.files.status(store)?.isDirectory === true ? listClients(system, store) : [];
}

function kindOf({ ssl }: Settings<'tardisd'>, { kind }: SocketAddress): string {
  if (kind === 'unix') return 'a unix socket';
  return ssl === true ? 'TLS' : 'plain TCP';
}

/** Returns the options with which a client connects to the server. */
function wayTo(address: SocketAddress, { ssl }: Settings<'tardisd'>): string[] {
  if (address.kind === 'unix') return ['--server', shellWord(address.path)];
  const isAny = ['', '::', '0.0.0.0'].includes(address.host);
  const host = isAny ? os.hostname() : address.host;
  const port = address.port === USUAL_PORT ? [] : ['--port', String(address.port)];
  return ['--server', host, ...port, ...(ssl === true ? [] : ['--insecure-tcp'])];
}

const USUAL_PORT = 7420;
