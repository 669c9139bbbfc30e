/**
 * The two directories of a client that is being rewritten. The second is made beside the first, under a name that no
 * client has, and replaces it in one step. The place of the file generation.json shows the state:
 *
 * - In STORE/.CLIENT.next: the second generation is being made, and the first is unchanged.
 * - In STORE/CLIENT: the two were exchanged, and STORE/.CLIENT.next is the old one, which will be removed.
 * - In neither: STORE/.CLIENT.next was only begun, and contains nothing yet.
 */
import path from 'node:path';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError, recordDamaged, TardisError, usageError } from '../../errors/index.js';
import { jsonFields } from '../../model/index.js';
import {
  addKeys,
  carryRuns,
  type ClientDirectory,
  type ClientLock,
  GENERATION_FILE,
  isNextGeneration,
  keyFileNumber,
  KEYS_DIRECTORY,
  lockByFile,
  MAX_GENERATION_BYTES,
  mediumOf,
  newestKeys,
  PACKS_PREFIX,
  readFormat,
  strangePacks,
  SUB_ACCOUNTS_DIRECTORY,
  type SwitchState,
  unfinishedRewrites,
  writeFormat,
} from '../../store/index.js';
import { StoreWriter } from '../../store/writer/index.js';
import {
  type Files,
  readStart,
  removeTree,
  replaceFile,
  type System,
  writeNew,
  unlinkIfThere,
} from '../../system/index.js';
import { removeMap } from './digest-map.js';

const MARKER_VERSION = 1;
const MAX_COPIED_BYTES = 64 << 10;
/** Maximum depth of directories that are copied: that of accounts/NAME/keys. */
const MAX_COPIED_DEPTH = 3;
/** Size of a pack for a writer that commits without contents; it is larger than any such commit. */
const COMMIT_PACK_BYTES = 1 << 20;

/** Maximum number of files that an error names. */
const MOST_NAMED = 16;

/** Source and keys of a second generation. */
interface Marker {
  /** The id in `format.json`. */
  readonly clientId: string;
  /** Id of the keys of the first generation, in hexadecimal; empty if it has none. */
  readonly from: string;
  /** Id of the keys of the second generation; empty if it has none. */
  readonly to: string;
  /**
   * Digest (`requestsDigest`) of the forget requests whose paths the second generation leaves out; empty if it leaves
   * out nothing.
   */
  readonly without: string;
}

type Stage = 'none' | 'begun' | 'making' | 'switched';

export class Generations {
  /** Directory of the other generation, STORE/.CLIENT.next. */
  second: ClientDirectory;
  private readonly store: string;
  private readonly files: Files;

  constructor(
    private readonly system: System,
    /** Directory of the generation that backups write to and readers read. */
    readonly first: ClientDirectory,
  ) {
    this.files = system.files;
    this.store = path.dirname(first.path);
    if (this.files.isLink(first.path)) {
      throw usageError(`${first.path} is a link: name the client by the directory it leads to`);
    }
    this.second = mediumOf(system, first).second();
  }

  /**
   * Takes a lock that excludes every other rewrite of the client. Releasing the lock deletes its file. Throws
   * CLIENT_BUSY if another process holds the lock.
   */
  async lock(): Promise<ClientLock> {
    const { path: directory, client } = this.second;
    return lockByFile(this.system, `${directory}.lock`, `"${client}" is already being rewritten`);
  }

  /** Returns the stage that an earlier run has reached. Throws RECORD_DAMAGED if a marker is invalid. */
  stage(): Stage {
    const { first, second } = this;
    if (this.readMarker(first) !== undefined) return 'switched';
    if (this.files.status(second.path) === undefined) return 'none';
    if (first.bucket !== undefined) {
      // A run was killed after the switch in the bucket, and before it exchanged the directories. Another command has
      // followed the switch since.
      if (second.generation === first.generation) return 'switched';
      if (!isNextGeneration(second.generation!, first.generation)) return 'begun';
    }
    return this.readMarker(this.second) === undefined ? 'begun' : 'making';
  }

  /**
   * Returns the stage as `stage` does. In a bucket, the stage is also `switched` if objects of a former generation
   * remain, and `begun` instead of `making` if the bucket does not name the second generation as unfinished.
   */
  async state(): Promise<Stage> {
    const stage = this.stage();
    const { system, first, second } = this;
    if (first.bucket === undefined) return stage;
    const hasFormer = stage === 'none' && (await mediumOf(system, first).hasFormer?.()) === true;
    if (stage === 'none') return hasFormer ? 'switched' : 'none';
    const isNoted = async (): Promise<boolean> =>
      (await unfinishedRewrites(system, first)).includes(second.generation!);
    return stage === 'making' && !(await isNoted()) ? 'begun' : stage;
  }

  /** True if another machine builds a second generation in the bucket, or has left one. */
  async isBuiltElsewhere(): Promise<boolean> {
    return (await unfinishedRewrites(this.system, this.first)).length > 0;
  }

  /** Returns the marker of the second generation; undefined if it has none. */
  marker(): Marker | undefined {
    return this.readMarker(this.second);
  }

  /**
   * Begins a second generation with its first key record; durable when the promise resolves. If `keys` is undefined,
   * the client does not encrypt, and gets the present key records at the end. `skipFile` is the name of a file that
   * excludes the client from a backup of the server's machine; it is copied if it exists. `without` is the field of the
   * marker. Throws PACKS_STRANGE if files in `packs` are not packs of this client.
   */
  async begin(keys: Buffer | undefined, skipFile?: string, without = ''): Promise<void> {
    const { files, system, second } = this;
    await requireOwnPacks(system, this.first);
    const medium = mediumOf(system, this.first);
    files.makeDirectory(second.path);
    medium.requireExchange(second);
    if (keys !== undefined) await addKeys(system, second.path, { number: 1, bytes: keys });
    await this.writeSecondFormat(keys !== undefined);
    if ((await medium.noteSecond?.(second)) === true) await writeCommit(system, this.first);
    if (skipFile !== undefined) await this.copySmall(skipFile);
    await files.syncDirectory(second.path); // synced before the marker is written, which implies that these names exist
    await this.writeMarker(this.markerFor(keys, without));
    await files.syncDirectory(this.store);
  }

  private async writeSecondFormat(encrypts: boolean): Promise<void> {
    const { files, second } = this;
    const format = readFormat(files, this.first.path);
    if (format === undefined && !encrypts) return;
    const { clientId = '', keys = 'none' } = format ?? {};
    const { generation } = second;
    await writeFormat(files, second.path, {
      clientId,
      keys: encrypts ? 'encryption' : keys,
      ...(generation === undefined ? {} : { generation }),
    });
  }

  /** Returns the marker of a second generation with this key record. */
  markerFor(keys: Buffer | undefined, without: string): Marker {
    return {
      clientId: this.clientId(),
      from: keysetIn(newestKeys(this.system, this.first.path)?.bytes),
      to: keysetIn(keys),
      without,
    };
  }

  /**
   * Copies the present keys and accounts to a second generation with the same keys. They are durable when the promise
   * resolves.
   */
  async copyKeys(): Promise<void> {
    for (const name of [KEYS_DIRECTORY, SUB_ACCOUNTS_DIRECTORY]) {
      const there = path.join(this.second.path, name);
      if (this.files.status(there) !== undefined) removeTree(this.files, there);
      await this.copyTree(name, 0);
    }
    await this.files.syncDirectory(this.second.path);
  }

  private async copyTree(name: string, depth: number): Promise<void> {
    const { files } = this;
    const from = path.join(this.first.path, name);
    if (depth > MAX_COPIED_DEPTH || files.status(from) === undefined) return;
    const to = path.join(this.second.path, name);
    files.makeDirectory(to, path.basename(to) === path.basename(KEYS_DIRECTORY));
    for (const entry of files.list(from)) {
      const below = path.join(name, entry);
      if (files.status(path.join(from, entry))?.isDirectory === true) {
        await this.copyTree(below, depth + 1);
      } else await this.copySmall(below);
    }
    await files.syncDirectory(to);
  }

  /**
   * Removes a second generation that has no catalog yet. Never throws, since the next run removes anything that is
   * left.
   */
  async removeUnwritten(): Promise<void> {
    try {
      const isWritten = this.files.status(this.second.catalogPath) !== undefined;
      if (!isWritten && this.stage() !== 'switched') await this.removeSecond();
    } catch {
      return; // the failure that ended the run is reported
    }
  }

  /** Returns the size of the second generation on the disk, in bytes. */
  secondBytes(): number {
    return this.sizeOf(this.second.path);
  }

  /** Returns the number of free bytes on the disk of the store. */
  freeBytes(): number {
    return this.files.freeBytes(this.store);
  }

  /**
   * Fetches the keys from the bucket, since another machine may have changed them. The caller must hold the client's
   * lock.
   */
  async refreshKeys(): Promise<void> {
    await mediumOf(this.system, this.first).refreshKeys();
  }

  /**
   * Exchanges the two generations in one step, durable when the promise resolves. The caller holds the locks of both;
   * the lock of the first suffices if no other process uses the second. Throws PACKS_STRANGE if files in `packs` are
   * not packs of this client, and STORE_TAKEN if another machine has written to the client.
   */
  async exchange(state: SwitchState): Promise<void> {
    await requireOwnPacks(this.system, this.first);
    const { system, first, second } = this;
    if (first.bucket === undefined) await carryRuns(system, first, second);
    await mediumOf(system, first).switchTo(second, state);
  }

  /**
   * Removes the old generation, which is at STORE/.CLIENT.next, and then the marker. It may be called again after a
   * crash.
   */
  async removeOld(onRemoved: () => void = () => undefined): Promise<void> {
    const { system, files, first } = this;
    removeMap(system, first.path);
    // In a bucket both generations share a journal, which stays as it is until the switch is made.
    if (first.bucket !== undefined) await carryRuns(system, first, first);
    const { generation } = readFormat(files, first.path) ?? {};
    const present = generation === undefined ? first : { ...first, generation };
    await mediumOf(system, present).removeFormer?.(onRemoved);
    await this.removeDirectory(onRemoved);
    const marker = path.join(this.first.path, GENERATION_FILE);
    if (unlinkIfThere(this.files, marker)) await this.files.syncDirectory(this.first.path);
  }

  /** Removes a second generation that is not in use, with everything in it. */
  async removeSecond(onRemoved: () => void = () => undefined): Promise<void> {
    const { system, first, second } = this;
    const medium = mediumOf(system, first);
    if ((await medium.giveUp?.(second)) === true) await writeCommit(system, first);
    await medium.removeBuilt?.(second, onRemoved);
    await this.removeDirectory(onRemoved);
    this.second = medium.second();
  }

  /** Removes STORE/.CLIENT.next, if it exists. */
  private async removeDirectory(onRemoved: () => void): Promise<void> {
    if (this.files.status(this.second.path) === undefined) return;
    try {
      // The marker is removed first, so that a half-removed generation is not mistaken for one that is being made.
      const marker = path.join(this.second.path, GENERATION_FILE);
      unlinkIfThere(this.files, marker);
      await this.files.syncDirectory(this.second.path);
      removeTree(this.files, this.second.path, onRemoved);
      await this.files.syncDirectory(this.store);
    } catch (error) {
      throw asTardisError(error, `removing ${this.second.path}`, 'writeStore');
    }
  }

  private sizeOf(directory: string): number {
    const { files } = this;
    let bytes = 0;
    for (const name of files.list(directory)) {
      const entry = path.join(directory, name);
      const status = files.isLink(entry) ? undefined : files.status(entry);
      if (status?.isDirectory === true) bytes += this.sizeOf(entry);
      else bytes += status?.sizeBytes ?? 0;
    }
    return bytes;
  }

  private clientId(): string {
    return readFormat(this.files, this.first.path)?.clientId ?? '';
  }

  private async copySmall(name: string): Promise<void> {
    const bytes = this.readSmall(path.join(this.first.path, name));
    if (bytes === undefined) return;
    const isSecret = keyFileNumber(path.basename(name)) !== undefined;
    await writeNew(this.files, path.join(this.second.path, name), bytes, { isSecret });
  }

  private readSmall(file: string): Buffer | undefined {
    return readStart(this.files, file, MAX_COPIED_BYTES);
  }

  private readMarker(directory: ClientDirectory): Marker | undefined {
    const file = path.join(directory.path, GENERATION_FILE);
    if ((this.files.status(file)?.sizeBytes ?? 0) > MAX_GENERATION_BYTES) throw badMarker(file);
    const text = this.readSmall(file)?.toString('utf8');
    if (text === undefined) return undefined;
    const marker = jsonFields(text);
    const { version, clientId, from, to, without } = marker;
    if (typeof version === 'number' && version > MARKER_VERSION) {
      throw new TardisError('STORE_NEWER', `${file} has version ${version}`);
    }
    const isWhole =
      version === MARKER_VERSION &&
      typeof clientId === 'string' &&
      typeof from === 'string' &&
      typeof to === 'string' &&
      typeof without === 'string';
    if (!isWhole) throw badMarker(file);
    return { clientId, from, to, without };
  }

  private async writeMarker(marker: Marker): Promise<void> {
    const file = path.join(this.second.path, GENERATION_FILE);
    const text = JSON.stringify({ version: MARKER_VERSION, ...marker });
    await replaceFile(this.files, file, Buffer.from(`${text}\n`));
  }
}

/**
 * Writes a commit without contents. It uses the next number. So another process that deletes data, or switches to a
 * second generation, cannot write the commit that it prepared.
 */
async function writeCommit(system: System, directory: ClientDirectory): Promise<void> {
  const limits = { packBytes: COMMIT_PACK_BYTES, packContentBytes: 0, parityPercent: 0 };
  (await StoreWriter.open(system, directory, limits)).close();
}

/** Returns the id of a key record's keys, in hexadecimal; empty if there is no record. */
function keysetIn(record: Buffer | undefined): string {
  return record === undefined ? '' : parseKeyRecord(record).keysetId.toString('hex');
}

function badMarker(file: string): TardisError {
  return recordDamaged(`${file} makes no sense`);
}

/**
 * Throws PACKS_STRANGE if the directory of packs contains files that are not packs of the client. Does nothing for a
 * client in a bucket.
 */
export async function requireOwnPacks(system: System, directory: ClientDirectory): Promise<void> {
  if (directory.bucket !== undefined) return; // in a bucket only objects with names of the client's packs are removed
  const medium = mediumOf(system, directory);
  using backend = medium.records();
  const found: string[] = [];
  for (const { file } of await strangePacks(backend)) found.push(file);
  for (const { file } of medium.strays()) {
    if (file.startsWith(PACKS_PREFIX)) found.push(file);
  }
  if (found.length === 0) return;
  const more = found.length > MOST_NAMED ? `, and ${found.length - MOST_NAMED} more` : '';
  const names = `${found.slice(0, MOST_NAMED).join(', ')}${more}`;
  const what = `in ${directory.path} lie files that are no packs of "${directory.client}", and would be removed with the old generation`;
  throw new TardisError('PACKS_STRANGE', `${what}: ${names}`);
}
