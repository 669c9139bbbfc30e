/**
 * Converts a client's history to fields of messages and back. Data from the peer is checked here: after this, no
 * number, row or name in it can mislead a reader.
 */
import { type BackupSet, damagedEntry, entryOfParts } from '../../store/catalog/index.js';
import { MAX_CHAIN } from '../../delta/index.js';
import { TardisError } from '../../errors/index.js';
import {
  BytesBuilder,
  checkRows,
  DIGEST_BYTES,
  forEachRow,
  isEntryName,
  isSetMarks,
  joinRow,
  metadataOf,
  type SetMarks,
} from '../../model/index.js';
import { ENTRY_NUMBERS, type Head, PIECE_NUMBERS } from '../../transport/index.js';
import type { HistoryEntry, ContentLocation, ContentPiece, PathVersion } from '../history.js';

type Told = 'setsAre' | 'entriesAre' | 'placesAre';
type Fields<N extends Told> = {
  [F in keyof Head<N> as string extends F ? never : F extends 'question' ? never : F]: Head<N>[F];
};

const SET_NUMBERS = 5;
const STATES: readonly string[] = ['unfinished', 'complete', 'superseded'];
const NONE = 0;

export function setsToWire(sets: readonly BackupSet[]): Fields<'setsAre'> {
  return {
    numbers: sets.flatMap(({ set, openedAtMs, clientTimeMs, closedAtMs, isDoubtful }) => [
      set,
      openedAtMs,
      clientTimeMs,
      closedAtMs ?? -1,
      isDoubtful ? 1 : 0,
    ]),
    names: sets.map(({ name }) => name),
    states: sets.map(({ state }) => state),
    stats: sets.map(({ stats }) => JSON.stringify(stats)),
    firstNames: sets.map(({ firstName }) => firstName),
    marks: sets.map(({ marks }) => JSON.stringify(marks)),
  };
}

/** Decodes sets. Throws PROTOCOL_VIOLATION. */
export function setsFromWire(told: Fields<'setsAre'>): BackupSet[] {
  const { numbers, names, states, stats, firstNames, marks } = told;
  const count = names.length;
  const isWhole =
    numbers.length === count * SET_NUMBERS &&
    [states, stats, firstNames, marks].every(({ length }) => length === count);
  if (!isWhole || !states.every((state) => STATES.includes(state))) throw odd('sets');
  return names.map((name, index) => {
    const at = index * SET_NUMBERS;
    const closedAtMs = numbers[at + 3]!;
    return {
      set: numbers[at]!,
      name,
      firstName: firstNames[index]!,
      state: states[index] as BackupSet['state'],
      openedAtMs: numbers[at + 1]!,
      clientTimeMs: numbers[at + 2]!,
      closedAtMs: closedAtMs < 0 ? undefined : closedAtMs,
      stats: statsOf(stats[index]!),
      marks: marksOf(marks[index]!),
      isDoubtful: numbers[at + 4] === 1,
    };
  });
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TardisError('PROTOCOL_VIOLATION', `${what} of a set make no sense`, {}, error);
  }
}

function marksOf(text: string): SetMarks {
  const marks = parsed(text, 'marks');
  if (!isSetMarks(marks)) throw odd('marks of a set');
  return marks;
}

function statsOf(text: string): Record<string, number> {
  const stats = parsed(text, 'figures');
  if (typeof stats !== 'object' || stats === null) throw odd('figures of a set');
  const isCount = (entry: [string, unknown]): entry is [string, number] =>
    Number.isFinite(entry[1]);
  return Object.fromEntries(Object.entries(stats).filter(isCount));
}

/** Encodes entries. `more` is true if further entries follow. */
export function entriesToWire(
  entries: readonly HistoryEntry[],
  more: boolean,
  spans: readonly number[] = [],
): Fields<'entriesAre'> {
  const rows = new BytesBuilder(entries.length * ROW_HINT_BYTES);
  const numbers: number[] = [];
  for (const entry of entries) {
    const { directory, firstSet, lastSet, contentId, childId, name } = entry;
    const isNamed = isEntryName(name);
    const flags = entry.damage === undefined && isNamed ? entry.flags : DAMAGED_FLAG;
    rows.append(joinRow(entry.metadata, isNamed ? name : NO_NAME, entry.digest));
    numbers.push(directory, firstSet, lastSet ?? NONE, contentId ?? NONE, childId ?? NONE, flags);
  }
  return { rows: rows.take(), numbers, spans: [...spans], more };
}

const ROW_HINT_BYTES = 160;
/** Value sent for the flags of a damaged entry, of which only the name is known. */
const DAMAGED_FLAG = 0x100;
/** Name sent for an entry whose own name is invalid. */
const NO_NAME: Buffer = Buffer.from('?');

/** Decodes entries. Throws PROTOCOL_VIOLATION. */
export function entriesFromWire({ rows: bytes, numbers }: Fields<'entriesAre'>): HistoryEntry[] {
  const rows = checkRows(bytes, false);
  const entries: HistoryEntry[] = [];
  forEachRow(rows, (at) => {
    const from = entries.length * ENTRY_NUMBERS;
    const [directory, firstSet, lastSet, contentId, childId, flags] = numbers.slice(
      from,
      from + ENTRY_NUMBERS,
    );
    if (flags === undefined || flags > DAMAGED_FLAG) throw odd('entries');
    const given = (value: number | undefined): number | undefined =>
      value === NONE ? undefined : value;
    const isDamaged = flags === DAMAGED_FLAG;
    const entry = entryOfParts({
      directory: directory!,
      name: Buffer.from(rows.name(at)),
      firstSet: firstSet!,
      lastSet: given(lastSet),
      flags: isDamaged ? 0 : flags,
      contentId: given(contentId),
      childId: given(childId),
      metadata: metadataOf(rows, at),
      digest: rows.hasDigest(at) ? Buffer.from(rows.digest(at)) : undefined,
    });
    entries.push(isDamaged ? damagedEntry(entry, rowDamaged()) : entry);
  });
  if (numbers.length !== entries.length * ENTRY_NUMBERS) throw odd('entries');
  return entries;
}

export function versionsToWire(versions: readonly PathVersion[]): Fields<'entriesAre'> {
  const spans = versions.flatMap(({ firstSet, lastSet }) => [firstSet, lastSet ?? NONE]);
  const entries = versions.map(({ entry }) => entry);
  return entriesToWire(entries, false, spans);
}

/** Decodes versions of a path. Throws PROTOCOL_VIOLATION. */
export function versionsFromWire(head: Fields<'entriesAre'>): PathVersion[] {
  const entries = entriesFromWire(head);
  const { spans } = head;
  if (spans.length !== entries.length * 2) throw odd('versions');
  return entries.map((entry, index) => {
    const lastSet = spans[index * 2 + 1]!;
    return {
      entry,
      firstSet: spans[index * 2]!,
      lastSet: lastSet === NONE ? undefined : lastSet,
    };
  });
}

const MISSING = -1;

/** Collects lists of pieces, each list once, since the parts of a content share the pieces of their basis. */
class PieceLists {
  readonly fields: Fields<'placesAre'> = {
    places: [],
    lengths: [],
    numbers: [],
    digests: [],
    objects: [],
  };
  private readonly lists = new Map<readonly ContentPiece[], number>();
  private readonly objects = new Map<string, number>();

  /** Returns the number of a list, from 1. The lists of its bases have lower numbers. */
  put(pieces: readonly ContentPiece[]): number {
    const known = this.lists.get(pieces);
    if (known !== undefined) return known;
    const bases = pieces.map(({ basis }) => (basis === undefined ? NONE : this.put(basis)));
    const { lengths, numbers, digests } = this.fields;
    pieces.forEach((piece, index) => {
      const { object, position, recordBytes, offset, sizeBytes, digest } = piece;
      const name = this.objectNumber(object);
      numbers.push(name, position, recordBytes, offset, sizeBytes, bases[index]!);
      digests.push(Buffer.from(digest));
    });
    lengths.push(pieces.length);
    this.lists.set(pieces, lengths.length);
    return lengths.length;
  }

  private objectNumber(object: string): number {
    let number = this.objects.get(object);
    if (number === undefined) {
      number = this.objects.size;
      this.objects.set(object, number);
      this.fields.objects.push(object);
    }
    return number;
  }
}

export function placesToWire(locations: readonly ContentLocation[]): Fields<'placesAre'> {
  const lists = new PieceLists();
  for (const pieces of locations) {
    lists.fields.places.push(pieces === undefined ? MISSING : lists.put(pieces));
  }
  return lists.fields;
}

/** Decodes locations of contents. Throws PROTOCOL_VIOLATION, for example if their number is not `asked`. */
export function placesFromWire(fields: Fields<'placesAre'>, asked: number): ContentLocation[] {
  const { places, lengths, numbers, digests } = fields;
  if (places.length !== asked || numbers.length !== digests.length * PIECE_NUMBERS) {
    throw odd('places');
  }
  const lists: { pieces: ContentPiece[]; depth: number }[] = [];
  let next = 0;
  for (const length of lengths) {
    if (length > digests.length - next) throw odd('places');
    let depth = 0;
    const pieces = Array.from({ length }, (_, index) => {
      const { piece, basis } = pieceAt(fields, next + index);
      if (basis === NONE) return piece;
      const below = lists[basis - 1]; // only earlier lists count, so there is no cycle
      if (below === undefined) throw odd('places');
      depth = Math.max(depth, below.depth + 1);
      return { ...piece, basis: below.pieces };
    });
    if (depth > MAX_CHAIN) throw odd('places');
    lists.push({ pieces, depth });
    next += length;
  }
  if (next !== digests.length) throw odd('places');
  return places.map((place) => {
    if (place === MISSING) return undefined;
    const list = lists[place - 1];
    if (list === undefined) throw odd('places');
    return list.pieces;
  });
}

function pieceAt(
  { numbers, digests, objects }: Fields<'placesAre'>,
  index: number,
): { piece: ContentPiece; basis: number } {
  const at = index * PIECE_NUMBERS;
  const digest = digests[index];
  const [object, position, recordBytes, offset, sizeBytes, basis] = numbers.slice(
    at,
    at + PIECE_NUMBERS,
  );
  const name = objects[object ?? -1];
  if (name === undefined || basis === undefined || digest?.length !== DIGEST_BYTES) {
    throw odd('places');
  }
  const place = { object: name, position: position!, recordBytes: recordBytes! };
  const piece = { ...place, offset: offset!, sizeBytes: sizeBytes!, digest };
  return { piece, basis };
}

function rowDamaged(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'its row in the catalog of the server is damaged');
}

function odd(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `the ${what} in an answer do not add up`);
}
