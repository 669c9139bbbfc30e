/** Keeps the catalogs of a bucket up to date while a command reads it. */
import type { Found } from '../../config/index.js';
import { followingHistory, type History } from '../../history/index.js';
import { type BucketAccess, bucketAt } from '../../store/index.js';
import type { Following } from '../../store/writer/index.js';
import { byteText, nodeSystem } from '../../system/index.js';
import type { clientPlace } from './local-store.js';
import { isSetAbove } from './precedence.js';
import { sayAbove } from './progress-line.js';

/** Time for which one look counts, for commands that read once. */
const DEFAULT_EVERY_MS = 30_000;
const MS = 1000;

interface FollowSettings {
  readonly database: Buffer;
  readonly catalogFile: string;
  readonly refreshSeconds: number;
}

/** The clients of a bucket in this process, by its cache. */
const known = new Map<string, Promise<Following>>();

/**
 * Returns what keeps the clients of the store up to date; undefined for a store in a directory, or on a server. `tell`
 * prints failures. The caller closes it.
 */
export async function followBucket(
  settings: FollowSettings,
  found: ReadonlyMap<string, Found>,
  tell: (line: string) => void,
): Promise<Following | undefined> {
  const access = bucketAt(byteText(settings.database));
  if (access === undefined || isSetAbove(found, 'server', 'database')) return undefined;
  const { catalogFile, refreshSeconds } = settings;
  return followingAt(access, { catalogFile, everyMs: refreshSeconds * MS, tell });
}

/** Returns the history so that it looks for new commits if an object of a bucket is missing. */
export function followed(history: History, place: ReturnType<typeof clientPlace>): History {
  const { store, client, catalogFile } = place;
  const access = bucketAt(store);
  if (access === undefined) return history;
  const options = { catalogFile, everyMs: DEFAULT_EVERY_MS, tell: sayAbove };
  return followingHistory(history, async () => (await followingAt(access, options)).again(client));
}

function followingAt(
  access: BucketAccess,
  options: { readonly catalogFile: string; readonly everyMs: number; tell(line: string): void },
): Promise<Following> {
  const there = known.get(access.cache);
  if (there !== undefined) return there;
  const opening = open(access, options);
  known.set(access.cache, opening);
  return opening;
}

async function open(
  access: BucketAccess,
  options: { readonly catalogFile: string; readonly everyMs: number; tell(line: string): void },
): Promise<Following> {
  const { CACHE_UMASK, Following: Class } = await import('../../store/writer/index.js'); // directories need none
  return new Class({ ...options, system: nodeSystem(CACHE_UMASK), access });
}
