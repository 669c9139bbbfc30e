/** Keeps the catalogs of a bucket up to date while a command reads it. */
import { defaultOf, isSetAbove, type SettingsNamed, type Sourced } from '../../config/index.js';
import { type BucketAccess, bucketAt } from '../../store/index.js';
import type { Following } from '../../store/writer/index.js';
import { byteText, nodeSystem } from '../../system/index.js';
import { printAbove } from '../output/progress-line.js';

/** Minimum time between two checks for new commits, for commands that read once. */
const DEFAULT_EVERY_MS = 30_000;
const MS = 1000;

type FollowSettings = Sourced & SettingsNamed<'database' | 'catalogFile' | 'refreshSeconds'>;

/** The `Following` objects of the buckets that this process uses, by the cache of the bucket. */
const known = new Map<string, Promise<Following>>();

/**
 * Returns an object that keeps the clients of a store in a bucket up to date. Returns undefined for a store in a
 * directory or on a server. `warn` prints failures. The caller closes the result.
 */
export async function followBucket(
  settings: FollowSettings,
  warn: (line: string) => void,
): Promise<Following | undefined> {
  const access = bucketAt(byteText(settings.database));
  if (access === undefined || isSetAbove(settings, 'server', 'database')) return undefined;
  const { catalogFile, refreshSeconds } = settings;
  return followingAt(access, { catalogFile, everyMs: refreshSeconds * MS, warn });
}

/** Reads the newer commits of a client, after an object of the bucket was missing. Throws errors of the bucket. */
export async function followAgain(
  access: BucketAccess,
  client: string,
  catalogFile: string = defaultOf('catalogFile'),
): Promise<void> {
  const options = { catalogFile, everyMs: DEFAULT_EVERY_MS, warn: printAbove };
  await (await followingAt(access, options)).again(client);
}

function followingAt(
  access: BucketAccess,
  options: { readonly catalogFile: string; readonly everyMs: number; warn(line: string): void },
): Promise<Following> {
  const opened = known.get(access.cache) ?? open();
  known.set(access.cache, opened);
  return opened;
  async function open(): Promise<Following> {
    const { CACHE_UMASK, Following: Class } = await import('../../store/writer/index.js'); // directories need none
    return new Class({ ...options, system: nodeSystem(CACHE_UMASK), access });
  }
}
