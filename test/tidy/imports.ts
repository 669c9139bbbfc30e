import path from 'node:path';

/** What everything may use. */
const BASE = ['errors', 'model', 'system', 'config'];
/** What clients as well as servers are made of. */
const COMMON = [...BASE, 'store', 'transport', 'delta', 'crypto'];

/**
 * Which folder of src may import which. An arrow that is not here is forbidden; a new one must not
 * make a circle (a test looks). What is on the server's side stays out of the client's, and workers
 * see no catalog, because their threads should load little.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: ['errors'],
  system: ['errors', 'model'],
  retention: ['errors', 'model'],
  config: ['errors', 'system', 'model'],
  excludes: ['errors', 'model', 'system'],
  notify: BASE,
  store: BASE,
  catalog: [...BASE, 'store'],
  transport: BASE,
  delta: [...BASE, 'store'],
  crypto: BASE,
  login: [...BASE, 'transport', 'crypto'],
  workers: [...COMMON, 'excludes'],
  pipeline: [...COMMON, 'excludes', 'workers'],
  archive: [...COMMON, 'catalog', 'workers', 'retention'],
  client: [...COMMON, 'excludes', 'workers', 'pipeline', 'login'],
  restore: [...COMMON, 'excludes', 'workers', 'pipeline', 'archive'],
  compare: [...COMMON, 'workers', 'archive', 'restore'],
  keeper: [...COMMON, 'catalog', 'retention'],
  server: [...COMMON, 'notify', 'catalog', 'archive', 'keeper', 'retention', 'rekey', 'verify'],
  rekey: [...COMMON, 'catalog', 'archive', 'keeper', 'retention'],
  verify: [...COMMON, 'catalog', 'keeper'],
  mount: [...BASE, 'archive'],
  remote: [...BASE, 'transport', 'crypto', 'archive', 'login', 'delta', 'verify'],
  tools: [
    ...COMMON,
    'notify',
    'catalog',
    'excludes',
    'workers',
    'pipeline',
    'archive',
    'client',
    'compare',
    'login',
    'restore',
    'retention',
    'keeper',
    'server',
    'rekey',
    'verify',
    'mount',
    'remote',
  ],
};

/** Files beside an index that tests may import: too low to be handed on by it. */
const OPEN_TO_TESTS = /^src\/system\/native[^/]*\.js$/;

/**
 * What the command `tardis` needs before it starts its local server: the rest of those folders is
 * loaded while the server gets ready.
 */
const LIGHT_START = new Set([
  'src/tools/tardis.ts src/client/local-server.js',
  'src/tools/tardis.ts src/store/client-name.js',
]);

const IMPORT = /^\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm;
const BARE_OR_DYNAMIC_IMPORT = /\bimport\s*\(?\s*['"]([^'"]+)['"]/g;

function folderOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}

/** What a file imports by a relative path: the line, and the path from the checkout. */
function relativeImports(file: string, text: string): { line: number; target: string }[] {
  return [IMPORT, BARE_OR_DYNAMIC_IMPORT].flatMap((pattern) =>
    [...text.matchAll(pattern)].flatMap((match) => {
      const specifier = match[1] ?? '';
      if (!specifier.startsWith('.')) return [];
      const target = path.posix.join(path.posix.dirname(file), specifier);
      const line = text.slice(0, match.index + match[0].length).split('\n').length;
      return [{ line, target }];
    }),
  );
}

/** `file:line: why` of each import that is against the rules. */
export function forbiddenImports(file: string, text: string): string[] {
  const from = folderOf(file);
  return relativeImports(file, text).flatMap(({ line, target }) => {
    const why = whyForbidden(file, from, target);
    return why === undefined ? [] : [`${file}:${line}: ${why}`];
  });
}

function whyForbidden(file: string, from: string | undefined, target: string): string | undefined {
  const to = folderOf(target);
  if (to === undefined) {
    return from === undefined ? undefined : `src must not import ${target}`;
  }
  if (from === to) return undefined;
  if (from !== undefined) {
    const allowed = MAY_IMPORT[from];
    if (allowed === undefined) return `the folder src/${from} is not in the table of this test`;
    if (!allowed.includes(to)) return `${from} must not import ${to}`;
  }
  if (target === `src/${to}/index.js`) return undefined;
  if (LIGHT_START.has(`${file} ${target}`)) return undefined;
  if (file.startsWith('test/') && OPEN_TO_TESTS.test(target)) return undefined;
  return `import src/${to}/index.js instead of ${target}`;
}
