/**
 * Examines the entries of a sealed listing that do not match their seals. The seal of a listing covers the seals of
 * its entries. It therefore shows whether an entry or its seal is damaged, and proves all other entries.
 */
import { damagedEntry } from '../../store/catalog/index.js';
import { type Keyring, SealSum } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  appendRow,
  BytesBuilder,
  metadataFault,
  readAttributes,
  attributesOf,
  SEAL_BYTES,
} from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { HistoryEntry } from '../history.js';

/** Bytes that precede the value of the attribute with the seal: the lengths of name and value, and the name. */
const SEAL_HEAD: Buffer = Buffer.from([4, 0, 32, 0, 0, 0, ...Buffer.from('seal')]);
const HASH_BYTES = 32;
/** Maximum number of doubted entries in one listing; each may double the combinations to try. */
const MAX_DOUBTED = 8;
const ROW_HINT_BYTES = 256;

/** An entry that does not match its seal. */
export interface DoubtedEntry {
  /** The stand-in that is shown for the entry. */
  readonly shown: HistoryEntry;
  /** The stored seal of the entry; undefined if none can be found. */
  readonly seal: Buffer | undefined;
  /** The entry with a seal that matches it; undefined if the entry itself is malformed. */
  readonly mended: { readonly entry: HistoryEntry; readonly seal: Buffer } | undefined;
}

/** Returns the error for an entry that is not as the client sealed it. */
function notAsSealed(): TardisError {
  return new TardisError('NOT_AUTHENTIC', 'its entry is not as the client sealed it');
}

/** Returns an entry that does not match its seal, with its stored seal and its repaired form. */
export function doubtEntry(
  sealed: HistoryEntry,
  keyring: Keyring,
  native: NativeCalls,
): DoubtedEntry {
  const shown = damagedEntry(sealed, sealed.damage ?? notAsSealed(), openedName(sealed, keyring));
  const { metadata } = sealed;
  const at = metadata.indexOf(SEAL_HEAD) + SEAL_HEAD.length;
  if (at < SEAL_HEAD.length || at + HASH_BYTES > metadata.length) {
    return { shown, seal: undefined, mended: undefined };
  }
  const seal = Buffer.from(metadata.subarray(at, at + SEAL_BYTES));
  if (sealed.damage !== undefined || metadataFault(metadata) !== undefined) {
    return { shown, seal, mended: undefined };
  }
  const row = new BytesBuilder(ROW_HINT_BYTES);
  appendRow(row, metadata, sealed.name);
  const [, hidden] = readAttributes(attributesOf(metadata));
  const hash = Buffer.alloc(HASH_BYTES);
  if (hidden !== undefined) native.sha256(hidden.value, 0, hidden.value.length, hash, 0);
  const content = metadata.subarray(at + SEAL_BYTES, at + 2 * SEAL_BYTES);
  const unlisted = Buffer.concat([content, hash.subarray(0, SEAL_BYTES)]);
  const fitting = keyring.tree.sealOf(row.view(), unlisted);
  const mended = Buffer.from(metadata);
  fitting.copy(mended, at);
  const entry = Object.create(sealed, { metadata: { value: mended, writable: true } });
  return { shown, seal, mended: { entry: entry as HistoryEntry, seal: fitting } };
}

/** Returns the opened name of an entry, or its sealed name if that cannot be opened. */
function openedName({ name }: HistoryEntry, { names }: Keyring): Buffer {
  try {
    return names.openName(name);
  } catch (error) {
    if (!(error instanceof TardisError)) throw error;
    return name;
  }
}

/**
 * Returns the doubted entries that are right although their seals are damaged: with them, the listing adds up to its
 * seal. `proven` is the sum of the other entries. Returns undefined if no combination adds up, or if there are more
 * than MAX_DOUBTED.
 */
export function settleDoubts(
  doubted: readonly DoubtedEntry[],
  proven: SealSum,
  isListing: (sum: SealSum) => boolean,
  { tree }: Keyring,
): ReadonlySet<DoubtedEntry> | undefined {
  if (doubted.length > MAX_DOUBTED) return undefined;
  for (let choice = 0; choice < 1 << doubted.length; choice += 1) {
    const right = new Set(doubted.filter((_, index) => (choice & (1 << index)) !== 0));
    const sum = new SealSum().set(proven);
    let isPossible = true;
    for (const entry of doubted) {
      const seal = right.has(entry) ? entry.mended?.seal : entry.seal;
      if (seal === undefined) isPossible = false;
      else tree.addEntry(seal, sum);
    }
    if (isPossible && isListing(sum)) return right;
  }
  return undefined;
}
