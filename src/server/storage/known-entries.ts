/**
 * What a client that encrypts needs of entries it does not send again, to seal a listing that has changed:
 * the seal of each, and a hash of what the client's own listing does not tell.
 */
import { createHash } from 'node:crypto';
import type { Catalog, HeadRow } from '../../catalog/index.js';
import {
  attributesOf,
  DIGEST_BYTES,
  KNOWN_BYTES,
  readAttributes,
  RowFlag,
  SEAL_ATTRIBUTE,
  SEAL_BYTES,
  SEALED_ATTRIBUTES,
} from '../../model/index.js';

const NO_DIGEST: Buffer = Buffer.alloc(DIGEST_BYTES);
const NOTHING: Buffer = Buffer.alloc(0);

export class KnownEntries {
  private readonly found: { readonly index: number; readonly bytes: Buffer }[] = [];
  private readonly catalog: Catalog;

  constructor(catalog: Catalog) {
    this.catalog = catalog;
  }

  /** The row of this number is the same as what is stored of it. */
  add(index: number, head: HeadRow | undefined): void {
    const packed = head && attributesOf(head.metadata);
    if (head === undefined || packed === undefined) return;
    const attributes = readAttributes(packed);
    const valueOf = (wanted: Buffer): Buffer | undefined =>
      attributes.find(({ name }) => name.equals(wanted))?.value;
    const seal = valueOf(SEAL_ATTRIBUTE);
    if (seal?.length !== SEAL_BYTES) return;
    const { contentId, flags } = head;
    const digest =
      contentId === undefined ? NO_DIGEST : this.catalog.contents.stored(contentId)?.digest;
    const hash = createHash('sha256')
      .update(Buffer.from([(flags & RowFlag.sparse) === 0 ? 0 : 1]))
      .update(digest ?? NO_DIGEST)
      .update(valueOf(SEALED_ATTRIBUTES) ?? NOTHING)
      .digest();
    this.found.push({ index, bytes: Buffer.concat([seal, hash.subarray(0, SEAL_BYTES)]) });
  }

  /** KNOWN_BYTES for each of so many rows; empty when nothing is sealed. */
  take(rows: number): Buffer {
    if (this.found.length === 0) return NOTHING;
    const known = Buffer.alloc(rows * KNOWN_BYTES);
    for (const { index, bytes } of this.found) bytes.copy(known, index * KNOWN_BYTES);
    return known;
  }
}
