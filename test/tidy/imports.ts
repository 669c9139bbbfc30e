import path from 'node:path';

/** Rooms that every other room may import. */
const BASE = ['errors', 'model', 'system', 'config'];
/** Rooms that both clients and servers may import. */
const COMMON = [...BASE, 'store', 'transport', 'delta', 'contents', 'crypto'];

/**
 * The rooms of src, each with the rooms that it may import. A room is a folder with an index, and may lie in another
 * one. Any other import is forbidden. A new one must not make a circle (a test checks this). The server's rooms stay out
 * of the client's. Workers do not import the catalog, because their threads should load little.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: ['errors'],
  system: ['errors', 'model'],
  'system/msgpack': ['system'],
  'system/xml': [],
  retention: ['errors', 'model'],
  config: ['errors', 'system', 'model'],
  excludes: ['errors', 'model', 'system'],
  notify: BASE,
  store: [...BASE, 'system/msgpack', 'store/objects'],
  'store/objects': [...BASE, 'system/xml'],
  'store/catalog': [...BASE, 'store', 'system/msgpack'],
  'store/writer': [...COMMON, 'store/catalog', 'retention'],
  transport: [...BASE, 'system/msgpack'],
  delta: BASE,
  contents: [...BASE, 'store', 'delta'],
  crypto: [...BASE, 'system/msgpack'],
  'crypto/identity': [...BASE, 'crypto'],
  'transport/login': [...BASE, 'transport', 'crypto', 'crypto/identity'],
  workers: [...COMMON, 'excludes'],
  pipeline: [...COMMON, 'excludes', 'workers'],
  history: [...COMMON, 'store/catalog', 'retention'],
  remote: [
    ...BASE,
    'transport',
    'transport/login',
    'crypto',
    'history',
    'delta',
    'maintenance/check',
    'maintenance/admin',
    'maintenance/rewrite',
  ],
  client: [...COMMON, 'excludes', 'workers', 'pipeline', 'transport/login'],
  'import/python': [...BASE, 'delta'],
  import: ['errors', 'model', 'system'],
  restore: [...COMMON, 'excludes', 'workers', 'history'],
  mount: [...COMMON, 'workers', 'history', 'restore'],
  'restore/diff': [...COMMON, 'workers', 'history', 'restore'],
  'maintenance/gc': [...COMMON, 'store/catalog', 'store/writer', 'retention'],
  'maintenance/check': [...COMMON, 'store/catalog', 'store/writer'],
  'maintenance/rebuild': [...COMMON, 'store/catalog', 'store/writer', 'maintenance/rewrite'],
  'maintenance/bucket-versions': [...COMMON, 'store/objects'],
  'maintenance/admin': [
    ...COMMON,
    'store/catalog',
    'store/writer',
    'history',
    'retention',
    'maintenance/gc',
    'maintenance/check',
  ],
  'maintenance/rewrite': [
    ...COMMON,
    'store/catalog',
    'store/writer',
    'history',
    'maintenance/gc',
    'retention',
  ],
  server: [
    ...COMMON,
    'notify',
    'store/catalog',
    'store/writer',
    'history',
    'retention',
    'maintenance/gc',
    'maintenance/check',
    'maintenance/rewrite',
  ],
  'web/api': [
    ...COMMON,
    'workers',
    'excludes',
    'history',
    'restore/diff',
    'retention',
    'maintenance/gc',
  ],
  'web/archive': [...COMMON, 'workers', 'history', 'restore', 'web/api'],
  'web/dav': [...COMMON, 'workers', 'history', 'web/api', 'system/xml'],
  'web/remote': [...COMMON, 'workers', 'history', 'remote', 'server', 'web/api'],
  'web/local': [...COMMON, 'workers', 'history', 'restore', 'web/api'],
  page: ['web/api', 'web/local'],
  tools: [
    ...COMMON,
    'web/api',
    'web/local',
    'web/archive',
    'web/dav',
    'web/remote',
    'notify',
    'excludes',
    'workers',
    'pipeline',
    'history',
    'remote',
    'client',
    'import',
    'import/python',
    'restore',
    'restore/diff',
    'mount',
    'crypto/identity',
    'transport/login',
    'retention',
    'store/catalog',
    'store/objects',
    'store/writer',
    'server',
    'maintenance/gc',
    'maintenance/check',
    'maintenance/rebuild',
    'maintenance/admin',
    'maintenance/rewrite',
    'maintenance/bucket-versions',
  ],
};

/** Files beside an index that tests may import: they are too low-level for the index to export, or it loads much more. */
const OPEN_TO_TESTS =
  /^src\/(system\/(compiled-code|native[^/]*|row-shapes)|maintenance\/(check\/(read-memory|bounded-backend)|rewrite\/digest-map)|store\/bucket\/log-backend|page\/logic\/[^/]+|tools\/(output\/command-names|shared\/help-statuses))\.js$/;

/**
 * Imports of single files past an index. The command `tardis` needs two files before it starts its local server; the
 * rest of those folders is loaded while the server starts. The page needs the types of the API, whose other files are no
 * code for a browser.
 */
const SINGLE_FILES = new Set([
  'src/tools/tardis/local-server.ts src/client/local-server.js',
  'src/tools/tardis.ts src/store/layout/client-name.js',
  'src/tools/tardis-import.ts src/store/layout/client-name.js',
  'src/page/api.ts src/web/api/schemas.js',
  'src/page/api.ts src/web/local/schemas.js',
  'src/page/logic/causes.ts src/web/api/schemas.js',
  'src/web/local/schemas.ts src/web/api/schemas.js',
]);

const IMPORT = /^\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm;
const BARE_OR_DYNAMIC_IMPORT = /\bimport\s*\(?\s*['"]([^'"]+)['"]/g;

/**
 * Modules of the web, each with the rooms that may import it; rooms within those may, too. An import of `node:http`
 * loads a browser's WebSocket, 50 ms of each start; other rooms load it at first use (src/system/web-modules.ts). An import of
 * types loads nothing.
 */
const WEB_MODULES: readonly (readonly [modules: RegExp, rooms: readonly string[]])[] = [
  [/^(?:node:)?(?:http|https|http2)$/, ['web']],
  [/^(?:ws|undici)$/, ['transport', 'web']],
  [/^(?:fastify|@fastify\/.+)$/, ['web']],
];

/** Rooms that commands use by a `History` and an `Admin`, except for their types. */
const UNDER_ADMIN =
  /^src\/(?:store\/(?:catalog|writer)|maintenance\/(?:gc|check|rebuild|rewrite))\//;

/** Names of `store` by which a command would read or write the files of a client itself. */
const PAST_ADMIN = /\b(?:mediumOf|mendNotes|DirectoryBackend|ObjectHealer)\b/;

/**
 * Files of src/tools that use these rooms themselves. Those of `opening` open a history or an `Admin`, or compare a store
 * with this machine's memory before. The others replace the catalog, or all data of a client.
 */
const MAY_PASS_ADMIN: ReadonlySet<string> = new Set([
  'src/tools/opening/explain-bug.ts',
  'src/tools/opening/fetch-bucket.ts',
  'src/tools/opening/follow-bucket.ts',
  'src/tools/opening/history.ts',
  'src/tools/opening/keys.ts',
  'src/tools/opening/rollback.ts',
  'src/tools/shared/client-copy.ts',
  'src/tools/sonic/after-rebuild.ts',
  'src/tools/sonic/forget.ts',
  'src/tools/sonic/rebuild-bucket.ts',
  'src/tools/sonic/rebuild.ts',
  'src/tools/sonic/rekey.ts',
  'src/tools/sonic/upgrade.ts',
  'src/tools/tardisd/served-bucket.ts',
  // Keys and accounts, which no `Admin` changes.
  'src/tools/sonic/account.ts',
  // Checks of values.
  'src/tools/sonic/config.ts',
]);

const VALUE_IMPORT = /^[ \t]*(?:import|export)\b(?!\s+type\b)[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm;
const OTHER_IMPORT = /(?<!\btypeof )\bimport\s*\(?\s*['"]([^'"]+)['"]/g;

/** Returns `file:line: module` of each import of the web in a room of src that must load it at first use. */
export function webImports(file: string, text: string): string[] {
  const room = folderOf(file);
  if (room === undefined) return [];
  const isForbidden = (specifier: string): boolean =>
    WEB_MODULES.some(
      ([modules, rooms]) =>
        modules.test(specifier) && !rooms.some((one) => `${room}/`.startsWith(`${one}/`)),
    );
  return valueImports(text).flatMap(({ specifier, line }) =>
    isForbidden(specifier) ? [`${file}:${line}: ${specifier}`] : [],
  );
}

/** Returns the modules that a file loads, now or later; not those of which it needs only types. */
function valueImports(text: string): { readonly specifier: string; readonly line: number }[] {
  return [VALUE_IMPORT, OTHER_IMPORT].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      specifier: match[1]!,
      line: text.slice(0, match.index + match[0].length).split('\n').length,
    })),
  );
}

/** Returns `file:line: module` of each file that a file imports and whose path from the root matches. */
function importsMatching(pattern: RegExp, file: string, text: string): string[] {
  return valueImports(text).flatMap(({ specifier, line }) => {
    const target = path.posix.join(path.posix.dirname(file), specifier);
    return pattern.test(target) ? [`${file}:${line}: ${target}`] : [];
  });
}

/** Returns `file:line: module` of each import by which a command would work on a store past `History` and `Admin`. */
export function importsPastAdmin(file: string, text: string): string[] {
  if (!file.startsWith('src/tools/') || MAY_PASS_ADMIN.has(file)) return [];
  return passesOf(file, text);
}

function passesOf(file: string, text: string): string[] {
  const names = text
    .split('\n')
    .flatMap((words, index) =>
      PAST_ADMIN.test(words) ? [`${file}:${index + 1}: ${words.trim()}`] : [],
    );
  return [...importsMatching(UNDER_ADMIN, file, text), ...names];
}

/** Folders of src/tools that no program owns, the lowest first: each may import those before it. */
const COMMON_TOOLS = ['output', 'opening', 'shared'];

/** Returns `file:line: module` of each import by which what all programs share would need one of them. */
export function importsOfPrograms(file: string, text: string): string[] {
  const level = COMMON_TOOLS.findIndex((folder) => file.startsWith(`src/tools/${folder}/`));
  if (level < 0) return [];
  const lower = COMMON_TOOLS.slice(0, level + 1).join('|');
  return importsMatching(new RegExp(`^src/tools/(?!(?:${lower})/)[^/]+/`), file, text);
}

/** Returns the files that may work on a store past `Admin`, but do not. */
export function idlePermissions(read: (file: string) => string): string[] {
  return [...MAY_PASS_ADMIN].filter((file) => passesOf(file, read(file)).length === 0);
}

/** Returns the innermost room of a file; a folder of src without a room counts as one. Undefined outside of src. */
function folderOf(file: string): string | undefined {
  const parts = /^src\/(.+)\/[^/]+$/.exec(file)?.[1]?.split('/') ?? [];
  for (let depth = parts.length; depth > 0; depth -= 1) {
    const room = parts.slice(0, depth).join('/');
    if (MAY_IMPORT[room] !== undefined) return room;
  }
  return parts[0];
}

/** Returns the relative imports of a file: the line, and the path from the checkout. */
export function relativeImports(file: string, text: string): { line: number; target: string }[] {
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

/** Returns `file:line: reason` of each forbidden import. */
export function forbiddenImports(file: string, text: string): string[] {
  const from = folderOf(file);
  return relativeImports(file, text).flatMap(({ line, target }) => {
    const why = whyForbidden(file, from, target);
    return why === undefined ? [] : [`${file}:${line}: ${why}`];
  });
}

function whyForbidden(file: string, from: string | undefined, target: string): string | undefined {
  if (target === file.replace(/\.tsx?$/, '.js')) return 'a file must not import itself'; // no bundle could
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
  if (SINGLE_FILES.has(`${file} ${target}`)) return undefined;
  if (file.startsWith('test/') && OPEN_TO_TESTS.test(target)) return undefined;
  return `import src/${to}/index.js instead of ${target}`;
}
