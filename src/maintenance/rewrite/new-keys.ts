/** Keys of a new generation. Without keys all data stays unencrypted. */
import { EntryOpener } from '../../history/index.js';
import type { CatalogEntry } from '../../store/catalog/index.js';
import { type Keyring, sealConfig, SealSum } from '../../crypto/index.js';
import { type ClientConfig, contentDigest, type ContentKeys } from '../../model/index.js';
import { type OwnerRecord, RecordCipher } from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';

export class NewKeys {
  private readonly opener: EntryOpener | undefined;

  constructor(
    private readonly native: NativeCalls,
    /** Undefined if the new generation does not encrypt. */
    readonly keyring: Keyring | undefined,
  ) {
    this.opener = keyring && new EntryOpener(keyring, native);
  }

  get contents(): ContentKeys | undefined {
    return this.keyring?.contents;
  }

  /** Returns the digest of a content. `hash` is the SHA-256 of its bytes, whose memory may be overwritten. */
  digest(hash: Buffer): Buffer {
    return contentDigest(this.native, this.contents, hash);
  }

  /** Returns a cipher for one record; undefined if the generation does not encrypt. */
  freshCipher(): RecordCipher | undefined {
    return this.contents && RecordCipher.fresh(this.native, this.contents);
  }

  rows(rows: Buffer, count: number): Buffer {
    return this.keyring?.tree.rows(rows, count, new SealSum()) ?? rows;
  }

  name(name: Buffer): Buffer {
    return this.keyring?.names.name(name) ?? name;
  }

  path(path: Buffer): Buffer {
    return this.keyring?.names.path(path) ?? path;
  }

  text(text: string): string {
    return this.keyring?.names.text(text) ?? text;
  }

  /** Returns a configuration, sealed if the new generation encrypts; undefined for one that cannot be opened. */
  config(config: ClientConfig): ClientConfig | undefined {
    if (this.keyring === undefined) return config;
    return config.form === 'sealed' ? undefined : sealConfig(this.keyring.names, config);
  }

  device(device: string): string {
    return this.keyring?.names.device(device) ?? device;
  }

  owner(owner: OwnerRecord): Buffer {
    return this.keyring?.names.owner(owner) ?? owner.name;
  }

  openText(text: string): string {
    return this.keyring?.names.openText(text) ?? text;
  }

  /**
   * Opens entries of the new generation in place, and adds their seals to `sum`. Throws NOT_AUTHENTIC for an entry that
   * the keys have not sealed.
   */
  open(entries: readonly CatalogEntry[], sum: SealSum = new SealSum()): void {
    this.opener?.open(entries, sum);
  }
}
