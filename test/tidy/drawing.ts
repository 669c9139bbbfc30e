/** Compares the drawing of the rooms in ARCHITECTURE.md with the table of imports. */
import { MAY_IMPORT } from './imports.js';

/** The block of code whose first line begins with the programs. */
const DRAWING = /\n```\n(tools [\s\S]+?)\n```/;
/** In a line with it, each room may import those to its right. */
const CHAIN = '▸';

/** A room's line in the drawing, from above, and its place in a chain. */
interface Place {
  readonly line: number;
  readonly link: number;
}

/** Returns the place of each room in the drawing of this text. `…/` stands for the folder of the only room of that name. */
function placesOf(text: string): Map<string, Place> {
  const lines = DRAWING.exec(text)?.[1]?.split('\n') ?? [];
  const places = lines.flatMap((words, line) =>
    words
      .split(/\s+/)
      .filter((word) => word !== '' && word !== CHAIN)
      .map((word, at): [string, Place] => [
        fullName(word),
        { line, link: words.includes(CHAIN) ? at : 0 },
      ]),
  );
  return new Map(places);
}

function fullName(word: string): string {
  const end = word.replace('…', '');
  return end === word ? word : (Object.keys(MAY_IMPORT).find((room) => room.endsWith(end)) ?? word);
}

/** Returns a sentence for each room that the drawing lacks or invents, and for each import that does not point down in it. */
export function faultsOfDrawing(text: string): string[] {
  const places = placesOf(text);
  const rooms = Object.keys(MAY_IMPORT);
  return [
    ...rooms.filter((room) => !places.has(room)).map((room) => `${room} is missing`),
    ...[...places.keys()]
      .filter((room) => !rooms.includes(room))
      .map((room) => `${room} is not in the table of imports`),
    ...rooms.flatMap((from) =>
      MAY_IMPORT[from]!.filter((to) => !isBelow(places.get(to), places.get(from))).map(
        (to) => `${to} is not below ${from}, which may import it`,
      ),
    ),
  ];
}

function isBelow(low: Place | undefined, high: Place | undefined): boolean {
  if (low === undefined || high === undefined) return true; // reported as missing
  return low.line > high.line || (low.line === high.line && low.link > high.link);
}
