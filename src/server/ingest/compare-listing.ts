/**
 * Compares a page of a listing with the head, as one walk over two sorted sequences. Entries that are gone are closed.
 * For each other entry, the result is whether it differs. The client then sends the rows that differ in their final
 * form, with their contents and attributes.
 */
import { protocolViolation } from '../../errors/index.js';
import {
  attributesHash,
  attributesOf,
  type ContentId,
  ENTRY_SEAL_BYTES,
  EntryType,
  forEachRow,
  KNOWN_BYTES,
  LARGE_FILE_BYTES,
  NO_BYTES,
  readAttributes,
  RowFlag,
  type RowReader,
  sameMetadata,
  SEAL_ATTRIBUTE,
  SEALED_ATTRIBUTES,
} from '../../model/index.js';
import type { Catalog, HeadRow } from '../../store/catalog/index.js';
import type { SetJournal } from '../../store/writer/index.js';
import { Wanted } from '../../transport/index.js';
import type { Slots, SlotState } from './slots.js';

/** A name that sorts after every possible name. */
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);

/** Rules of the set for comparing rows. */
export interface ComparingRules {
  /**
   * True if the session trusts the account that wrote the stored entry. An untrusted entry counts as changed, even if
   * it looks unchanged.
   */
  isTrusted(head: HeadRow): boolean;
  /**
   * True if a stored content need not be stored again. A full set stores contents again that are stored as deltas. A
   * session of the client itself stores contents again that came from its accounts.
   */
  isStoredWell(contentId: ContentId): boolean;
  /** Called when a large file differs from its stored entry. */
  onChanged(at: number, head: HeadRow): unknown;
}

/** The parts of a set that the comparison of its listings uses. */
interface ComparedSet {
  readonly catalog: Catalog;
  readonly journal: SetJournal;
  readonly slots: Slots;
  readonly rules: ComparingRules;
}

/** A page of the listing of a slot. */
interface ListedPage {
  readonly slot: SlotState;
  readonly rows: RowReader;
  readonly isLast: boolean;
}

/** The result for one page. */
export interface Compared {
  /** A `Wanted` for each row. */
  readonly wanted: Uint8Array;
  /**
   * Data that an encrypting client needs to seal the listing without its unchanged entries (see `KnownEntries`):
   * KNOWN_BYTES for each row. Empty if no row equals a sealed entry.
   */
  readonly known: Buffer;
  /** Names of protected mount points that are missing from the listing; their entries are kept. */
  readonly gone: readonly Buffer[];
}

/** Compares one page; the pages of a slot are in order. Throws PROTOCOL_VIOLATION. */
export function compareListing(set: ComparedSet, page: ListedPage): Compared {
  const { catalog, journal, slots } = set;
  const { slot, rows, isLast } = page;
  const after = slot.listedUpTo;
  let last: Buffer = after;
  forEachRow(rows, (at) => {
    last = rows.name(at);
  });
  const upTo = isLast ? NAME_MAX : last;
  if (Buffer.compare(after, upTo) > 0) throw protocolViolation('a listing went backwards');
  slot.listedUpTo = Buffer.from(upTo);
  const head = slot.isNew ? [] : catalog.entries.headRange(slot.directory, after, upTo);
  const gone: Buffer[] = [];
  let headAt = 0;
  /** Closes the head's entries before `name`; returns the open row of `name`, if there is one. */
  const advanceTo = (name: Buffer): HeadRow | undefined => {
    for (;;) {
      const open = head[headAt];
      if (open === undefined) return undefined;
      const order = Buffer.compare(open.name, name);
      if (order > 0) return undefined;
      headAt += 1;
      if (order === 0) return open;
      if (slots.isMountKept(open, rows, undefined)) gone.push(Buffer.from(open.name));
      else journal.remove(slot, open.name);
    }
  };
  const wanted: number[] = [];
  const known = new KnownEntries();
  forEachRow(rows, (at) => {
    const open = advanceTo(rows.name(at));
    const want = compareRow(set, page, at, open);
    if (want === Wanted.no) known.add(wanted.length, open);
    wanted.push(want);
  });
  advanceTo(upTo);
  if (gone.length > 0 || wanted.includes(Wanted.protected)) slot.hasProtectedMounts = true;
  return { wanted: Uint8Array.from(wanted), known: known.take(wanted.length), gone };
}

function compareRow(
  { catalog, slots, rules }: ComparedSet,
  { slot, rows }: ListedPage,
  at: number,
  head: HeadRow | undefined,
): number {
  if ((rows.flags(at) & RowFlag.unreadable) !== 0) return Wanted.no; // an unreadable entry is not deleted
  if (head !== undefined && slots.isMountKept(head, rows, at)) return Wanted.protected;
  const isSame =
    head !== undefined &&
    (head.flags & RowFlag.unsettled) === 0 &&
    rules.isTrusted(head) &&
    sameMetadata(head.metadata, rows, at);
  if (rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0) {
    const isThere = isSame && head.isStored;
    const isWell = head?.contentId === undefined || rules.isStoredWell(head.contentId);
    if (isThere && isWell) return Wanted.no;
    if (head !== undefined && rows.sizeBytes(at) > LARGE_FILE_BYTES) rules.onChanged(at, head);
    return wantFile(catalog, rows.sizeBytes(at));
  }
  const childId = slots.childOf(slot, rows, at);
  return isSame && head.childId === childId && !slots.hasMoved(childId) ? Wanted.no : Wanted.yes;
}

function wantFile(catalog: Catalog, sizeBytes: number): number {
  if (sizeBytes <= LARGE_FILE_BYTES) return Wanted.yes;
  const { contents } = catalog;
  const isKnown = contents.hasLargeOfSize(sizeBytes) || contents.hasPartsOfFile(sizeBytes);
  return isKnown ? Wanted.hashFirst : Wanted.yes;
}

/**
 * Data about unchanged entries, for a client that encrypts: for each, its seal, and the hash of its sealed attributes,
 * which the client's own listing does not contain. With them, the client seals a changed listing without sending these
 * entries again.
 */
class KnownEntries {
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
    if (this.found.length === 0) return NO_BYTES;
    const known = Buffer.alloc(rows * KNOWN_BYTES);
    for (const { index, bytes } of this.found) bytes.copy(known, index * KNOWN_BYTES);
    return known;
  }
}
