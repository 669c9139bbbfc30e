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
import { LogBackend, type OpenObjects } from './log-backend.js';
import { LogWriter } from './log-writer.js';

export class BucketMedium extends DirectoryMedium {
  private readonly open: OpenObjects;
  private readonly prefix: string;

  /** `prefix`: see LogBackend. */
  constructor(system: System, directory: ClientDirectory, open: OpenObjects, prefix: string) {
    super(system, directory);
    this.open = open;
    this.prefix = prefix;
  }

  override records(): LogBackend {
    const staging = new DirectoryBackend(this.directory.path, this.system.files);
    return new LogBackend(this.open, this.prefix, staging);
  }

  override mendable(): never {
    throw configInvalid('the client lies in a bucket, where nothing is repaired');
  }

  override writer(records: Backend, { lastCommit, packBytes }: WriterStart): RecordWriter {
    if (!(records instanceof LogBackend)) throw new Error('this is a backend of another medium');
    const id = this.system.random.bytes(WRITER_ID_BYTES);
    return new LogWriter(records, { lastCommit, packBytes, id });
  }
}
