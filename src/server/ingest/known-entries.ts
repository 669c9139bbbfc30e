/**
 * Data about unchanged entries, for a client that encrypts: for each, its seal, and the hash of its sealed attributes,
 * which the client's own listing does not contain. With them, the client seals a changed listing without sending these
 * entries again.
 */
import type { HeadRow } from '../../store/catalog/index.js';
import {
  attributesHash,
  attributesOf,
  ENTRY_SEAL_BYTES,
  KNOWN_BYTES,
  readAttributes,
  SEAL_ATTRIBUTE,
  SEALED_ATTRIBUTES,
} from '../../model/index.js';

const NOTHING: Buffer = Buffer.alloc(0);

export class KnownEntries {
  private readonly found: { readonly index: number; readonly bytes: Buffer }[] = [];

  /** Adds the row with number `index`, which is equal to its stored entry. */
  add(index: number, head: HeadRow | undefined): void {
    const packed = head && attributesOf(head.metadata);
    if (packed === undefined) return;
    const attributes = readAttributes(packed);
    const valueOf = (wanted: Buffer): Buffer | undefined =>
      attributes.find(({ name }) => name.equals(wanted))?.value;
    const seal = valueOf(SEAL_ATTRIBUTE);
    if (seal?.length !== ENTRY_SEAL_BYTES) return;
    const bytes = Buffer.concat([seal, attributesHash(valueOf(SEALED_ATTRIBUTES))]);
    this.found.push({ index, bytes });
  }

  /** Returns KNOWN_BYTES for each of `rows` rows; empty if no entry is sealed. */
  take(rows: number): Buffer {
    if (this.found.length === 0) return NOTHING;
    const known = Buffer.alloc(rows * KNOWN_BYTES);
    for (const { index, bytes } of this.found) bytes.copy(known, index * KNOWN_BYTES);
    return known;
  }
}
