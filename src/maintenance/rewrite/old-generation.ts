/** Reads the client that is being rewritten or copied: its catalog and its objects, with its keys if it has some. */
import type { RecordSource } from '../../contents/index.js';
import type { ClientConfig, DirectoryId } from '../../model/index.js';
import { EntryOpener } from '../../history/index.js';
import { Catalog, type CatalogEntry, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import { type Keyring, openConfig, SealSum } from '../../crypto/index.js';
import {
  catalogIdentity,
  type ClientDirectory,
  type ExpectedRange,
  mediumOf,
  type ObjectReader,
  type OwnerRecord,
} from '../../store/index.js';
import type { Files, System } from '../../system/index.js';

/** Reader of a client's records. */
export interface OldRecords extends ObjectReader {
  /** Announces that a record will be read more than once, so that a slow source fetches it only once. */
  hold?(record: ExpectedRange): Promise<void>;
}

export class OldStore implements Disposable {
  readonly catalog: Catalog;
  readonly source: RecordSource;
  private readonly opener: EntryOpener | undefined;

  /** Opens the store, which owns `backend` and closes it, also if opening fails. Throws the errors of opening the catalog. */
  constructor(
    system: System,
    readonly backend: OldRecords,
    /** Undefined if the client does not encrypt. */
    readonly keyring: Keyring | undefined,
    catalogPath: string,
  ) {
    const { native } = system;
    this.opener = keyring && new EntryOpener(keyring, native);
    this.source = { backend, native, keys: keyring?.contents };
    try {
      this.catalog = Catalog.openForReading(system, catalogPath);
    } catch (error) {
      backend.close();
      throw error;
    }
  }

  /**
   * Opens entries of this store in place, and adds their seals to `sum`. Throws NOT_AUTHENTIC for an entry that the
   * keys have not sealed.
   */
  open(entries: readonly CatalogEntry[], sum = new SealSum()): void {
    this.opener?.open(entries, sum);
  }

  openName(directory: DirectoryId, name: Buffer): Buffer {
    if (this.keyring === undefined || directory === ROOTS_DIRECTORY) return name;
    return this.keyring.names.openName(name);
  }

  openText(text: string): string {
    return this.keyring?.names.openText(text) ?? text;
  }

  /** Opens a configuration of a set. Throws NOT_AUTHENTIC if the client encrypts and has not sealed it. */
  openConfig(config: ClientConfig): ClientConfig {
    return this.keyring === undefined ? config : openConfig(this.keyring.names, config);
  }

  openOwner(owner: OwnerRecord): Buffer {
    return this.keyring?.names.openOwner(owner) ?? owner.name;
  }

  openPath(path: Buffer): Buffer {
    return this.keyring?.names.openPath(path) ?? path;
  }

  openDevice(device: string): string {
    if (this.keyring === undefined || device === '') return device;
    return this.keyring.names.openDevice(device) ?? '';
  }

  close(): void {
    try {
      this.backend.close();
    } finally {
      this.catalog.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A store in a directory of this machine. */
export class OldGeneration extends OldStore {
  private readonly opened: string;
  private readonly files: Files;

  /**
   * Opens the generation. `catalogPath` is a catalog with a part of the data, to be used in place of the client's own.
   * Throws the errors of opening the catalog.
   */
  constructor(
    system: System,
    readonly directory: ClientDirectory,
    keyring: Keyring | undefined,
    catalogPath: string = directory.catalogPath,
  ) {
    const { files } = system;
    const opened = catalogIdentity(files, directory); // read first, since a rebuild may replace the catalog
    super(system, mediumOf(system, directory).records(), keyring, catalogPath);
    this.files = files;
    this.opened = opened;
  }

  /** True unless a rebuild has replaced the catalog that is being read. */
  get isCurrent(): boolean {
    return catalogIdentity(this.files, this.directory) === this.opened;
  }
}
