/** Entries of a client that encrypts, opened where they are, and refused unless this client sealed them. */
import { type ContentProof, openInPlace, ROOTS_DIRECTORY } from '../catalog/index.js';
import type { Keyring, SealSum } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import {
  appendRow,
  BytesBuilder,
  DIGEST_BYTES,
  EntryType,
  isSparse,
  metadataOf,
  ROOT_NAME,
  RowReader,
  SEAL_BYTES,
} from '../model/index.js';
import type { NativeCalls } from '../system/index.js';
import type { ArchiveEntry } from './archive.js';

const ROW_HINT_BYTES = 256;

export class EntryOpener {
  private readonly sealedRootName: Buffer;
  /** By what a seal covers a content (docs/formats.md): 1 if it is sparse, and its digest; and the hash of that. */
  private readonly covered = Buffer.alloc(1 + DIGEST_BYTES);
  private readonly hash = Buffer.alloc(DIGEST_BYTES);
  private readonly keyring: Keyring;
  private readonly native: NativeCalls;

  constructor(keyring: Keyring, native: NativeCalls) {
    this.keyring = keyring;
    this.native = native;
    this.sealedRootName = keyring.names.name(ROOT_NAME);
  }

  /** Opens entries where they are, and adds their seals to `sum`. Throws NOT_AUTHENTIC. */
  open(entries: readonly ArchiveEntry[], sum: SealSum): void {
    if (entries.length === 0) return;
    const sealed = new BytesBuilder(entries.length * ROW_HINT_BYTES);
    for (const { metadata, directory, name } of entries) {
      appendRow(sealed, metadata, directory === ROOTS_DIRECTORY ? this.sealedRootName : name);
    }
    const opened = this.keyring.tree.open(sealed.view(), entries.length, sum);
    if (opened === undefined) {
      throw new TardisError(
        'NOT_AUTHENTIC',
        'an entry was not sealed with the keys of this client',
      );
    }
    const reader = new RowReader(opened.rows);
    const { contents: hashes } = opened;
    let at = 0;
    for (const [index, entry] of entries.entries()) {
      const name = entry.directory === ROOTS_DIRECTORY ? entry.name : reader.name(at);
      const metadata = metadataOf(reader, at);
      const proof = { hashes, at: index * SEAL_BYTES };
      openInPlace(entry, { name, metadata, proof });
      // Which entry has a content, and which one a directory, is not the store's to say.
      const hasContent = hashes
        .subarray(proof.at, proof.at + SEAL_BYTES)
        .some((byte) => byte !== 0);
      if (hasContent !== (entry.contentId !== undefined)) throw otherContent();
      if ((entry.type === EntryType.directory) !== (entry.childId !== undefined)) {
        throw new TardisError('NOT_AUTHENTIC', 'an entry leads where it should not');
      }
      const { digest } = entry;
      if (digest !== undefined && !this.isProven(proof, metadata, digest)) throw otherContent();
      at += reader.rowBytes(at);
    }
  }

  /** Whether a content is the one that an entry's seal covers. */
  isProven({ hashes, at }: ContentProof, metadata: Buffer, digest: Uint8Array): boolean {
    const { covered, hash } = this;
    covered[0] = isSparse(metadata) ? 1 : 0;
    covered.set(digest, 1);
    this.native.sha256(covered, 0, covered.length, hash, 0);
    return hash.compare(hashes, at, at + SEAL_BYTES, 0, SEAL_BYTES) === 0;
  }
}

export function otherContent(): TardisError {
  return new TardisError('NOT_AUTHENTIC', 'the store has another content than an entry says');
}
