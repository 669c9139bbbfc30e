/** The parts of two large rooms: folders without an entrance of their own, of which each may import only lower ones. */
import { relativeImports } from './imports.js';

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
    open: ['accounts', 'bucket', 'client', 'layout'],
  },
  'src/server': {
    jobs: [],
    limits: [],
    login: ['limits'],
    storage: ['jobs'],
    ingest: ['jobs', 'storage'],
    monitor: ['storage'],
    queries: ['jobs', 'storage'],
    hosts: ['ingest', 'queries', 'storage'],
  },
};

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
  return relativeImports(file, text).flatMap(({ target }) => {
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

/** Returns the permissions by which a part may import itself or a higher one, as `room/part: other`. */
export function arrowsUp(): string[] {
  return Object.entries(PARTS).flatMap(([room, parts]) => {
    const order = Object.keys(parts);
    return Object.entries(parts).flatMap(([part, others]) =>
      others
        .filter((other) => order.indexOf(other) >= order.indexOf(part))
        .map((other) => `${room}/${part}: ${other}`),
    );
  });
}
