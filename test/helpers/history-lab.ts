/**
 * A client with a small history of every kind of entry, for tests that ask a reader about it: five complete sets, one
 * that was purged, and one that was broken off.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  Access,
  type History,
  type HistoryEntry,
  openHistoryIn,
  unsealedHistory,
} from '../../src/history/index.js';
import { openRemoteHistory } from '../../src/remote/index.js';
import type { Keyring } from '../../src/crypto/index.js';
import { TardisError } from '../../src/errors/index.js';
import { ContentReader } from '../../src/restore/index.js';
import type { Daemon, StorageHost } from '../../src/server/index.js';
import { changeSetting, markSets } from '../../src/store/writer/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { type Address, nodeSystem } from '../../src/system/index.js';
import type { PlainConfig } from '../../src/model/index.js';
import { configWith } from './client-configs.js';
import { rejectedCode } from './codes.js';
import { keyringOfPlace } from './damage.js';
import {
  backupInline,
  type InlineBackup,
  type InlineServer,
  inlineSystem,
  type Place,
  SMALL_STORE,
  startInline,
} from './inline.js';
import { here } from './kinds.js';
import { giveKeys, PASSWORD } from './rewrites.js';
import { type FileHooks, makeScratch, removeScratch } from './scratch.js';
import { pipedAddress } from './ssh.js';
import { dir, file, hardlink, makeTree, noise, sparse, symlink, text } from './tree.js';
import { deleteInline } from './garbage.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Numbers of the listed sets: complete ones, and one that was broken off. */
export const COMPLETE: readonly number[] = [1, 2, 3, 5, 6];
export const PURGED = 4;
export const BROKEN_OFF = 7;
/** Name of two of the sets. */
export const TWICE = 'twice';
export const CONFIG: PlainConfig = configWith('client = me\n');
export const MANY = 120;
export const ODD_NAMES: readonly Buffer[] = [
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from('new\nline'),
  Buffer.from(' blank '),
  Buffer.from('-dash'),
  Buffer.from('..dots'),
  Buffer.from('héllo wörld ☃'),
  Buffer.from('a\u001b[31mred'),
  Buffer.alloc(255, 'n'),
];

export interface HistoryLab {
  readonly home: string;
  readonly place: Place;
  readonly keyring: Keyring | undefined;
  /** Paths of the two roots. */
  readonly source: string;
  readonly other: string;
  /** Contents of `large` in sets 1 and 2. */
  readonly large: { readonly before: Buffer; readonly after: Buffer };
  readonly sparseBytes: number;
  readonly daemon: Daemon;
}

/** Makes the history, and starts a server of the store. */
export async function makeHistoryLab(isEncrypting: boolean): Promise<HistoryLab> {
  const home = makeScratch();
  const at = (...names: string[]): string => path.join(home, ...names);
  const place = { store: at('store'), client: 'me' };
  const [source, other] = [at('tree'), at('other')];
  const before = noise('large', 1200 * KIB);
  const after = Buffer.from(before);
  noise('change', 3000).copy(after, 500 * KIB);
  makeSources(source, other, before);
  const password = { password: PASSWORD };
  const backup = (options: InlineBackup & InlineServer = {}): Promise<unknown> =>
    backupInline(inlineSystem(), place, [other, source], {
      ...password,
      settings: { sendSignatures: true },
      ...options,
    });
  const write = (name: string, bytes: string | Buffer): void =>
    fs.writeFileSync(at('tree', name), bytes);

  await backupInline(inlineSystem(), place, [other, source], {
    ...(isEncrypting ? password : {}),
    settings: { sendSignatures: true },
    create: true,
    setName: 'first',
    config: CONFIG,
  });
  // Without a password, a client cannot be read over a network.
  if (!isEncrypting) await giveKeys(place, false);
  const keyring = await keyringOfPlace(place);
  write('docs/changes', 'changed in set 2');
  fs.renameSync(at('tree', 'docs', 'old name'), at('tree', 'docs', 'new name'));
  write('large', after);
  await backup({ setName: TWICE });
  fs.renameSync(at('tree', 'moves'), at('tree', 'docs', 'moved'));
  fs.rmSync(at('tree', 'docs', 'deleted'));
  await backup({ setName: TWICE });
  write('only in the purged set', 'gone');
  await backup();
  fs.rmSync(at('tree', 'only in the purged set'));
  write('many/f007', 'changed in set 5');
  fs.renameSync(at('other', 'kept'), at('aside'));
  await backup(); // the root that is suddenly empty is protected, with a note
  fs.renameSync(at('aside'), at('other', 'kept'));
  await backup();
  write('docs/begun', 'in the set that was broken off');
  await breakOff(backup);
  await deleteInline(place, [PURGED]);
  await markAndSet(place, keyring);
  const daemon = await startInline(inlineSystem(), place.store);
  return {
    home,
    place,
    keyring,
    source,
    other,
    large: { before, after },
    sparseBytes: 3 * MIB,
    daemon,
  };
}

function makeSources(source: string, other: string, large: Buffer): void {
  const attributes = here.attributes ? { attributes: { 'user.colour': 'red' } } : {};
  makeTree(other, [file('kept', 'of the other root')]);
  makeTree(source, [
    dir('docs', [
      file('changes', 'as of set 1'),
      file('deleted', 'until set 2', { mode: 0o600 }),
      file('old name', text('renamed', 900)),
      file('attributed', 'x', attributes),
    ]),
    dir('moves', [file('along', text('along', 3000)), dir('deep', [file('er', 'deeper')])]),
    dir(
      'many',
      [...Array(MANY).keys()].map((n) => file(`f${String(n).padStart(3, '0')}`, `${n}`)),
    ),
    dir(
      'odd',
      ODD_NAMES.map((name) => file(name, name)),
    ),
    dir('empty directory'),
    file('empty'),
    file('large', large),
    sparse('sparse', 3 * MIB, [[MIB, noise('data', 8 * KIB)]]),
    symlink('link', 'docs/changes'),
    symlink('nowhere', Buffer.from([0x2f, 0xff])),
    file('one of two', text('linked', 2000)),
    hardlink('other of two', 'one of two'),
  ]);
}

/** Makes a set that ends before it is complete: its server keeps what it has, and fails. */
async function breakOff(backup: (options: InlineServer) => Promise<unknown>): Promise<void> {
  const wrapHost = (host: StorageHost): StorageHost => ({
    open: async (directory, purpose, options, events) => {
      const handle = await host.open(directory, purpose, options, events);
      const post = (...[name, bytes]: Parameters<typeof handle.post>): void => {
        if (name !== 'closeSet') {
          handle.post(name, bytes);
          return;
        }
        const failed = (): void => events.failed(new TardisError('DISK_FULL', 'as the test wants'));
        handle.end().then(failed, failed);
      };
      return { ...handle, post };
    },
    measure: (directory, withEntries) => host.measure(directory, withEntries),
    standing: (directory, withFigures) => host.standing(directory, withFigures),
    collectGarbage: (directory, work) => host.collectGarbage(directory, work),
    halt: () => host.halt(),
    close: () => host.close(),
  });
  const code = await rejectedCode(backup({ wrapHost }));
  if (code !== 'DISK_FULL') throw new Error(`the backup was not broken off: ${code}`);
}

async function markAndSet(place: Place, keyring: Keyring | undefined): Promise<void> {
  const system = inlineSystem();
  const directory = openClientDirectory(system, place);
  const tag = keyring?.names.text('paid') ?? 'paid';
  const change = { addTags: [tag], isLocked: true };
  await markSets(system, directory, SMALL_STORE.store, { sets: [2], change });
  await changeSetting(system, directory, SMALL_STORE.store, { text: 'KeepDaily', value: '7' });
}

export async function removeHistoryLab(lab: HistoryLab): Promise<void> {
  await lab.daemon.stop();
  removeScratch(lab.home);
}

/**
 * Makes a lab before the tests of a file, and removes it after them: what it returns has no properties until then.
 * `serve` starts what serves the lab, and returns what stops it.
 */
export function historyLabFor(
  test: FileHooks,
  isEncrypting: boolean,
  serve: (lab: HistoryLab) => Promise<() => Promise<void>> = async () => async () => undefined,
): HistoryLab {
  const lab = {} as HistoryLab;
  let stop: (() => Promise<void>) | undefined;
  test.before(async () => {
    Object.assign(lab, await makeHistoryLab(isEncrypting));
    stop = await serve(lab);
  });
  test.after.always(async () => {
    await stop?.();
    await removeHistoryLab(lab);
  });
  return lab;
}

/** Opens the store itself, with the client's keys if it encrypts. */
export async function openHere(lab: HistoryLab, client: string): Promise<History> {
  return readerOf(lab, client);
}

/**
 * Returns a reader of the store itself, with the client's keys if it encrypts. `sliceMs` 0 is for a test whose own thread
 * also writes: a read transaction would end only after the writer has waited for it in vain.
 */
export function readerOf(
  lab: Pick<HistoryLab, 'place' | 'keyring'>,
  client: string,
  sliceMs?: number,
): History {
  const system = nodeSystem();
  const directory = openClientDirectory(system, { store: lab.place.store, client });
  const local = openHistoryIn(system, directory, new Access(undefined), sliceMs);
  return lab.keyring === undefined ? local : unsealedHistory(local, lab.keyring, system.native);
}

/** Opens the store through its server. */
export function openThere(lab: HistoryLab, client: string): Promise<History> {
  return openAs(lab.daemon.address, client);
}

/** Opens the store through a server that is started for it, beside the one of the lab. */
export function openPiped(lab: HistoryLab, client: string): Promise<History> {
  return openAs(pipedAddress(lab.place.store), client);
}

/** Opens a client through a server that runs, with the password of the lab. */
export function openAs(address: Address, client: string): Promise<History> {
  const password = Buffer.from(PASSWORD);
  const credentials = { password, ask: async () => password };
  return openRemoteHistory(nodeSystem(), { address, client, credentials });
}

/** Returns the bytes of a file; undefined if they are missing. */
export async function bytesOfEntry(
  history: History,
  entry: HistoryEntry,
): Promise<Buffer | undefined> {
  const [pieces] = await history.locate([entry]);
  if (pieces === undefined) return undefined;
  const reader = new ContentReader(nodeSystem(), history);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of reader.bytes(pieces)) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  } finally {
    reader.close();
  }
}
