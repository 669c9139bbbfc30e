/** Copies a client of a lab from its server to another store, in this process. */
import path from 'node:path';
import type { History } from '../../src/history/index.js';
import { copyToServer, openRemoteCopy, type RemotePlace } from '../../src/remote/index.js';
import {
  copyClient,
  type CopyFeed,
  type CopyProgress,
  type CopyResult,
  type CopySource,
  RemoteSource,
  localFeed,
  localSource,
} from '../../src/maintenance/rewrite/index.js';
import type { System } from '../../src/system/index.js';
import { type Look, lookAt } from './damage-look.js';
import { type HistoryLab, makeHistoryLab, openHere, removeHistoryLab } from './history-lab.js';
import { inlineSystem, type Place, SMALL_STORE } from './inline.js';
import { LIGHT } from './light.js';
import { PASSWORD } from './rewrites.js';
import type { FileHooks } from './scratch.js';

export interface CopyOptions {
  readonly system?: System;
  readonly onProgress?: CopyProgress;
  readonly deletes?: boolean;
  readonly signal?: AbortSignal;
  readonly account?: string;
  /** Changes the feed. */
  readonly wrap?: (feed: CopyFeed) => CopyFeed;
  readonly patience?: RemotePlace['patience'];
}

/** A lab, and what its store shows. */
interface SeenLab {
  readonly lab: HistoryLab;
  readonly look: Look;
}

/**
 * Makes a lab that encrypts (`true`) and one that does not, before the tests of a file, and removes them after them. The map
 * is empty until then.
 */
export function seenLabs(test: FileHooks): ReadonlyMap<boolean, SeenLab> {
  const labs = new Map<boolean, SeenLab>();
  test.before(async () => {
    for (const isEncrypting of [false, true]) {
      const lab = await makeHistoryLab(isEncrypting);
      labs.set(isEncrypting, { lab, look: await lookAt(lab.place, lab.keyring) });
    }
  });
  test.after.always(async () => {
    for (const { lab } of labs.values()) await removeHistoryLab(lab);
  });
  return labs;
}

/** Copies the client at an address to a store. Throws the errors of `openRemoteCopy` and `copyClient`. */
export async function copyFromServer(
  address: RemotePlace['address'],
  { client, store }: Place,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { system = inlineSystem(), onProgress = () => undefined, account, patience } = options;
  const { deletes = false, signal = new AbortController().signal, wrap = (feed) => feed } = options;
  const password = Buffer.from(PASSWORD);
  const credentials = { password, account, ask: async () => password };
  const place = { address, client, credentials, ...(patience && { patience }) };
  const { feed, history } = await openRemoteCopy(system, place);
  try {
    const onPiece = (done: number, of: number): void => onProgress('catalog', done, of);
    const source = new RemoteSource(system, wrap(feed), signal, { onPiece });
    return await copyFrom(source, { client, store }, { system, deletes, signal, onProgress });
  } finally {
    history.close();
  }
}

/** Copies a client of a store of this machine to another one, or to the cache of a bucket. */
export function copyHere(from: Place, to: Place, options: CopyOptions = {}): Promise<CopyResult> {
  const source = localSource(inlineSystem(), { ...from, catalogFile: 'tardis.db' });
  return copyFrom(source, to, options);
}

function copyFrom(source: CopySource, to: Place, options: CopyOptions): Promise<CopyResult> {
  const { system = inlineSystem(), onProgress = () => undefined, deletes = false } = options;
  const target = { ...to, catalogFile: 'tardis.db', skipFile: '.tardis-skip' };
  return copyClient(system, {
    source,
    target: { ...target, creation: 'missing' },
    limits: SMALL_STORE.store,
    deletes,
    wasteRatio: 1,
    signal: options.signal ?? new AbortController().signal,
    onProgress,
  });
}

/** Changes a bit of every second answer about an object. */
export function spoilt(feed: CopyFeed): CopyFeed {
  let reads = 0;
  return {
    ...feed,
    objects: {
      ...feed.objects,
      read: async (name, position, target, bytes) => {
        const got = await feed.objects.read(name, position, target, bytes);
        reads += 1;
        if (reads % 2 === 0) target[Math.floor(got / 2)]! ^= 1;
        return got;
      },
    },
  };
}

/** A client of a store, or of a server, that is copied to a server. */
export interface CopyOut {
  /** The store with the client; undefined if it is on the server at `from`. */
  readonly place?: Place;
  readonly from?: RemotePlace['address'];
  readonly to: RemotePlace['address'];
  readonly as?: string;
}

/** Copies a client to a server. Throws the errors of `copyToServer`. */
export async function copyOut(
  { place, from, to, as = 'me' }: CopyOut,
  options: CopyOptions & { readonly create?: boolean; readonly password?: string } = {},
): Promise<CopyResult> {
  const { system = inlineSystem(), onProgress = () => undefined, account, patience } = options;
  const { signal = new AbortController().signal, wrap = (feed) => feed, create = false } = options;
  const password = Buffer.from(options.password ?? PASSWORD);
  const credentials = { password, ask: async () => password, stretch: LIGHT };
  const far =
    from === undefined
      ? undefined
      : await openRemoteCopy(system, { address: from, client: 'me', credentials });
  const own =
    place === undefined ? undefined : localFeed(system, { ...place, catalogFile: 'tardis.db' });
  try {
    const target = { address: to, client: as, credentials: { ...credentials, account } };
    const feed = wrap(own ?? far!.feed);
    const order = { feed, create, signal, onProgress };
    return await copyToServer(system, { ...target, ...(patience && { patience }) }, order);
  } finally {
    own?.close();
    far?.history.close();
  }
}

/** Copies the client of a lab from its server to a directory, and opens the copy. */
export async function openCopied(lab: HistoryLab, client: string): Promise<History> {
  const place = { store: path.join(lab.home, 'copied'), client };
  await copyFromServer(lab.daemon.address, place);
  return openHere({ ...lab, place }, client);
}
