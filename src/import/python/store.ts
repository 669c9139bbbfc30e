/**
 * A client's directory of Tardis (Python), opened for reading. Nothing in it is ever changed. Its owner may be another user: each
 * file is opened below it without following links.
 */
import path from 'node:path';
import { failedTo, TardisError } from '../../errors/index.js';
import {
  readStart,
  sourcePath,
  type SqlDatabase,
  type System,
  textBytes,
} from '../../system/index.js';
import { OriginalCatalog, type OriginalSet, TOP } from './catalog.js';
import { KEYS_OF_CLEAR, openKeys, type SealedKeys, type StoreKeys } from './keys.js';

const CATALOG = 'tardis.db';
const LAYOUT = '.cachedir';
const MAX_LAYOUT_BYTES = 4096;
/** Levels of directories, and characters in the name of each, unless the store has other numbers. */
const LEVELS = 2;
const CHARACTERS = 2;
const MOST_LEVELS = 8;

export interface StoreOptions {
  /** The directory of the client, which has `tardis.db`. */
  readonly directory: string;
  /** Name of the client at the time of the backups; by default, that of the directory. */
  readonly client?: string;
  /** Returns the password. Called only for a store that encrypts. */
  readonly password: () => Promise<Buffer>;
}

/** Where the files of contents are: in directories that are named by the first characters of their names. */
interface Layout {
  readonly directory: string;
  readonly levels: number;
  readonly characters: number;
}

export class OriginalStore implements Disposable {
  private constructor(
    private readonly database: SqlDatabase,
    readonly catalog: OriginalCatalog,
    readonly keys: StoreKeys,
    private readonly layout: Layout,
  ) {}

  /**
   * Opens a store. Throws IMPORT_SOURCE_UNKNOWN if there is none that is known, IMPORT_SOURCE_DAMAGED if its database
   * cannot be read, SOURCE_UNSAFE for links, and LOGIN_FAILED for a wrong password.
   */
  static async open(system: System, options: StoreOptions): Promise<OriginalStore> {
    const directory = sourcePath(textBytes(options.directory));
    const file = path.join(directory, CATALOG);
    if (system.files.status(file)?.isFile !== true) {
      throw new TardisError(
        'IMPORT_SOURCE_UNKNOWN',
        `${directory} is no client of Tardis (Python): it has no ${CATALOG}`,
      );
    }
    let database: SqlDatabase | undefined;
    try {
      database = system.openDatabase(file, { readonly: true });
      const catalog = new OriginalCatalog(database);
      const keys = await keysOf(catalog, options);
      return new OriginalStore(database, catalog, keys, layoutOf(system, directory));
    } catch (error) {
      database?.close();
      if (isForeign(error)) {
        throw new TardisError(
          'IMPORT_SOURCE_DAMAGED',
          `${file} is no sound database of Tardis (Python)`,
          {},
          error,
        );
      }
      throw failedTo(`read ${file}`, error, 'readStore');
    }
  }

  /** Returns the tags of a set. Some releases do not encrypt them. */
  tagsOf({ tags }: OriginalSet): string[] {
    return tags.map((tag) => (this.keys.name(tag) ?? tag).toString('utf8'));
  }

  /** Returns the path of a stored content, whose name was checked. */
  contentPath(checksum: string): string {
    const { directory, levels, characters } = this.layout;
    const parts = Array.from({ length: levels }, (_, level) =>
      checksum.slice(level * characters, (level + 1) * characters),
    );
    return path.join(directory, ...parts, checksum);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}

function isForeign(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    /^SQLITE_(ERROR|CORRUPT|NOTADB)/.test(String(error.code))
  );
}

async function keysOf(catalog: OriginalCatalog, options: StoreOptions): Promise<StoreKeys> {
  const sealed = sealedKeys(catalog);
  if (sealed === undefined) return KEYS_OF_CLEAR;
  const client = options.client ?? path.basename(path.resolve(options.directory));
  const newest = catalog.sets().at(-1)?.number ?? 0;
  const roots = catalog.entries(TOP, newest);
  const looksRight = (keys: StoreKeys): boolean =>
    roots.every(({ name }) => {
      const plain = keys.name(name);
      return plain !== undefined && isText(plain);
    });
  return openKeys(sealed, await options.password(), client, looksRight);
}

/** Returns the encrypted keys; undefined if the store does not encrypt, even if it has a password. */
function sealedKeys(catalog: OriginalCatalog): SealedKeys | undefined {
  const contentKey = catalog.config('ContentKey');
  const nameKey = catalog.config('FilenameKey');
  const scheme = catalog.config('CryptoScheme');
  if (contentKey !== undefined && nameKey !== undefined) {
    return { scheme: Number(scheme ?? 1), contentKey, nameKey };
  }
  if (scheme === undefined || scheme === '0') return undefined;
  throw new TardisError(
    'IMPORT_SOURCE_UNKNOWN',
    'the store encrypts, and its keys are in a file elsewhere',
  );
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes) && !bytes.includes(0);
}

/** Returns how the files of contents are distributed among directories. */
function layoutOf(system: System, directory: string): Layout {
  const file = path.join(directory, LAYOUT);
  const text =
    system.files.status(file)?.isFile === true
      ? readStart(system.files, file, MAX_LAYOUT_BYTES)
      : undefined;
  const numberOf = (key: string, otherwise: number): number => {
    const values = [
      ...(text?.toString('latin1') ?? '').matchAll(
        new RegExp(`^${key}\\s*[=:]\\s*(\\d+)\\s*$`, 'gm'),
      ),
    ];
    const value = Number(values.at(-1)?.[1] ?? otherwise);
    return value >= 1 && value <= MOST_LEVELS ? value : otherwise;
  };
  return {
    directory,
    levels: numberOf('parts', LEVELS),
    characters: numberOf('partsize', CHARACTERS),
  };
}
