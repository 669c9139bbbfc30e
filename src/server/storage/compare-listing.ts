/**
 * Compares a page of a listing with the head, as one walk over two sorted runs: what is gone is
 * closed, and of the others it is told whether they differ. A row that does is sent again when it is
 * final, with its content and attributes.
 */
import type { Catalog, HeadRow } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import {
  EntryType,
  forEachRow,
  LARGE_FILE_BYTES,
  RowFlag,
  type RowReader,
  sameMetadata,
} from '../../model/index.js';
import { Wanted } from '../../transport/index.js';
import { KnownEntries } from './known-entries.js';
import type { SetJournal } from '../../keeper/index.js';
import type { Slots, SlotState } from './slots.js';

/** Behind every name there can be. */
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);

/** What else is to be known and done about rows. */
export interface ComparingRules {
  /** Whether a content that is there may stay as it is stored. */
  isStoredWell(contentId: number): boolean;
  /** A large file differs from what is stored of it. */
  onChanged(at: number, head: HeadRow): unknown;
}

/** What is told of a page. */
export interface Compared {
  /** A `Wanted` for each row. */
  readonly wanted: Uint8Array;
  /** What the client knows unchanged entries by, if it seals them: KNOWN_BYTES for each row; else empty. */
  readonly known: Buffer;
}

/** Pages of a slot come in order. Throws PROTOCOL_VIOLATION. */
export function compareListing(
  catalog: Catalog,
  journal: SetJournal,
  slots: Slots,
  slot: SlotState,
  rows: RowReader,
  isLast: boolean,
  rules: ComparingRules,
): Compared {
  const after = slot.listedUpTo;
  let last: Buffer = after;
  forEachRow(rows, (at) => {
    last = rows.name(at);
  });
  const upTo = isLast ? NAME_MAX : last;
  if (Buffer.compare(after, upTo) > 0) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a listing went backwards');
  }
  slot.listedUpTo = Buffer.from(upTo);
  const head = slot.isNew ? [] : catalog.entries.headRange(slot.directory, after, upTo);
  let headAt = 0;
  /** Closes what stands before `name` in the head; the open row of that name, if there is one. */
  const advanceTo = (name: Buffer): HeadRow | undefined => {
    for (;;) {
      const open = head[headAt];
      if (open === undefined) return undefined;
      const order = Buffer.compare(open.name, name);
      if (order > 0) return undefined;
      headAt += 1;
      if (order === 0) return open;
      journal.remove(slot, open.name);
    }
  };
  const wanted: number[] = [];
  const known = new KnownEntries();
  forEachRow(rows, (at) => {
    const open = advanceTo(rows.name(at));
    const want = compareRow(catalog, slots, slot, rows, at, open, rules);
    if (want === Wanted.no) known.add(wanted.length, open);
    wanted.push(want);
  });
  advanceTo(upTo);
  return { wanted: Uint8Array.from(wanted), known: known.take(wanted.length) };
}

function compareRow(
  catalog: Catalog,
  slots: Slots,
  slot: SlotState,
  rows: RowReader,
  at: number,
  head: HeadRow | undefined,
  rules: ComparingRules,
): number {
  if ((rows.flags(at) & RowFlag.unreadable) !== 0) return Wanted.no; // unreadable is not deleted
  const isSame =
    head !== undefined &&
    (head.flags & RowFlag.unsettled) === 0 &&
    sameMetadata(head.metadata, rows, at);
  if (rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0) {
    const isThere = isSame && head.isStored;
    const isWell = head?.contentId === undefined || rules.isStoredWell(head.contentId);
    if (isThere && isWell) return Wanted.no;
    if (head !== undefined && rows.sizeBytes(at) > LARGE_FILE_BYTES) rules.onChanged(at, head);
    return wantFile(catalog, rows.sizeBytes(at));
  }
  const childId = slots.childOf(slot, rows, at);
  return isSame && head.childId === childId ? Wanted.no : Wanted.yes;
}

function wantFile(catalog: Catalog, sizeBytes: number): number {
  if (sizeBytes <= LARGE_FILE_BYTES) return Wanted.yes;
  const { contents } = catalog;
  const isKnown = contents.hasLargeOfSize(sizeBytes) || contents.hasPartsOfFile(sizeBytes);
  return isKnown ? Wanted.hashFirst : Wanted.yes;
}
