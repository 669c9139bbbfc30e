/** The parts of two large rooms: folders without an entrance of their own, of which each may import only lower ones. */
import path from 'node:path';

/**
 * The parts of each room, the lowest first, each with the parts that it may import. Files of the room itself, beside its
 * index, may import every part.
 */
export const PARTS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'src/store': {
    layout: [],
    backends: ['layout'],
    packs: ['backends', 'layout'],
    parity: ['backends', 'layout', 'packs'],
    client: ['backends', 'layout', 'packs'],
    bucket: ['backends', 'client', 'layout', 'packs', 'parity'],
    accounts: ['bucket', 'client', 'layout'],
    open: ['bucket', 'client', 'layout'],
  },
  'src/server': {
    jobs: [],
    limits: [],
    login: ['limits'],
    ingest: ['jobs', 'storage'],
    storage: ['ingest', 'jobs', 'queries'],
    monitor: ['storage'],
    queries: ['jobs', 'login', 'monitor', 'storage'],
  },
};

/** Parts that import each other: threads open sessions, whose types they share. */
export const CIRCLES: readonly (readonly string[])[] = [
  ['src/server/ingest', 'src/server/storage', 'src/server/monitor', 'src/server/queries'],
];

const IMPORT = /\b(?:import|export)\b[^'"]*?\bfrom\s*'(\.[^']+)'|\bimport\('(\.[^']+)'\)/g;

/** Returns the room and the part of a file; undefined for a file of no part. */
function partOf(file: string): { readonly room: string; readonly part: string } | undefined {
  for (const [room, parts] of Object.entries(PARTS)) {
    const part = file.startsWith(`${room}/`) ? file.slice(room.length + 1).split('/')[0]! : '';
    if (parts[part] !== undefined) return { room, part };
  }
  return undefined;
}

/** Returns the parts of its own room that a file imports. */
function importedParts(file: string, text: string): string[] {
  const from = partOf(file);
  if (from === undefined) return [];
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const target = path.posix.join(path.posix.dirname(file), match[1] ?? match[2]!);
    const to = partOf(target);
    return to?.room !== from.room || to.part === from.part ? [] : [to.part];
  });
}

/** Returns `file: part` of each import of a part that the file's part must not import. */
export function importsAbove(file: string, text: string): string[] {
  const from = partOf(file);
  if (from === undefined) return [];
  const allowed = PARTS[from.room]![from.part]!;
  return importedParts(file, text).flatMap((to) =>
    allowed.includes(to) ? [] : [`${file}: ${to}`],
  );
}

/** Returns the permissions that no file uses, as `room/part: other`. */
export function idleArrows(files: readonly string[], read: (file: string) => string): string[] {
  const used = new Set(
    files.flatMap((file) => {
      const from = partOf(file);
      return importedParts(file, read(file)).map((to) => `${from!.room}/${from!.part}: ${to}`);
    }),
  );
  const all = Object.entries(PARTS).flatMap(([room, parts]) =>
    Object.entries(parts).flatMap(([part, others]) => others.map((to) => `${room}/${part}: ${to}`)),
  );
  return all.filter((arrow) => !used.has(arrow));
}

/** Returns the parts from which arrows lead back to them, except along the circles that are known. */
export function unknownCircles(): string[] {
  return Object.entries(PARTS).flatMap(([room, parts]) => {
    const leadsBack = (part: string, goal: string, seen: Set<string>): boolean =>
      (parts[part] ?? []).some((next) => {
        if (areOneCircle(`${room}/${part}`, `${room}/${next}`)) return false;
        if (next === goal) return true;
        if (seen.has(next)) return false;
        seen.add(next);
        return leadsBack(next, goal, seen);
      });
    return Object.keys(parts)
      .filter((part) => leadsBack(part, part, new Set()))
      .map((part) => `${room}/${part}`);
  });
}

function areOneCircle(one: string, other: string): boolean {
  return CIRCLES.some((circle) => circle.includes(one) && circle.includes(other));
}
