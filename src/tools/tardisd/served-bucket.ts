/** Prepares a store in a bucket for a server. It is called after the process has changed to the user of the server. */
import type { Logger } from 'pino';
import { configInvalid, type Settings } from '../../config/index.js';
import type { SharedClients } from '../../server/index.js';
import {
  type BucketAccess,
  bucketAt,
  type Lease,
  liveLeases,
  openClientDirectory,
  removeLease,
  requireAnswer,
  sharedStore,
  shownStore,
  UsedSpace,
  writeLease,
} from '../../store/index.js';
import { Following, isBehind } from '../../store/writer/index.js';
import { byteText, placeIn, type System, type TcpPlace } from '../../system/index.js';
import { displayLine } from '../../model/index.js';
import { enterBucket } from '../opening/bucket.js';
import type { ServedBucket } from './served-store.js';

/**
 * Minimum time between two checks of one client for new commits, and between two fetches of its small files for
 * requests without a login.
 */
const LOOK_EVERY_MS = 2000;
/**
 * Maximum time for which requests to the bucket are retried before a session begins, since a client waits for an
 * answer. Requests of sessions are retried for longer.
 */
const ANSWER_PATIENCE_MS = 10_000;

/**
 * Prepares the bucket for use by this process. Also tests if the bucket refuses to overwrite objects (If-None-Match), so
 * that a wrong setting is found at the start. Throws BUCKET_UNSAFE, and errors of a bucket.
 */
export async function serveBucket(
  system: System,
  settings: Settings<'tardisd'>,
  log: Logger,
): Promise<ServedBucket> {
  const database = await enterBucket('tardisd', settings);
  const none = { database, shared: undefined, close: async () => undefined };
  const access = bucketAt(byteText(database));
  if (access === undefined) return none;
  const isSharedThread = settings.storageThreads === 0;
  const impatient = { ...access.settings, patienceMs: ANSWER_PATIENCE_MS };
  // Storage threads open stores of their own, so the store of this thread may give up earlier.
  const first = await sharedStore(
    system,
    isSharedThread ? access : { ...access, settings: impatient },
  );
  await first.admit();
  const { catalogFile } = settings;
  const following = new Following({
    system,
    access,
    catalogFile,
    everyMs: LOOK_EVERY_MS,
    warn: (line) => log.error(line),
  });
  await following.requireBucket();
  log.info({ store: shownStore(access.cache), cache: access.cache }, 'the store is a bucket');
  const used = new UsedSpace(system, access);
  const shared = {
    look: (client: string) => following.look(client),
    lookAccounts: (client: string) => following.lookAccounts(client),
    fetchAccounts: (client: string) => following.fetchAccounts(client),
    fetchAccountFiles: () => following.fetchAccountFiles(),
    usedBytes: (client: string) => used.of(client),
    forgetUsed: (client: string) => used.forget(client),
    fetchNow: (client: string) => following.fetchNow(client),
    refresh: (client: string) => following.refresh(client),
    refreshIfDue: (client: string) => following.refreshIfDue(client),
    again: (client: string) => following.again(client),
    requireBucket: () => requireAnswer(system, access),
    isBehind: (client: string) =>
      isBehind(system, openClientDirectory(system, { store: access.cache, client, catalogFile })),
    ...(settings.singleWriter ? {} : leasesOf(system, access)),
    place: settings.nodeAddress === undefined ? undefined : nodePlace(settings.nodeAddress),
  };
  return { database, shared, close: () => following.close() };
}

/**
 * Returns access to the leases in a bucket: those of other processes, and the lease of this process, which has a unique
 * name.
 */
function leasesOf(system: System, access: BucketAccess): Required<Pick<SharedClients, 'leases'>> {
  const node = system.random.bytes(NODE_BYTES).toString('hex');
  const leases = {
    others: () => liveLeases(system, access, node),
    write: (lease: Omit<Lease, 'node'>) => writeLease(system, access, { ...lease, node }),
    remove: () => removeLease(system, access, node),
  };
  return { leases };
}

const NODE_BYTES = 16;

/** Parses HOST or HOST:PORT. Throws CONFIG_INVALID. */
function nodePlace(text: string): Partial<TcpPlace> {
  const place = placeIn(text);
  if (place === undefined) {
    const shown = displayLine(text);
    throw configInvalid(`NodeAddress is HOST or HOST:PORT, not "${shown}"`);
  }
  const { host, port } = place;
  return { host, ...(port === undefined ? {} : { port }) };
}
