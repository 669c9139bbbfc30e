/**
 * The medium of a client whose records lie in an object store. The client's directory on this machine has its catalog,
 * which is a cache here, and data that is not sent yet. Its lock excludes other processes of this machine; processes
 * of other machines are excluded by the log itself.
 */
import path from 'node:path';
import { configInvalid } from '../../config/index.js';
import type { System } from '../../system/index.js';
import type { Backend } from '../backends/backend.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import { catalogFileOf, catalogOf, type ClientDirectory } from '../client/client-directory.js';
import { DirectoryMedium } from '../client/directory-medium.js';
import { readFormat } from '../layout/format-file.js';
import { newestKeys } from '../client/key-files.js';
import type { ClientMedium, SwitchState, WriterStart } from '../client/medium.js';
import { WRITER_ID_BYTES } from '../packs/heads.js';
import type { RecordWriter } from '../packs/record-writer.js';
import type { BucketAccess } from '../client/bucket-access.js';
import { clientBytes, fetchClient } from './client-object.js';
import { GenerationObjects, unfinishedRewrites } from './generation-objects.js';
import { LogBackend } from './log-backend.js';
import { LogWriter } from './log-writer.js';
import { clientObject, generationAfter, logPlace } from '../layout/bucket-names.js';
import { ParityMaker } from './parity-maker.js';
import { sharedStore } from './shared-stores.js';

const GENERATION_BYTES = 8;

export class BucketMedium extends DirectoryMedium implements ClientMedium {
  /** Generations whose rewrites were discarded here. */
  private givenUp: readonly string[] = [];

  constructor(
    system: System,
    directory: ClientDirectory,
    private readonly access: BucketAccess,
  ) {
    super(system, directory);
  }

  override records(): LogBackend {
    const { system, access, directory } = this;
    const staging = new DirectoryBackend(directory.path, system.files);
    const open = async () => (await sharedStore(system, access)).store;
    return new LogBackend(open, logPlace(directory.client, directory.generation), staging);
  }

  override mendable(): never {
    throw configInvalid(`${this.access.shown} is a bucket, where no pack is replaced`);
  }

  override writer(records: Backend, { lastCommit, packBytes }: WriterStart): RecordWriter {
    if (!(records instanceof LogBackend)) throw new Error('this is a backend of another medium');
    const { system, access } = this;
    const admit = async (): Promise<void> => (await sharedStore(system, access)).admit();
    const id = system.random.bytes(WRITER_ID_BYTES);
    const { parityPercent: percent = 0 } = access.settings;
    const parity = percent === 0 ? undefined : new ParityMaker(system.native, records, percent);
    return new LogWriter(records, { lastCommit, packBytes, id, admit, parity });
  }

  override second(): ClientDirectory {
    const { system, access, directory } = this;
    const { client, path: beside } = super.second();
    const made = this.generationIn(beside);
    const digits = system.random.bytes(GENERATION_BYTES).toString('hex');
    const generation = made ?? generationAfter(directory.generation, digits);
    const catalogPath = path.join(beside, catalogOf(catalogFileOf(directory), generation));
    return { client, path: beside, catalogPath, bucket: access, generation };
  }

  async noteSecond(second: ClientDirectory): Promise<boolean> {
    const { system, access } = this;
    await (await sharedStore(system, access)).admit();
    await (await this.generations()).note(second.generation!);
    return true;
  }

  override async refreshKeys(): Promise<void> {
    await fetchClient(this.system, this.access, this.directory.client);
  }

  override async switchTo(
    second: ClientDirectory,
    { commit, keepsKeys }: SwitchState,
  ): Promise<void> {
    const { system, directory } = this;
    const next = second.generation!;
    const generations = await this.generations();
    const object = clientBytes(system, second.path);
    await generations.switchTo(next, {
      name: clientObject(directory.client, next),
      object,
      commit,
    });
    if (keepsKeys) {
      await generations.bringLateKeys(next, newestKeys(system, second.path)?.number ?? 0);
    }
    await super.switchTo(second, { commit, keepsKeys });
  }

  async giveUp({ generation }: ClientDirectory): Promise<boolean> {
    const { system, directory } = this;
    const all = await unfinishedRewrites(system, directory);
    const generations = await this.generations();
    for (const built of new Set([...all, generation!])) await generations.removeNote(built);
    this.givenUp = all;
    return true;
  }

  async removeBuilt({ generation }: ClientDirectory, onRemoved: () => void): Promise<void> {
    const generations = await this.generations();
    for (const built of new Set([...this.givenUp, generation!])) {
      await generations.removeBuilt(built, onRemoved);
    }
  }

  async removeFormer(onRemoved: () => void): Promise<void> {
    await (await this.generations()).removeFormer(onRemoved);
  }

  async hasFormer(): Promise<boolean> {
    return (await this.generations()).hasFormer();
  }

  private async generations(): Promise<GenerationObjects> {
    const { store } = await sharedStore(this.system, this.access);
    return new GenerationObjects(store, this.directory);
  }

  /** Returns the generation whose files a directory has; undefined if it has none. */
  private generationIn(directory: string): string | undefined {
    try {
      return readFormat(this.system.files, directory)?.generation;
    } catch {
      return undefined; // a rewrite that left a damaged file begins anew
    }
  }
}
