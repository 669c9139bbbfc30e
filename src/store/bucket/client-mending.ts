/**
 * Makes the object of a client again that its bucket has lost or damaged. This machine's files of the client are used
 * if the commits in the bucket are of that client. Otherwise the commits show its id, and the key records in the bucket
 * show its keys. If there is no key record, the new object still requires keys. So nobody can use the client
 * unencrypted, or without a password, because its keys were deleted.
 */
import path from 'node:path';
import { asTardisError, TardisError } from '../../errors/index.js';
import { Scheme } from '../../model/index.js';
import { readStart, type System } from '../../system/index.js';
import {
  type ClientFormat,
  formatBytes,
  type NeededKeys,
  parseFormat,
} from '../layout/format-file.js';
import {
  keyNumberIn,
  lostKeys,
  MAX_KEY_FILE_BYTES,
  neededBy,
  newestKeys,
  type StoredKeys,
} from '../client/key-files.js';
import { FORMAT_FILE, keyFileName, keyFileNumber, KEYS_DIRECTORY } from '../layout/layout.js';
import { type ObjectStore, sourceOfBytes } from '../objects/index.js';
import { readLabel } from '../packs/pack-label.js';
import type { BucketAccess } from '../client/bucket-access.js';
import { type ClientFiles, objectOfFiles, readClientFiles } from './client-files.js';
import { formatHere } from './client-object.js';
import { MAX_COMMIT_OBJECT_BYTES, parseCommitObject } from './commit-object.js';
import { mendNotes, nextNoted } from './generation-notes.js';
import { movedTo } from './moved-object.js';
import {
  clientKeysPrefix,
  clientObject,
  clientPrefix,
  commitOf,
  isNextGeneration,
  LOG_PREFIX,
  logPlace,
  MAX_GENERATIONS,
} from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

const MAX_FORMAT_BYTES: number = 64 << 10;
/** Errors of an object that is no commit. */
const DAMAGES: ReadonlySet<string> = new Set(['OBJECT_DAMAGED', 'RECORD_DAMAGED']);

/** Facts that the commits of a generation show. */
interface LogFacts {
  /** Ids of the clients in the labels of whole commits. */
  readonly ids: ReadonlySet<string>;
  readonly isEncrypting: boolean;
  /** The generation that the last object names. */
  readonly next: string | undefined;
}

/**
 * Makes the objects of a client and of its newest generation again if they are lost or damaged, and returns their
 * names. Also makes the notes again that lead to that generation. Does nothing if the bucket has nothing of the client.
 *
 * Throws FORMAT_DAMAGED if the commits in the bucket do not show which client it is, or show another client than the
 * files of this machine. Throws STORE_NEWER for an object of a newer version, and errors of a bucket.
 */
export async function mendClientObjects(
  system: System,
  access: BucketAccess,
  client: string,
): Promise<readonly string[]> {
  const shared = await sharedStore(system, access);
  const { store } = shared;
  if (!(await isAny(store, client))) return [];
  const mending = new Mending(system, {
    store,
    client,
    directory: path.join(access.cache, client),
  });
  const { present, facts } = await mending.newest();
  const mended: string[] = [];
  const mend = async (generation: string | undefined, make: () => Promise<ClientFiles>) => {
    const state = await mending.stateOf(generation);
    if (state === 'whole') return;
    const bytes = objectOfFiles(await make());
    await shared.admit();
    const name = clientObject(client, generation);
    if (state === 'damaged') await store.putAgain(name, sourceOfBytes(bytes));
    else if ((await store.putNew(name, bytes)) === 'exists') return; // another machine has made it meanwhile
    mended.push(name);
  };
  await mend(present, () => mending.filesOf(present, facts));
  if (present !== undefined) await mend(undefined, () => mending.firstOf(present));
  await mendNotes(system, { client, generation: present, bucket: access });
  return mended;
}

class Mending {
  private readonly store: ObjectStore;
  private readonly client: string;
  private readonly directory: string;

  constructor(
    private readonly system: System,
    { store, client, directory }: { store: ObjectStore; client: string; directory: string },
  ) {
    this.store = store;
    this.client = client;
    this.directory = directory;
  }

  /**
   * Returns the newest generation (undefined: the first one), and the facts that its commits show. Throws
   * FORMAT_DAMAGED if there are too many generations.
   */
  async newest(): Promise<{ readonly present: string | undefined; readonly facts: LogFacts }> {
    const { store, client } = this;
    let present = formatHere(this.system, this.directory)?.generation;
    for (let made = 0; made < MAX_GENERATIONS; made += 1) {
      const noted = await nextNoted(store, client, present);
      const facts = noted === undefined ? await this.factsOf(present) : undefined;
      const next = noted ?? facts?.next;
      if (facts !== undefined && (next === undefined || !isNextGeneration(next, present)))
        return { present, facts };
      present = next;
    }
    throw this.damaged(`has more than ${MAX_GENERATIONS} generations`);
  }

  async stateOf(generation: string | undefined): Promise<'whole' | 'damaged' | 'missing'> {
    try {
      const files = await readClientFiles(this.store, this.client, generation);
      return files === undefined ? 'missing' : 'whole';
    } catch (error) {
      if (asTardisError(error).code !== 'FORMAT_DAMAGED') throw error;
      return 'damaged';
    }
  }

  /**
   * Returns the files of a generation, from this machine or from the other objects. Throws FORMAT_DAMAGED if the
   * commits do not show one client, or show another client than the files of this machine.
   */
  async filesOf(generation: string | undefined, facts: LogFacts): Promise<ClientFiles> {
    const { system, directory } = this;
    const here = formatHere(system, directory);
    const known = here?.generation === generation ? here : undefined;
    if (known !== undefined && facts.ids.size > 0 && !facts.ids.has(known.clientId)) {
      throw this.damaged(
        'is lost, and its commits are of another client than the files of this machine',
      );
    }
    const ownKeys = known === undefined ? undefined : this.wholeKeysHere();
    const keys = ownKeys ?? (await this.keysInBucket(generation));
    const format =
      known === undefined
        ? formatBytes({ ...this.formatFrom(facts, keys), ...(generation && { generation }) })
        : readStart(system.files, path.join(directory, FORMAT_FILE), MAX_FORMAT_BYTES)!;
    const files = new Map<string, Buffer>();
    if (keys !== undefined)
      files.set(path.join(KEYS_DIRECTORY, keyFileName(keys.number)), keys.bytes);
    return files.set(FORMAT_FILE, format);
  }

  /**
   * Returns the files of the first generation, which only leads to the present one. Its keys are not brought back.
   * Throws FORMAT_DAMAGED if the object of the present generation is missing.
   */
  async firstOf(present: string): Promise<ClientFiles> {
    const files = await readClientFiles(this.store, this.client, present);
    if (files === undefined) throw this.damaged('was deleted meanwhile');
    const { clientId, keys } = parseFormat(files.get(FORMAT_FILE)!.toString('utf8'), FORMAT_FILE);
    return new Map([[FORMAT_FILE, formatBytes({ clientId, keys })]]);
  }

  private formatFrom(
    { ids, isEncrypting }: LogFacts,
    keys: StoredKeys | undefined,
  ): Pick<ClientFormat, 'clientId' | 'keys'> {
    const [clientId, other] = ids;
    if (clientId === undefined) throw this.damaged('is lost, and no whole commit shows its id');
    if (other !== undefined) {
      throw this.damaged('is lost, and there are commits of different clients in its log');
    }
    // Nothing shows that the client had no password, so one must be set again.
    const lost: NeededKeys = isEncrypting ? 'encryption' : 'password';
    const needed = isEncrypting || keys === undefined ? lost : neededBy(keys);
    return { clientId, keys: needed };
  }

  /** Returns the key record that this machine has; undefined if it has none, or only a damaged one. */
  private wholeKeysHere(): StoredKeys | undefined {
    const { system, directory } = this;
    if (lostKeys(system, directory) !== 'none') return undefined;
    const keys = newestKeys(system, directory);
    return keys !== undefined && keyNumberIn(keys.bytes) === keys.number ? keys : undefined;
  }

  /**
   * Returns the key record with the highest number in the bucket, even if it is damaged: an older record must not count
   * again. Returns undefined if the bucket has none.
   */
  private async keysInBucket(generation: string | undefined): Promise<StoredKeys | undefined> {
    const { store, client } = this;
    const prefix = clientKeysPrefix(client, generation);
    let place = 0;
    for await (const name of store.list(prefix)) {
      place = Math.max(place, keyFileNumber(name.slice(prefix.length)) ?? 0);
    }
    if (place === 0) return undefined;
    const name = prefix + keyFileName(place);
    const bytes = await this.read(name, MAX_KEY_FILE_BYTES);
    return {
      number: Math.max(place, (bytes && keyNumberIn(bytes)) ?? 0),
      bytes: bytes ?? Buffer.alloc(0),
    };
  }

  private async factsOf(generation: string | undefined): Promise<LogFacts> {
    const { store, client } = this;
    const prefix = logPlace(client, generation);
    const ids = new Set<string>();
    let isEncrypting = false;
    let next: string | undefined;
    for await (const name of store.list(prefix + LOG_PREFIX)) {
      const commit = commitOf(name.slice(prefix.length));
      if (commit === undefined) continue;
      const bytes = await this.read(name, MAX_COMMIT_OBJECT_BYTES);
      next = bytes && movedTo(bytes);
      if (bytes === undefined || next !== undefined) continue;
      try {
        const { records } = parseCommitObject(bytes, commit);
        isEncrypting ||= records.some(({ header }) => header.scheme !== Scheme.plain);
      } catch (error) {
        if (!DAMAGES.has(asTardisError(error).code)) throw error;
        continue; // the rebuild reports it
      }
      const id = readLabel(bytes)?.client;
      if (id !== undefined) ids.add(id);
    }
    return { ids, isEncrypting, next };
  }

  /** Returns the bytes of an object; undefined if it is missing or damaged. */
  private async read(name: string, maxBytes: number): Promise<Buffer | undefined> {
    return this.store.readWhole(name, maxBytes).catch((error: unknown) => {
      if (!DAMAGES.has(asTardisError(error).code)) throw error;
      return undefined;
    });
  }

  private damaged(what: string): TardisError {
    const name = clientObject(this.client);
    return new TardisError('FORMAT_DAMAGED', `the object of the client "${this.client}" ${what}`, {
      object: name,
    });
  }
}

async function isAny(store: ObjectStore, client: string): Promise<boolean> {
  for await (const _ of store.list(clientPrefix(client))) return true;
  return false;
}
