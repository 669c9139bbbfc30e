/**
 * The store of a command: prepares a bucket, and finds the only client of a store. Errors that come from the choice of
 * the store get a hint.
 */
import {
  isBucket,
  isSetAbove,
  type Settings,
  type Sourced,
  type Tool,
  USER_TOOLS,
} from '../../config/index.js';
import { asTardisError, type ErrorCode, TardisError } from '../../errors/index.js';

/**
 * Runs a tool in its store. If an internal error is explained by wrong values in the catalog, throws CATALOG_DAMAGED
 * instead. An error of a store that nobody has named gets a hint.
 */
export async function inToolStore<T extends Tool>(
  tool: T,
  settings: Settings<T>,
  run: (entered: Settings<T>) => Promise<number | void>,
): Promise<number | void> {
  try {
    const entered = ENTERING.includes(tool) ? settings : await inBucket(tool, settings);
    try {
      return await run(await withOnlyClient(tool, entered));
    } finally {
      if (entered !== settings) await leaveBucket();
    }
  } catch (error) {
    const { code, message, context } = asTardisError(error);
    if (code === 'NO_SUCH_CLIENT' && isPlaceNamed(tool, settings) && isStoreHere(settings)) {
      const { itsClients } = await import('../opening/local-store.js');
      const place = settings as unknown as Parameters<typeof itsClients>[0];
      throw new TardisError(code, message + itsClients(place), context, error);
    }
    if (code !== 'INTERNAL') {
      if (!OF_USUAL_STORE.includes(code) || isPlaceNamed(tool, settings)) throw error;
      const hint = 'no store was named: give -D or --server, or set up backups by `tardis setup`';
      throw new TardisError(code, `${message}; ${hint}`, context, error);
    }
    const { explainBug } = await import('../opening/explain-bug.js'); // loaded only after a bug
    throw explainBug(error, settings);
  }
}

/** Errors of a store that is not there, or is that of the server of this machine. */
const OF_USUAL_STORE: readonly ErrorCode[] = [
  'NO_SUCH_STORE',
  'NO_SUCH_CLIENT',
  'STORE_NOT_READABLE',
];

/** True if a setting names the store, or the server, or if the command has a store of its own. */
function isPlaceNamed(tool: Tool, { sources }: Sourced): boolean {
  const places = (['database', 'server', 'throughServer'] as const).map((name) =>
    sources.get(name),
  );
  const isNamed = places.some((place) => (place?.source ?? 'built-in') !== 'built-in');
  return isNamed || tool === 'tardisd' || tool === 'tardisremote';
}

/**
 * Returns the settings. If the store is a bucket, prepares the bucket, and replaces it in the settings by its local
 * directory. Throws the errors of `enterBucket`.
 */
export async function inBucket<S extends Sourced>(tool: Tool, settings: S): Promise<S> {
  if (!isBucket(settings.sources.get('database'))) return settings;
  const { enterBucket } = await import('../opening/bucket.js'); // most stores are directories
  const chosen = settings as unknown as Parameters<typeof enterBucket>[1];
  return { ...settings, database: await enterBucket(tool, chosen) };
}

/**
 * Commands that do not prepare a bucket at their start. They do not use it as a store, or they prepare it later as
 * another user.
 */
const ENTERING: readonly Tool[] = [
  'sonic bucket',
  'sonic setup',
  'sonic status',
  'tardisd',
  'tardisremote',
];

async function leaveBucket(): Promise<void> {
  const { closeSharedStores } = await import('../../store/index.js');
  await closeSharedStores();
}

/** Commands that read or change a client that exists. */
const OF_A_CLIENT: readonly Tool[] = USER_TOOLS.filter(
  (tool) => tool !== 'sonic create' && tool !== 'sonic setup',
);

/**
 * Returns the settings, with the only client of a store on this machine if nothing names a client and the store has none
 * with the name of this machine.
 */
async function withOnlyClient<T extends Tool>(
  tool: T,
  settings: Settings<T>,
): Promise<Settings<T>> {
  const isNamed = settings.sources.get('client')?.source !== 'built-in';
  if (isNamed || !isStoreHere(settings) || !OF_A_CLIENT.includes(tool)) return settings;
  const { onlyClient } = await import('../opening/local-store.js');
  const client = onlyClient(settings as unknown as Settings<'sonic files'>);
  return client === undefined ? settings : { ...settings, client };
}

/** True if the command uses a store in a directory of this machine, not a server and not a bucket. */
function isStoreHere(settings: Sourced): boolean {
  const place = settings as unknown as Settings<'sonic files'> &
    Settings<'lstardis'> & { readonly local?: boolean };
  if (isBucket(settings.sources.get('database'))) return false;
  const isServed =
    place.local === undefined ? isSetAbove(place, 'server', 'database') : !place.local;
  return place.throughServer === undefined && !isServed;
}
