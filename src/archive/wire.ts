/**
 * Answers about a client's history as fields of messages, and back. What comes from the other side is
 * checked here: after it no number, row or name can lead a reader astray.
 */
import { type BackupSet, entryOfParts } from '../catalog/index.js';
import { MAX_CHAIN } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import {
  BytesBuilder,
  checkRows,
  DIGEST_BYTES,
  forEachRow,
  isSetMarks,
  joinRow,
  metadataOf,
  type SetMarks,
} from '../model/index.js';
import { ENTRY_NUMBERS, type Head, PIECE_NUMBERS } from '../transport/index.js';
import type { ArchiveEntry, ContentLocation, ContentPiece, PathVersion } from './archive.js';

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

/** Throws PROTOCOL_VIOLATION. */
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

/** `more`: there are further ones than these. */
export function entriesToWire(
  entries: readonly ArchiveEntry[],
  more: boolean,
  spans: readonly number[] = [],
): Fields<'entriesAre'> {
  const rows = new BytesBuilder(entries.length * ROW_HINT_BYTES);
  const numbers: number[] = [];
  for (const entry of entries) {
    const { directory, firstSet, lastSet, contentId, childId, flags } = entry;
    rows.append(joinRow(entry.metadata, entry.name, entry.digest));
    numbers.push(directory, firstSet, lastSet ?? NONE, contentId ?? NONE, childId ?? NONE, flags);
  }
  return { rows: rows.take(), numbers, spans: [...spans], more };
}

const ROW_HINT_BYTES = 160;

/** Throws PROTOCOL_VIOLATION. */
export function entriesFromWire({ rows: bytes, numbers }: Fields<'entriesAre'>): ArchiveEntry[] {
  const rows = checkRows(bytes, false);
  const entries: ArchiveEntry[] = [];
  forEachRow(rows, (at) => {
    const from = entries.length * ENTRY_NUMBERS;
    const [directory, firstSet, lastSet, contentId, childId, flags] = numbers.slice(
      from,
      from + ENTRY_NUMBERS,
    );
    if (flags === undefined || flags > 0xff) throw odd('entries');
    const given = (value: number | undefined): number | undefined =>
      value === NONE ? undefined : value;
    entries.push(
      entryOfParts({
        directory: directory!,
        name: Buffer.from(rows.name(at)),
        firstSet: firstSet!,
        lastSet: given(lastSet),
        flags,
        contentId: given(contentId),
        childId: given(childId),
        metadata: metadataOf(rows, at),
        digest: rows.hasDigest(at) ? Buffer.from(rows.digest(at)) : undefined,
      }),
    );
  });
  if (numbers.length !== entries.length * ENTRY_NUMBERS) throw odd('entries');
  return entries;
}

export function versionsToWire(versions: readonly PathVersion[]): Fields<'entriesAre'> {
  const spans = versions.flatMap(({ firstSet, lastSet }) => [firstSet, lastSet ?? NONE]);
  const entries = versions.map(({ entry }) => entry);
  return entriesToWire(entries, false, spans);
}

/** Throws PROTOCOL_VIOLATION. */
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

/** Lists of pieces, each once: the parts of a content share the pieces of their basis. */
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

  /** The number of a list, from 1 on; those of its bases have lower ones. */
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

/** Throws PROTOCOL_VIOLATION, also where there are not as many as were asked for. */
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
      const below = lists[basis - 1]; // only lists before this one: there is no circle
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

function odd(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `the ${what} in an answer do not add up`);
}
