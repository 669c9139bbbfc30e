/** The medium of a client whose records lie in its directory, claimed by a lock file. */
import path from 'node:path';
import { asTardisError, systemCode, TardisError } from '../../errors/index.js';
import { type System, textBytes } from '../../system/index.js';
import type { Backend, MendableBackend } from '../backends/backend.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import { checkIncoming, clearIncoming, type ClientDirectory } from './client-directory.js';
import {
  acquireClient,
  type ClientLock,
  forgetAsking,
  isLockWanted,
  lockClient,
} from './client-lock.js';
import { PackWriter } from '../packs/pack-writer.js';
import type { RecordWriter } from '../packs/record-writer.js';
import type { ClientMedium, WriterStart } from './medium.js';
import { type Stray, strays } from './strays.js';

/** Names for a trial exchange: a file system that cannot exchange names is reported before the work, not after it. */
const TRIAL = ['trial-a', 'trial-b'] as const;

export class DirectoryMedium implements ClientMedium {
  protected readonly system: System;
  protected readonly directory: ClientDirectory;

  constructor(system: System, directory: ClientDirectory) {
    this.system = system;
    this.directory = directory;
  }

  records(): Backend {
    return this.mendable();
  }

  mendable(): MendableBackend {
    return new DirectoryBackend(this.directory.path, this.system.files);
  }

  writer(records: Backend, { lastPack, packBytes }: WriterStart): RecordWriter {
    return new PackWriter(records, lastPack, packBytes);
  }

  async claim({ asks } = { asks: true }): Promise<ClientLock> {
    const { system, directory } = this;
    return asks ? acquireClient(system, directory) : lockClient(system, directory);
  }

  isWanted(): boolean {
    return isLockWanted(this.system, this.directory);
  }

  forgetAsking(): void {
    forgetAsking(this.system, this.directory);
  }

  checkStaged(): void {
    checkIncoming(this.system, this.directory);
  }

  clearStaged(): void {
    clearIncoming(this.system, this.directory);
  }

  strays(): Iterable<Stray> {
    return strays(this.system, this.directory.path);
  }

  requireExchange(): void {
    const { files } = this.system;
    const { path: here } = this.directory;
    for (const name of TRIAL) files.makeDirectory(path.join(here, name));
    this.exchangeNames(here, ...TRIAL);
    for (const name of TRIAL) files.removeDirectory(path.join(here, name));
  }

  async exchangeWith(other: ClientDirectory): Promise<void> {
    const store = path.dirname(this.directory.path);
    this.exchangeNames(store, path.basename(this.directory.path), path.basename(other.path));
    await this.system.files.syncDirectory(store);
  }

  private exchangeNames(parent: string, one: string, other: string): void {
    const { native } = this.system;
    const fd = native.openDirectory(textBytes(parent));
    try {
      native.exchangeAt(fd, textBytes(one), fd, textBytes(other));
    } catch (error) {
      if (!['EINVAL', 'ENOSYS'].includes(systemCode(error) ?? '')) throw asTardisError(error);
      const store = path.dirname(this.directory.path);
      const what = `the file system of ${store} cannot exchange two directories in one step`;
      throw new TardisError('STORE_NOT_WRITABLE', what, {}, error);
    } finally {
      native.close(fd);
    }
  }
}
