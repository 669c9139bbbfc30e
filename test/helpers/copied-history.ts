/** Copies a client of a lab from its server to another store, in this process. */
import path from 'node:path';
import type { History } from '../../src/history/index.js';
import { openRemoteCopy, type RemotePlace } from '../../src/history/remote/index.js';
import {
  copyClient,
  type CopyFeed,
  type CopyProgress,
  type CopyResult,
  FarSource,
} from '../../src/maintenance/rewrite/index.js';
import type { System } from '../../src/system/index.js';
import { type HistoryLab, openHere } from './history-lab.js';
import { inlineSystem, type Place, SMALL_STORE } from './inline.js';
import { PASSWORD } from './rekeys.js';

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
    return await copyClient(system, {
      source: new FarSource(system, wrap(feed), signal, onPiece),
      target: { store, client, catalogFile: 'tardis.db' },
      limits: SMALL_STORE.store,
      deletes,
      wasteRatio: 1,
      signal,
      onProgress,
    });
  } finally {
    history.close();
  }
}

/** Copies the client of a lab from its server to a directory, and opens the copy. */
export async function openCopied(lab: HistoryLab, client: string): Promise<History> {
  const place = { store: path.join(lab.home, 'copied'), client };
  await copyFromServer(lab.daemon.address, place);
  return openHere({ ...lab, place }, client);
}
