/**
 * The medium of a client whose records lie in an object store. The client's directory on this machine has its catalog,
 * which is a cache here, and what is not sent yet. Its lock excludes other processes of this machine; processes of other
 * machines are excluded by the log itself.
 */
import { configInvalid } from '../../config/index.js';
import type { System } from '../../system/index.js';
import type { Backend } from '../backends/backend.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import type { ClientDirectory } from '../client/client-directory.js';
import { DirectoryMedium } from '../client/directory-medium.js';
import type { WriterStart } from '../client/medium.js';
import { WRITER_ID_BYTES } from '../packs/heads.js';
import type { RecordWriter } from '../packs/record-writer.js';
import type { BucketAccess } from './bucket-access.js';
import { LogBackend } from './log-backend.js';
import { LogWriter } from './log-writer.js';
import { logPlace } from './names.js';
import { sharedStore } from './shared-stores.js';

export class BucketMedium extends DirectoryMedium {
  private readonly access: BucketAccess;

  constructor(system: System, directory: ClientDirectory, access: BucketAccess) {
    super(system, directory);
    this.access = access;
  }

  override records(): LogBackend {
    const { system, access, directory } = this;
    const staging = new DirectoryBackend(directory.path, system.files);
    const open = async () => (await sharedStore(system, access)).store;
    return new LogBackend(open, logPlace(directory.client), staging);
  }

  override mendable(): never {
    throw configInvalid(`${this.access.shown} is a bucket, where no pack is replaced`);
  }

  override writer(records: Backend, { lastCommit, packBytes }: WriterStart): RecordWriter {
    if (!(records instanceof LogBackend)) throw new Error('this is a backend of another medium');
    const { system, access } = this;
    const admit = async (): Promise<void> => (await sharedStore(system, access)).admit();
    const id = system.random.bytes(WRITER_ID_BYTES);
    return new LogWriter(records, { lastCommit, packBytes, id, admit });
  }
}
