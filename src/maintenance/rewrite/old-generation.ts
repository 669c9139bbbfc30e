/**
 * The generation that is being rewritten: reads its catalog and objects as they are, with its keys if it has
 * some.
 */
import type { DirectoryId } from '../../model/index.js';
import { EntryOpener } from '../../history/index.js';
import { Catalog, type CatalogEntry, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import { type Keyring, SealSum } from '../../crypto/index.js';
import type { RecordSource } from '../../delta/index.js';
import {
  type Backend,
  type ClientDirectory,
  mediumOf,
  type OwnerRecord,
} from '../../store/index.js';
import type { Files, System } from '../../system/index.js';

export class OldGeneration {
  readonly directory: ClientDirectory;
  readonly catalog: Catalog;
  /** Undefined if the generation does not encrypt. */
  readonly keyring: Keyring | undefined;
  readonly source: RecordSource;
  readonly backend: Backend;
  private readonly catalogIdentity: string | undefined;
  private readonly files: Files;
  private readonly opener: EntryOpener | undefined;

  /** `catalogPath`: a catalog with less in it, to use instead of its own. Throws CATALOG_*. */
  constructor(
    system: System,
    directory: ClientDirectory,
    keyring: Keyring | undefined,
    catalogPath: string = directory.catalogPath,
  ) {
    const { native, files } = system;
    this.directory = directory;
    this.keyring = keyring;
    this.opener = keyring && new EntryOpener(keyring, native);
    this.backend = mediumOf(system, directory).records();
    this.source = { backend: this.backend, native, keys: keyring?.contents };
    this.files = files;
    this.catalogIdentity = this.identity(); // first: a rebuild may replace the catalog meanwhile
    this.catalog = Catalog.openForReading(system, catalogPath);
  }

  /** False if a rebuild has replaced the catalog that is being read. */
  get isCurrent(): boolean {
    return this.identity() === this.catalogIdentity;
  }

  private identity(): string | undefined {
    return this.files.status(this.directory.catalogPath)?.identity;
  }

  /** Opens entries of this generation in place, and adds their seals to `sum`. Throws NOT_AUTHENTIC. */
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
}
