/** Finds files that are too small for what they hold: below a limit, and needed by few other files. */
import path from 'node:path';

/** Lines below which a file needs importers. */
const SMALL_LINES = 40;
/** Importers that a small file needs. */
const NEEDED_IMPORTERS = 3;

const STATEMENT =
  /^(?:import|export)\b\s*(type\b\s*)?(?:\{([^}]*)\})?[^'"{};]*?\bfrom\s*'(\.[^']+)';/gm;
const ON_DEMAND = /\bimport\(\s*'(\.[^']+)'/g;

/** An import by a statement: the names that it takes, none for a whole module. */
interface Import {
  readonly from: string;
  readonly target: string;
  readonly names: readonly string[];
  readonly isType: boolean;
}

/**
 * Returns `file: importers` of each file of src with fewer than `SMALL_LINES` lines that fewer than
 * `NEEDED_IMPORTERS` others import, directly or through an index. Indexes may be small, and so may entry points: files
 * that are started, or loaded on demand only.
 */
export function crumbs(files: readonly string[], read: (file: string) => string): string[] {
  const imports = files.flatMap((file) => importsOf(file, read(file)));
  const onDemand = new Set(files.flatMap((file) => loadedBy(file, read(file))));
  return files.flatMap((file) => {
    const isIndex = path.posix.basename(file) === 'index.ts';
    if (isIndex || read(file).split('\n').length - 1 >= SMALL_LINES) return [];
    const stem = file.replace(/\.tsx?$/, '');
    const isLoaded = imports.some(({ target, isType }) => target === stem && !isType);
    const users = importersOf(stem, imports);
    return users.size >= NEEDED_IMPORTERS || (onDemand.has(stem) ? !isLoaded : users.size === 0)
      ? []
      : [`${file}: ${[...users].join(', ')}`];
  });
}

/** Returns the path of an imported file without its ending. */
function stemOf(file: string, specifier: string): string {
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '');
}

/** Returns the files that a file loads on demand. */
function loadedBy(file: string, text: string): string[] {
  return [...text.matchAll(ON_DEMAND)].map(([, specifier = '']) => stemOf(file, specifier));
}

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(STATEMENT)].map(([, type, names = '', specifier = '']) => ({
    from: file,
    target: stemOf(file, specifier),
    isType: type !== undefined,
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
function importersOf(stem: string, imports: readonly Import[]): Set<string> {
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
