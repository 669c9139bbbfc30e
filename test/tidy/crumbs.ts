/** Finds files that are too small for what they hold: below a limit, and needed by few other files. */
import path from 'node:path';

/** Lines below which a file needs importers. */
const SMALL_LINES = 40;
/** Importers that a small file needs. */
const NEEDED_IMPORTERS = 3;

const STATEMENT =
  /^(?:import|export)\b\s*(?:type\s*)?(?:\{([^}]*)\})?[^'"{};]*?\bfrom\s*'(\.[^']+)';/gm;

/** Rooms that still have such files. The list only shrinks: a room without one must leave it. */
const WAITING: ReadonlySet<string> = new Set([
  'src/client',
  'src/config',
  'src/crypto',
  'src/errors',
  'src/excludes',
  'src/history',
  'src/history/remote',
  'src/history/sealed',
  'src/history/wire',
  'src/maintenance/admin',
  'src/maintenance/bucket-versions',
  'src/maintenance/check',
  'src/maintenance/rebuild',
  'src/maintenance/rewrite',
  'src/model',
  'src/mount',
  'src/page/components',
  'src/page/logic',
  'src/pipeline',
  'src/restore',
  'src/server',
  'src/server/hosts',
  'src/server/ingest',
  'src/server/login',
  'src/server/storage',
  'src/store/bucket',
  'src/store/catalog',
  'src/store/objects',
  'src/store/writer',
  'src/system',
  'src/tools/lstardis',
  'src/tools/shared',
  'src/tools/sonic',
  'src/tools/tardis',
  'src/tools/tardis-web',
  'src/tools/tardisd',
  'src/tools/tardisfs',
  'src/transport',
  'src/web/api',
  'src/web/archive',
  'src/web/local',
  'src/web/remote',
  'src/workers',
]);

/** An import by a statement: the names that it takes, none for a whole module. */
interface Import {
  readonly from: string;
  readonly target: string;
  readonly names: readonly string[];
}

/**
 * Returns `file: importers` of each file of src with fewer than `SMALL_LINES` lines that fewer than
 * `NEEDED_IMPORTERS` others import, directly or through an index. Indexes may be small, and so may entry points: files
 * that none imports by a statement, since they are started or loaded on demand.
 */
export function crumbs(files: readonly string[], read: (file: string) => string): string[] {
  const imports = files.flatMap((file) => importsOf(file, read(file)));
  return files.flatMap((file) => {
    const isIndex = path.posix.basename(file) === 'index.ts';
    if (isIndex || read(file).split('\n').length - 1 >= SMALL_LINES) return [];
    const users = importersOf(file, imports);
    return users.size === 0 || users.size >= NEEDED_IMPORTERS
      ? []
      : [`${file}: ${[...users].join(', ')}`];
  });
}

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(STATEMENT)].map(([, names = '', specifier = '']) => ({
    from: file,
    target: path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, ''),
    names: names.split(',').flatMap((name) => {
      const [bare = ''] = name
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      return bare === '' ? [] : [bare];
    }),
  }));
}

/** Returns the files that import a file; in place of an index, those that take the same names from it. */
function importersOf(file: string, imports: readonly Import[]): Set<string> {
  const stem = file.replace(/\.tsx?$/, '');
  const direct = imports.filter(({ target }) => target === stem);
  return new Set(
    direct.flatMap(({ from, names }) => {
      if (path.posix.basename(from) !== 'index.ts') return [from];
      const through = imports.filter(
        (one) =>
          one.target === from.replace(/\.ts$/, '') &&
          one.names.some((name) => names.includes(name)),
      );
      return through.map((one) => one.from);
    }),
  );
}

/** Returns the small files outside of the rooms that still wait, and the rooms that need not wait. */
export function faultsOfSize(files: readonly string[], read: (file: string) => string): string[] {
  const found = crumbs(files, read);
  const roomOf = (fault: string): string => path.posix.dirname(fault.split(':')[0]!);
  const rooms = new Set(found.map(roomOf));
  return [
    ...found.filter((fault) => !WAITING.has(roomOf(fault))),
    ...[...WAITING].filter((room) => !rooms.has(room)).map((room) => `${room}: waits for nothing`),
  ];
}
