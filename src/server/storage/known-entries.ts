/**
 * What a client that encrypts needs of entries it does not send again, to seal a listing that has changed:
 * the seal of each, and what that covers besides what the client's own listing tells.
 */
import type { HeadRow } from '../../catalog/index.js';
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

  /** The row of this number is the same as what is stored of it. */
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

  /** KNOWN_BYTES for each of so many rows; empty when nothing is sealed. */
  take(rows: number): Buffer {
    if (this.found.length === 0) return NOTHING;
    const known = Buffer.alloc(rows * KNOWN_BYTES);
    for (const { index, bytes } of this.found) bytes.copy(known, index * KNOWN_BYTES);
    return known;
  }
}
