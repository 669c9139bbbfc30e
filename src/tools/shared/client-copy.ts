/** Copies a client to another store, for `sonic copy` and for backups to several stores. */
import path from 'node:path';
import { isBucketText, type SettingsNamed } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import {
  copyClient,
  type CopyFeed,
  type CopyProgress,
  type CopyResult,
  type CopySource,
  type Creation,
  RemoteSource,
  localFeed,
  localSource,
} from '../../maintenance/rewrite/index.js';
import { displayText } from '../../model/index.js';
import type { RemotePlace } from '../../remote/index.js';
import { bucketAt, clientsIn, isClientDirectory, isStore } from '../../store/index.js';
import { byteText, realPathOf, type System, textBytes } from '../../system/index.js';
import type { BucketChoice } from '../opening/bucket-settings.js';
import { refuseInClear } from '../opening/keys.js';
import {
  clientPlace,
  newPlace,
  type NewPlace,
  newPlaceText,
  storeLimits,
  type PlaceSettings,
} from '../opening/local-store.js';
import {
  remotePlace,
  requireNoWeb,
  retryText,
  type ServerLoginSettings,
} from '../opening/server.js';
import { printAbove } from '../output/progress-line.js';
import { withStepProgress } from '../output/step-progress.js';
import { counted, formatBytes } from '../output/units.js';
import { noteNumbers } from './run-facts.js';

const STEPS = {
  catalog: 'fetching the catalog in pieces:',
  contents: 'copying contents',
  sets: 'copying sets:',
  remove: 'freeing the space of deleted sets',
} as const;

/** A client to copy. */
export interface RequestedCopy {
  readonly client: string;
  /** Name of the copy in the target store. */
  readonly as: string;
}

/** Settings of a copy, and the store from which it is made. */
export interface CopyChoice extends BucketChoice {
  readonly client: string;
  readonly catalogFile: string;
  readonly trustStore: boolean;
  /** True to show progress; undefined shows it only on a terminal. */
  readonly progress: boolean | undefined;
  readonly copyDeletes: boolean;
  readonly wastePercent: number;
  /** Name of an empty file by which backups of this machine leave a copy out. */
  readonly skipFile: string;
}

/**
 * Returns the directory of a store to copy to. For a bucket, it is the directory that stands for it. Throws
 * CONFIG_INVALID.
 */
export async function enterCopyTarget(choice: BucketChoice, copyTo: Buffer): Promise<Buffer> {
  if (!isBucketText(byteText(copyTo))) return copyTo;
  const { enterTarget } = await import('../opening/bucket.js'); // most copies go to directories
  return enterTarget({ ...choice, database: copyTo });
}

/** True if the directory or bucket of a copy target is a store that has clients. Throws errors of a bucket. */
export async function isTargetStore(system: System, to: Buffer): Promise<boolean> {
  const store = byteText(to);
  const bucket = bucketAt(store);
  if (bucket === undefined) return isStore(system.files, store);
  return (await clientsIn(system, bucket)).length > 0;
}

/** A client to copy, and its target. */
interface CopyOrder extends RequestedCopy {
  readonly to: Buffer;
  readonly signal: AbortSignal;
  readonly creation: Creation;
  /** Paths of the data that the copy is to survive. */
  readonly sources: readonly Buffer[];
  /** Feed of the client, if it is on a server; undefined if it is in the store of the settings. */
  readonly feed?: CopyFeed;
}

/** The result of a copy, and its place if this run has created it. */
export type Copied = CopyResult & { readonly created?: NewPlace };

/**
 * Brings the copy of a client in the store `to` up to date. The client is in the store of `choice`, or on a server.
 * Throws USAGE if source and target are one directory, ENCRYPTION_GONE, and the errors of `copyClient`.
 */
export async function copyTo(
  system: System,
  choice: CopyChoice,
  { client, as, to, signal, creation, sources, feed }: CopyOrder,
): Promise<Copied> {
  const target = clientPlace({ ...choice, database: to, client: as });
  const here = clientPlace({ ...choice, client });
  if (feed === undefined) requireOther(here, target);
  // A copy is not compared with the age that this machine remembers, since it may be older.
  if (isClientDirectory(system, path.join(target.store, as))) {
    refuseInClear(system, { ...choice, database: to, client: as });
  }
  const work = async (onProgress: CopyProgress): Promise<Copied> => {
    const onPiece = (done: number, of: number): void => onProgress('catalog', done, of);
    const source: CopySource =
      feed === undefined
        ? localSource(system, here)
        : new RemoteSource(system, feed, signal, { onPiece });
    const { isNew, ...result } = await copyClient(system, {
      source,
      target: { ...target, creation, skipFile: choice.skipFile },
      limits: storeLimits(choice),
      deletes: choice.copyDeletes,
      wasteRatio: choice.wastePercent / 100,
      signal,
      onProgress,
    });
    if (!isNew) return result;
    return { ...result, created: newPlace(target.store, path.join(target.store, as), sources) };
  };
  return noted(await withStepProgress(system, choice.progress, STEPS, work));
}

/** Settings of a copy to a server. */
type CopyOutSettings = ServerLoginSettings &
  PlaceSettings &
  SettingsNamed<'create' | 'progress' | 'reconnectSeconds'>;

/**
 * Brings the copy of a client on a server up to date. Without a feed, the client is in the store of the settings. Throws
 * the errors of a login and of `copyToServer`.
 */
export async function copyOut(
  system: System,
  settings: CopyOutSettings,
  {
    client,
    as,
    host,
    signal,
    feed,
  }: RequestedCopy & Pick<CopyOrder, 'signal'> & { host: string; feed?: CopyFeed | undefined },
): Promise<CopyResult> {
  requireNoWeb(host);
  const { create, progress } = settings;
  const place = await remotePlace(host, { ...settings, client: as, account: undefined }, create);
  const { copyToServer } = await import('../../remote/index.js'); // most runs need no connection
  using own =
    feed === undefined ? localFeed(system, clientPlace({ ...settings, client })) : undefined;
  const copied = await withStepProgress(system, progress, STEPS, (onProgress) =>
    copyToServer(
      system,
      { ...place, ...retrying(settings) },
      { feed: feed ?? own!, create, signal, onProgress },
    ),
  );
  return noted(copied);
}

/** Adds what a copy has done to the record of the run. */
function noted(copied: Copied): Copied {
  noteNumbers({ sets: copied.sets.length, bytes: copied.copiedBytes });
  return copied;
}

/** Returns how a lost connection of a copy is replaced. */
export function retrying({
  reconnectSeconds,
}: Pick<CopyOutSettings, 'reconnectSeconds'>): Pick<RemotePlace, 'patience' | 'onRetry'> {
  return {
    patience: { forMs: reconnectSeconds * 1000 },
    onRetry: (retry) => printAbove(retryText(retry)),
  };
}

/** Throws USAGE if the source and the target are one directory. */
function requireOther(
  source: ReturnType<typeof clientPlace>,
  target: ReturnType<typeof clientPlace>,
): void {
  const [from, to] = [source, target].map(({ store, client }) =>
    realPathOf(textBytes(path.join(store, client))),
  );
  if (from === undefined || to === undefined || !from.equals(to)) return;
  throw usageError('the target is the source: give another directory');
}

/** Returns the lines that report a copy. */
export function copyLines({ client, as }: RequestedCopy, to: string, result: Copied): string[] {
  const { sets, leftSet, deleted, copiedBytes, lostVersions, allSets, created, kept } = result;
  const name = as === client ? `"${client}"` : `"${client}" as "${as}"`;
  const amount = `${counted(sets.length, 'set')}, ${formatBytes(copiedBytes)}`;
  const what = sets.length === 0 && copiedBytes === 0 ? 'nothing new' : amount;
  const versions = lostVersions === 1 ? '1 version of a file' : `${lostVersions} versions of files`;
  return [
    `${name} to ${displayText(to)}: ${what}; the copy has ${counted(allSets, 'set')}.`,
    ...(created === undefined ? [] : [`The copy is new: ${newPlaceText(created)}.`]),
    ...(kept === undefined
      ? []
      : [`The copy continues another store than before${keptText(kept)}`]),
    ...(deleted.length === 0
      ? []
      : [`${counted(deleted.length, 'set')} deleted: ${deleted.join(', ')}.`]),
    ...(leftSet === undefined
      ? []
      : [`Set ${leftSet} is not complete yet, and is left for the next run.`]),
    ...(lostVersions === 0 ? [] : [`The contents of ${versions} are damaged or missing.`]),
  ];
}

function keptText(kept: readonly number[]): string {
  if (kept.length === 0) return ', which has all its sets.';
  return `. It keeps what this one lacks (${counted(kept.length, 'set')}): ${kept.join(', ')}`;
}
