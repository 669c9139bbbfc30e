/**
 * Codec of the locations of contents, which are lists of pieces. Each list is sent once, since contents share the list
 * of a common basis.
 */
import { MAX_CHAIN } from '../../contents/index.js';
import { DIGEST_BYTES } from '../../model/index.js';
import { type Body, MAX_LOCATED, PIECE_NUMBERS } from '../../transport/index.js';
import type { ContentLocation, ContentPiece } from '../history.js';
import { asIs, type Coder, odd, refused } from './coder.js';

type Fields = Body<'placesAre'>;
type Requested = Body<'readPlaces'>;

const NONE = 0;
const MISSING = -1;

/** Collects lists of pieces, each list once, since the parts of a content share the pieces of their basis. */
class PieceLists {
  readonly fields = {
    places: [] as number[],
    lengths: [] as number[],
    numbers: [] as number[],
    digests: [] as Buffer[],
    objects: [] as string[],
  } satisfies Fields;
  private readonly lists = new Map<readonly ContentPiece[], number>();
  private readonly objects = new Map<string, number>();

  /** Adds a list and returns its number, from 1. The lists of its bases have lower numbers. */
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

export const PLACES_REQUEST = asIs<'readPlaces'>(({ contents }) => {
  if (contents.length > MAX_LOCATED) throw refused('a number of contents');
});

/** The locations of the requested contents, in their order. */
export const PLACES: Coder<readonly ContentLocation[], Fields, Requested> = {
  toWire: (locations) => {
    const lists = new PieceLists();
    for (const pieces of locations) {
      lists.fields.places.push(pieces === undefined ? MISSING : lists.put(pieces));
    }
    return lists.fields;
  },
  fromWire: (fields, { contents }) => placesFromWire(fields, contents.length),
};

/**
 * Decodes locations of contents. Throws PROTOCOL_VIOLATION if they are malformed, or if their number is not `expected`.
 */
function placesFromWire(fields: Fields, expected: number): ContentLocation[] {
  const { places, lengths, numbers, digests } = fields;
  if (places.length !== expected || numbers.length !== digests.length * PIECE_NUMBERS) {
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
  { numbers, digests, objects }: Fields,
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
