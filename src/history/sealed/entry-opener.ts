/** Opens the entries of an encrypting client in place, and rejects entries that this client did not seal. */
import {
  type ContentProof,
  damagedEntry,
  openInPlace,
  ROOTS_DIRECTORY,
} from '../../store/catalog/index.js';
import { type Keyring, SealSum } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  appendRow,
  BytesBuilder,
  DIGEST_BYTES,
  EntryType,
  isSparse,
  isZeros,
  metadataOf,
  ROOT_NAME,
  RowReader,
  SEAL_BYTES,
} from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { HistoryEntry } from '../history.js';
import { type DoubtedEntry, doubtEntry } from './doubted-entries.js';

const ROW_HINT_BYTES = 256;
/** The bytes by which a seal covers a content (docs/inside/formats.md): 1 if it is sparse, then its digest. */
const COVERED_BYTES = 1 + DIGEST_BYTES;
/** Bytes of a row for `digestContents` of the addon: a hash, an offset and a size. */
const HASHED_BYTES = DIGEST_BYTES + 8;

/** A content in the store, and the entry that should have it. */
export interface ClaimedContent {
  readonly proof: ContentProof;
  readonly metadata: Buffer;
  readonly digest: Uint8Array;
}

export class EntryOpener {
  private readonly sealedRootName: Buffer;

  constructor(
    private readonly keyring: Keyring,
    private readonly native: NativeCalls,
  ) {
    this.sealedRootName = keyring.names.name(ROOT_NAME);
  }

  /**
   * Opens entries in place and adds their seals to `sum`. An untrustworthy entry is replaced by a stand-in with
   * `damage`. Returns the entries that do not match their seals; these add nothing to `sum`.
   */
  openEach(entries: HistoryEntry[], sum: SealSum): DoubtedEntry[] {
    const trial = new SealSum().set(sum);
    if (this.openAll(entries, trial, true)) {
      sum.set(trial);
      return [];
    }
    const doubted: DoubtedEntry[] = [];
    for (const [index, entry] of entries.entries()) {
      const one = [entry];
      const added = new SealSum().set(sum);
      if (entry.damage === undefined && this.openAll(one, added, true)) {
        sum.set(added);
        entries[index] = one[0]!;
        continue;
      }
      const doubt = doubtEntry(entry, this.keyring, this.native);
      entries[index] = doubt.shown;
      doubted.push(doubt);
    }
    return doubted;
  }

  /**
   * Opens entries in place and adds their seals to `sum`. Throws NOT_AUTHENTIC if an entry does not match its seal, and
   * the `damage` of a damaged entry.
   */
  open(entries: readonly HistoryEntry[], sum: SealSum): void {
    for (const { damage } of entries) if (damage !== undefined) throw damage;
    if (!this.openAll([...entries], sum, false)) {
      throw new TardisError(
        'NOT_AUTHENTIC',
        'an entry was not sealed with the keys of this client',
      );
    }
  }

  /**
   * Opens entries in place and adds their seals to `sum`. Returns false, and opens nothing, if a seal does not match.
   * For an entry that leads to a content or directory its seal does not allow, throws an error or, with `marks`, puts
   * a stand-in with `damage` in its place.
   */
  private openAll(entries: HistoryEntry[], sum: SealSum, marks: boolean): boolean {
    if (entries.length === 0) return true;
    if (entries.some(({ damage }) => damage !== undefined)) return false;
    const sealed = new BytesBuilder(entries.length * ROW_HINT_BYTES);
    for (const { metadata, directory, name } of entries) {
      appendRow(sealed, metadata, directory === ROOTS_DIRECTORY ? this.sealedRootName : name);
    }
    const opened = this.keyring.tree.open(sealed.view(), entries.length, sum);
    if (opened === undefined) return false;
    const reader = new RowReader(opened.rows);
    const { contents: hashes } = opened;
    let at = 0;
    for (const [index, entry] of entries.entries()) {
      const name = entry.directory === ROOTS_DIRECTORY ? entry.name : reader.name(at);
      const metadata = metadataOf(reader, at);
      const proof = { hashes, at: index * SEAL_BYTES };
      openInPlace(entry, { name, metadata, proof });
      const damage = this.strayOf(entry, proof);
      if (damage !== undefined && !marks) throw damage;
      if (damage !== undefined) entries[index] = damagedEntry(entry, damage);
      at += reader.rowBytes(at);
    }
    return true;
  }

  /**
   * Returns an error if the content or the directory of an entry is not the one that its seal covers, since the store
   * must not choose these. Returns undefined if both are right.
   */
  private strayOf(entry: HistoryEntry, proof: ContentProof): TardisError | undefined {
    const hasContent = !isZeros(proof.hashes.subarray(proof.at, proof.at + SEAL_BYTES));
    const { digest, metadata } = entry;
    if (hasContent !== (entry.contentId !== undefined)) return otherContent();
    if ((entry.type === EntryType.directory) !== (entry.childId !== undefined)) {
      return new TardisError('NOT_AUTHENTIC', 'an entry leads where it should not');
    }
    const isOther = digest !== undefined && !this.areProven([{ proof, metadata, digest }])[0]!;
    return isOther ? otherContent() : undefined;
  }

  /** Returns for each content if it is the one that an entry's seal covers. */
  areProven(contents: readonly ClaimedContent[]): boolean[] {
    const covered = Buffer.alloc(contents.length * COVERED_BYTES);
    const rows = Buffer.alloc(contents.length * HASHED_BYTES);
    for (let index = 0; index < contents.length; index += 1) {
      const { metadata, digest } = contents[index]!;
      if (digest.length !== DIGEST_BYTES) continue;
      const at = index * COVERED_BYTES;
      covered[at] = isSparse(metadata) ? 1 : 0;
      covered.set(digest, at + 1);
      rows.writeUInt32LE(at, index * HASHED_BYTES + DIGEST_BYTES);
      rows.writeUInt32LE(COVERED_BYTES, index * HASHED_BYTES + DIGEST_BYTES + 4);
    }
    this.native.digestContents(covered, rows);
    return contents.map(({ proof: { hashes, at }, digest }, index) => {
      const row = index * HASHED_BYTES;
      const isSame = rows.compare(hashes, at, at + SEAL_BYTES, row, row + SEAL_BYTES) === 0;
      return isSame && digest.length === DIGEST_BYTES;
    });
  }
}

function otherContent(): TardisError {
  return new TardisError('NOT_AUTHENTIC', 'the content in the store is not that of its entry');
}
