/**
 * Prepares a store in a bucket for a command. The command then works with a directory on this machine that stands for
 * the store (the cache). That directory has the catalogs and small files of the clients.
 */
import fs from 'node:fs';
import { createHash } from 'node:crypto';
import {
  configInvalid,
  isSetAbove,
  parsePlace,
  type SettingsNamed,
  type Sourced,
  type Tool,
} from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import { SKIP_FILE_NAME } from '../../excludes/index.js';
import { displayLine, displayName } from '../../model/index.js';
import { type BucketAccess, useBucket } from '../../store/index.js';
import { addressOf, shownBucket } from '../../store/objects/index.js';
import { byteText, cachePath, processEnvironment, readSmallFile } from '../../system/index.js';
import { type BucketChoice, noteBucket } from './bucket-settings.js';

const MAX_CA_BYTES = 1 << 20;

/** `repair` is true for a check that repairs, which must also work if commits are damaged. */
type ClientChoice = Sourced &
  Partial<SettingsNamed<'client' | 'catalogFile' | 'throughServer' | 'allClients' | 'repair'>>;

const DIGITS = 32;
/** Commands that fetch their clients themselves while they run, or whose server fetches them. */
const FETCHING: readonly Tool[] = [
  'tardis',
  'tardisd',
  'tardisfs',
  'tardis-web',
  'tardisremote',
  'sonic rebuild',
  'sonic create',
];
/** Commands that need the small files of a client, but no up-to-date catalog. */
const FETCHING_FILES: readonly Tool[] = ['sonic upgrade'];
/** Maximum time for which these commands repeat a request, since somebody waits for the answer. */
const ANSWER_PATIENCE_MS = 10_000;
/** Commands whose answer may be that the bucket is away. */
const ANSWERING: readonly Tool[] = ['tardisremote', 'sonic status'];

/** Returns the access to the bucket that the settings name. Throws CONFIG_INVALID. */
function accessOf(settings: BucketChoice, patienceMs?: number): BucketAccess {
  const { database, endpoint, region, addressing, bucketCa, singleWriter, lockDays } = settings;
  const place = parsePlace(byteText(database), '-D/--database');
  if (place.kind !== 'bucket') throw new Error('the store is no bucket');
  const authorities = bucketCa === undefined ? undefined : authoritiesIn(bucketCa);
  const own = { endpoint, region, addressing, authorities };
  const address = addressOf(place, own, processEnvironment());
  const name = createHash('sha256').update(address).digest('hex').slice(0, DIGITS);
  const cache = cachePath('buckets', name);
  return {
    shown: shownBucket(place),
    address,
    cache,
    place,
    settings: {
      ...own,
      isSingleWriter: singleWriter,
      lockDays,
      parityPercent: settings.parityPercent ?? 0,
      ...(patienceMs === undefined ? {} : { patienceMs }),
    },
  };
}

/**
 * Makes this process use the bucket that the settings name, and returns the directory that stands for it. If the
 * command reads a client once, brings the client's catalog up to date. Throws CONFIG_INVALID, NO_SUCH_CLIENT,
 * STORE_NOT_WRITABLE, and errors of a bucket.
 */
export async function enterBucket(
  tool: Tool,
  settings: BucketChoice & ClientChoice,
): Promise<Buffer> {
  const access = accessOf(settings, ANSWERING.includes(tool) ? ANSWER_PATIENCE_MS : undefined);
  const cache = Buffer.from(access.cache);
  const { catalogFile } = settings;
  useBucket(access, async (client) => {
    const { followAgain } = await import('./follow-bucket.js'); // only readers need it
    await followAgain(access, client, catalogFile);
  });
  noteBucket(settings);
  const isElsewhere =
    settings.throughServer !== undefined || isSetAbove(settings, 'server', 'database');
  if (tool !== 'tardisd' && isElsewhere) return cache;
  makeCache(access);
  if (FETCHING.includes(tool)) return cache;
  const { client, allClients, repair } = settings;
  if (client === undefined || repair === true) return cache;
  const { fetchFiles, fetchHistory, fetchHistories } = await import('./fetch-bucket.js'); // only readers need a catalog here
  if (FETCHING_FILES.includes(tool)) await fetchFiles(access, client);
  else if (tool === 'sonic clients' || allClients === true)
    await fetchHistories(access, catalogFile);
  else await fetchHistory(access, client, catalogFile);
  return cache;
}

/** Makes this process use a second bucket, which a command writes to, and returns the directory that stands for it. */
export function enterTarget(settings: BucketChoice): Buffer {
  const access = accessOf(settings);
  useBucket(access);
  makeCache(access);
  return Buffer.from(access.cache);
}

/** Creates the cache, with a file that excludes it from backups. */
function makeCache({ cache }: BucketAccess): void {
  try {
    fs.mkdirSync(cache, { recursive: true, mode: 0o700 });
    const mark = `${cache}/${SKIP_FILE_NAME}`;
    if (!fs.existsSync(mark)) fs.writeFileSync(mark, '');
  } catch (error) {
    throw failedTo(`create the cache ${displayLine(cache)}`, error, 'useCache');
  }
}

/** Returns the certificates in a file. Throws CONFIG_INVALID. */
export function authoritiesIn(file: Buffer): Buffer {
  const shown = `${displayName(file)} (--bucket-ca)`;
  try {
    const bytes = readSmallFile(file, MAX_CA_BYTES);
    if (bytes.includes('-----BEGIN CERTIFICATE-----')) return bytes;
  } catch (error) {
    throw failedTo(`read ${shown}`, error, 'useNamedFile');
  }
  throw configInvalid(`${shown} has no certificate as text (PEM)`);
}
