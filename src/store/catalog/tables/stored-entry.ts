/** Entries as the catalog returns them. Most fields are decoded on access. */
import type { TardisError } from '../../../errors/index.js';
import {
  attributesOf,
  blankMetadata,
  type ContentId,
  DIGEST_BYTES,
  type DirectoryId,
  type Entry,
  EntryType,
  type EntryTypeNumber,
  exactMtimeNs,
  isDevice,
  linkTargetOf,
  METADATA_FROM,
  RowOffset,
  type SetNumber,
  sizeIn,
} from '../../../model/index.js';

/** An entry as the catalog has it. */
export interface CatalogEntry extends Entry {
  readonly directory: DirectoryId;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
  /** Undefined for an empty file, and for anything but a file. */
  readonly contentId: ContentId | undefined;
  /** The id of the entry itself, if it is a directory. */
  readonly childId: DirectoryId | undefined;
  /** The packed row as the catalog stores it (see `metadataOf`, `joinRow`). */
  readonly metadata: Buffer;
  /** Proof of the entry's content, if the client encrypts. */
  readonly proof?: ContentProof | undefined;
  /** The reason why only the name is meaningful: the row is damaged, or was not written by this client. */
  readonly damage?: TardisError | undefined;
}

/** The hash that binds a content to an entry's seal: the bytes of `hashes` from `at` on. */
export interface ContentProof {
  readonly hashes: Buffer;
  readonly at: number;
}

type EntryColumns = [
  directory: DirectoryId,
  name: Buffer,
  firstSet: SetNumber,
  lastSet: SetNumber | null,
  flags: number,
  contentId: ContentId | null,
  childId: DirectoryId | null,
  metadata: Buffer,
  digest: Buffer | null,
];

/** The row of `SELECT_ENTRY` and `SELECT_ROW` in entries.ts. */
export const ENTRY_ROW = [
  'integer',
  'blob',
  'integer',
  'integer?',
  'integer',
  'content?',
  'integer?',
  'blob',
  'blob?',
] as const;

/** Returns an entry that is not from a catalog. `metadata` must have been checked (see checkRows). */
export function entryOfParts(parts: {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  readonly firstSet: SetNumber;
  readonly lastSet?: SetNumber | undefined;
  readonly flags?: number;
  readonly contentId?: ContentId | undefined;
  readonly childId?: DirectoryId | undefined;
  readonly metadata: Buffer;
  readonly digest?: Buffer | undefined;
  readonly proof?: ContentProof | undefined;
}): CatalogEntry {
  const { directory, name, firstSet, flags = 0, metadata } = parts;
  const { lastSet = null, contentId = null, childId = null, digest = null } = parts;
  const columns: EntryColumns = [
    directory,
    name,
    firstSet,
    lastSet,
    flags,
    contentId,
    childId,
    metadata,
    digest,
  ];
  return new StoredEntry(columns, parts.proof);
}

/** The decrypted parts of an entry. */
interface OpenedParts {
  readonly name: Buffer;
  readonly metadata: Buffer;
  readonly proof: ContentProof;
}

/**
 * Puts the decrypted parts into an entry. In a restore, a new object for each entry would cost more than the
 * decryption. Nothing else may have a reference to the entry.
 */
export function openInPlace(entry: CatalogEntry, { name, metadata, proof }: OpenedParts): void {
  const opened = entry as { -readonly [F in keyof CatalogEntry]: CatalogEntry[F] };
  opened.name = name;
  opened.metadata = metadata;
  opened.proof = proof;
}

/** Decodes most fields from the packed metadata on access. */
class StoredEntry implements CatalogEntry {
  readonly directory: DirectoryId;
  name: Buffer;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | undefined;
  readonly flags: number;
  readonly contentId: ContentId | undefined;
  readonly childId: DirectoryId | undefined;
  metadata: Buffer;
  readonly digest: Buffer | undefined;
  proof: ContentProof | undefined;
  damage: TardisError | undefined = undefined;

  constructor(columns: EntryColumns, proof?: ContentProof) {
    this.directory = columns[0];
    this.name = columns[1];
    this.firstSet = columns[2];
    this.lastSet = columns[3] ?? undefined;
    this.flags = columns[4];
    this.contentId = columns[5] ?? undefined;
    this.childId = columns[6] ?? undefined;
    this.metadata = columns[7];
    this.digest = columns[8] ?? undefined;
    this.proof = proof;
  }

  get type(): EntryTypeNumber {
    return this.metadata[RowOffset.type - METADATA_FROM] as EntryTypeNumber;
  }
  get permissions(): number {
    return this.metadata.readUInt16LE(RowOffset.permissions - METADATA_FROM);
  }
  get uid(): number {
    return this.metadata.readUInt32LE(RowOffset.uid - METADATA_FROM);
  }
  get gid(): number {
    return this.metadata.readUInt32LE(RowOffset.gid - METADATA_FROM);
  }
  get linkCount(): number {
    return this.metadata.readUInt32LE(RowOffset.linkCount - METADATA_FROM);
  }
  get sizeBytes(): number {
    return sizeIn(this.metadata);
  }
  /** Modification time in ns, which is exact even if the row cannot represent it. */
  get mtimeNs(): bigint {
    const timeNs = this.metadata.readBigInt64LE(RowOffset.mtimeNs - METADATA_FROM);
    return exactMtimeNs(timeNs, this.attributes);
  }
  get ctimeNs(): bigint {
    return this.metadata.readBigInt64LE(RowOffset.ctimeNs - METADATA_FROM);
  }
  get birthTimeNs(): bigint {
    return this.metadata.readBigInt64LE(RowOffset.birthTimeNs - METADATA_FROM);
  }
  get inode(): bigint {
    return this.metadata.readBigUInt64LE(RowOffset.inode - METADATA_FROM);
  }
  get device(): bigint {
    return isDevice(this.type)
      ? this.metadata.readBigUInt64LE(RowOffset.device - METADATA_FROM)
      : 0n;
  }
  get linkTarget(): Buffer | undefined {
    return this.type === EntryType.symlink ? linkTargetOf(this.metadata) : undefined;
  }
  get attributes(): Buffer | undefined {
    return attributesOf(this.metadata);
  }
}

export function toEntry(columns: EntryColumns): CatalogEntry {
  return new StoredEntry(soundColumns(columns));
}

/**
 * Returns the columns unchanged if their types are right. Otherwise the metadata is replaced by a value that
 * `metadataFault` reports as damage.
 */
function soundColumns(columns: EntryColumns): EntryColumns {
  if (areSound(columns)) return columns;
  const sound: EntryColumns = [...columns];
  const name: unknown = columns[1];
  sound[1] = Buffer.isBuffer(name) ? name : Buffer.from(String(name));
  sound[7] = Buffer.alloc(0);
  return sound;
}

function areSound(columns: readonly unknown[]): boolean {
  const [directory, name, firstSet, lastSet, flags, contentId, childId, metadata, digest] = columns;
  const areNumbers = isNumber(directory) && isNumber(firstSet) && isNumber(flags);
  const areIds = isNumberOrNull(lastSet) && isNumberOrNull(contentId) && isNumberOrNull(childId);
  const isDigest = digest === null || (Buffer.isBuffer(digest) && digest.length === DIGEST_BYTES);
  return areNumbers && areIds && isDigest && Buffer.isBuffer(name) && Buffer.isBuffer(metadata);
}

function isNumber(value: unknown): boolean {
  return Number.isSafeInteger(value);
}

function isNumberOrNull(value: unknown): boolean {
  return value === null || Number.isSafeInteger(value);
}

/** Returns an entry of which only the name is meaningful, with the reason in `damage`. */
export function damagedEntry(
  { directory, firstSet, lastSet, name }: CatalogEntry,
  damage: TardisError,
  shownName: Buffer = name,
): CatalogEntry {
  const entry: { -readonly [F in keyof CatalogEntry]: CatalogEntry[F] } = entryOfParts({
    directory,
    name: shownName,
    firstSet,
    lastSet,
    metadata: blankMetadata(),
  });
  entry.damage = damage;
  return entry;
}
