/** The medium of a client whose records are in its directory. A lock file claims the client. */
import path from 'node:path';
import { asTardisError, systemCode, TardisError } from '../../errors/index.js';
import { guardDirectory, type System, textBytes } from '../../system/index.js';
import type { Backend, MendableBackend } from '../backends/backend.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import {
  checkIncoming,
  clearIncoming,
  type ClientDirectory,
  secondGenerationPath,
} from './client-directory.js';
import {
  acquireClient,
  type ClientLock,
  clearLockRequest,
  isLockRequested,
  lockClient,
} from './client-lock.js';
import { PackWriter } from '../packs/pack-writer.js';
import type { RecordWriter } from '../packs/record-writer.js';
import type { ClientMedium, SwitchState, WriterStart } from './medium.js';
import { type Stray, strays } from './foreign-files.js';

/**
 * Two names for a trial exchange, so that a file system that cannot exchange names is reported before the work and not
 * after it.
 */
const TRIAL = ['trial-a', 'trial-b'] as const;

export class DirectoryMedium implements ClientMedium {
  constructor(
    protected readonly system: System,
    protected readonly directory: ClientDirectory,
  ) {}

  records(): Backend {
    return this.mendable();
  }

  mendable(): MendableBackend {
    return new DirectoryBackend(this.directory.path, this.system.files);
  }

  writer(records: Backend, { lastPack, packBytes }: WriterStart): RecordWriter {
    return new PackWriter(records, lastPack, packBytes);
  }

  async claim({ requestsLock } = { requestsLock: true }): Promise<ClientLock> {
    const { system, directory } = this;
    return requestsLock ? acquireClient(system, directory) : lockClient(system, directory);
  }

  isRequested(): boolean {
    return isLockRequested(this.system, this.directory);
  }

  clearLockRequest(): void {
    clearLockRequest(this.system, this.directory);
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

  second(): ClientDirectory {
    const { directory } = this;
    const beside = secondGenerationPath(directory);
    guardDirectory(beside, directory.path);
    const catalogPath = path.join(beside, path.basename(directory.catalogPath));
    return { client: directory.client, path: beside, catalogPath };
  }

  async refreshKeys(): Promise<void> {
    return undefined; // records are in the directory, so nothing is to be fetched
  }

  requireExchange({ path: here }: ClientDirectory): void {
    const { files } = this.system;
    for (const name of TRIAL) files.makeDirectory(path.join(here, name));
    this.exchangeNames(here, ...TRIAL);
    for (const name of TRIAL) files.removeDirectory(path.join(here, name));
  }

  async switchTo(second: ClientDirectory, _state: SwitchState): Promise<void> {
    const store = path.dirname(this.directory.path);
    this.exchangeNames(store, path.basename(this.directory.path), path.basename(second.path));
    await this.system.files.syncDirectory(store);
  }

  private exchangeNames(parent: string, one: string, other: string): void {
    const { native } = this.system;
    const fd = native.openDirectory(textBytes(parent));
    try {
      native.exchangeAt(fd, textBytes(one), fd, textBytes(other));
    } catch (error) {
      if (!['EINVAL', 'ENOSYS'].includes(systemCode(error) ?? ''))
        throw asTardisError(error, `exchanging names in ${parent}`, 'writeStore');
      const store = path.dirname(this.directory.path);
      const what = `the file system of ${store} cannot exchange two directories in one step`;
      throw new TardisError('STORE_NOT_WRITABLE', what, {}, error);
    } finally {
      native.close(fd);
    }
  }
}
