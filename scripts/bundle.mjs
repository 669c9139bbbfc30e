/**
 * Joins the modules of each command and thread into a few scripts in dist/bundle. Node spends a fifth of a
 * second on finding and opening some two hundred small files, which is longer than a backup takes in
 * which nothing changed. Native packages, and piscina (which starts a file of its own), stay outside.
 *
 * A program is an entry, NAME.js, which loads NAME.cjs and further scripts as it needs them, with the compiled code of
 * earlier runs (src/system/compiled-code.ts).
 * dist/bundle/packages.json lists the packages of npm that are inside, each with the files that it is in.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { ERROR_TABLE } from '../dist/src/errors/table.js';

const TOOLS = [
  'tardis',
  'tardis-import',
  'tardisd',
  'tardisremote',
  'regenerate',
  'lstardis',
  'tardiff',
  'tardisfs',
  'tardis-web',
  'sonic',
];

/** Folders in which the parts of scripts are while this runs: as ES modules, then as functions' bodies. */
const MODULES = 'dist/modules';
const SCRIPTS = 'dist/scripts';
const BUNDLE = 'dist/bundle';

/**
 * Programs that share their code: the web server is larger than the rest of the first two, an import is a row of backups,
 * and a comparison and a restore read as a list does.
 */
const SHARING = [
  ['tardisremote', 'tardis-web'],
  ['tardis', 'tardis-import'],
  ['lstardis', 'tardiff', 'regenerate'],
];

const ENTRIES = [
  ...[
    ...TOOLS.filter((tool) => !SHARING.flat().includes(tool)).map((tool) => [tool]),
    ...SHARING,
  ].map((tools) => tools.map((tool) => `src/tools/${tool}.ts`)),
  ['src/server/hosts/storage-thread.ts'],
  ['src/server/jobs/job-thread.ts'],
  ['src/workers/thread-entry.ts'],
  ['src/store/writer/catch-up-thread.ts'],
];

/**
 * Lets esbuild find the fonts that pdfkit requires. pdfkit makes its own `require`, and names the fonts by its
 * package's private names. Otherwise they would be searched for beside the bundle.
 */
const pdfFonts = {
  name: 'pdf-fonts',
  setup({ onLoad }) {
    onLoad({ filter: /\/pdfkit\/js\/pdfkit\.node\.mjs$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replaceAll(
        "require$1('#standard-fonts/",
        "require('pdfkit/standard-fonts/",
      );
      if (contents === source)
        throw new Error(`${path} requires its fonts in another way than before`);
      return { contents, loader: 'js' };
    });
  },
};

/** Lets ws load TLS at its first use. Loading it takes 10 ms, and a local server does not need it. */
const lateTls = {
  name: 'late-tls',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(?:https|tls)$/ }, ({ path: name, importer }) =>
      /\/node_modules\/ws\//.test(importer) ? { path: name, namespace: 'late' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'late' }, ({ path: name }) => ({
      contents: `for (const name of ['connect', 'request'])
        Object.defineProperty(exports, name, { get: () => process.getBuiltinModule('node:${name}')[name] });`,
    }));
  },
};

/** Matches an import of a default name, of a namespace, or of names in braces, in the form that esbuild prints. */
const IMPORT =
  /(?<![\w$.])import(?: (?<name>[\w$]+) |\*as (?<space>[\w$]+) |\{(?<names>[\w$, ]+)\})from"(?<module>[\w:/]+)";/g;

/**
 * Returns a module in which modules of Node.js are loaded by `require`. esbuild's own translation copies each of their
 * names at each start, and calls a function for each use, which takes 5 ms of a start. Columns stay as they are, for
 * the source map, so `require` has the short name that PART gives it.
 */
function withoutImports(text) {
  if (/(?<![\w$])\$r(?![\w$])/.test(text)) throw new Error('$r is the name of something else');
  return text.replace(IMPORT, (found, ...rest) => {
    const { name, space, names, module } = rest.at(-1);
    if (!isBuiltin(module)) return found;
    const target = name ?? space ?? `{${names.replaceAll(' as ', ':')}}`;
    return `let ${target}=$r("${module}");`.padEnd(found.length);
  });
}

/**
 * Modules that are imported on demand, but by most runs of their program. The script of the first one has
 * all that both import; in the other order, a first backup took 14 MB more (measured).
 */
const USUAL = ['src/tools/tardis/inner-daemon.ts', 'src/tools/tardis/run.ts'];

const baseOf = (file) => path.basename(file, '.js');

/**
 * Returns the names of the parts of each script of a program. A script has what is always loaded together: an entry, or
 * a usual module, with all that it imports and no script before it has. Any other chunk is a script of its own. A program
 * that shares its code loads the script of the first one. A backup loads 6 scripts instead of 62, and takes 16 % less of the
 * processor if nothing has changed (measured).
 */
function scriptsOf({ outputs }) {
  const scripts = new Map();
  const placed = new Set();
  const place = (chunk, parts, withImports) => {
    if (placed.has(chunk)) return parts;
    placed.add(chunk);
    parts.push(baseOf(chunk));
    const imports = withImports ? outputs[chunk].imports : [];
    for (const { path: other, kind, external } of imports)
      if (kind === 'import-statement' && !external) place(other, parts, true);
    return parts;
  };
  const starts = [...ENTRIES.flat(), ...USUAL];
  const chunks = Object.keys(outputs).filter((output) => output.endsWith('.js'));
  const firstOf = (start) => chunks.find((chunk) => outputs[chunk].entryPoint === start) ?? [];
  for (const chunk of starts.flatMap(firstOf)) scripts.set(baseOf(chunk), place(chunk, [], true));
  for (const chunk of chunks.filter((one) => !placed.has(one)))
    scripts.set(baseOf(chunk), place(chunk, [], false));
  return scripts;
}

/** Names the parts of other scripts as the loader does: './script.js#part'. Everything else is left as it is. */
const partsOutside = (scriptOfPart) => ({
  name: 'parts-outside',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path: name, kind }) => {
      if (kind === 'entry-point') return undefined;
      if (!name.startsWith('./')) return { path: name, external: true };
      const part = baseOf(name);
      const script = scriptOfPart.get(part);
      if (script === undefined) throw new Error(`${name} is in no script`);
      return { path: script === part ? name : `./${script}.js#${part}`, external: true };
    });
  },
});

/** The start of a part. V8 compiles a function in parentheses at once. */
const PART = '(function(exports,require,module,__url,$r){';
const MAP_LINK = /\/\/# sourceMappingURL=.*\n$/;

/** Writes a script: an object of its parts, by name. Its source map has a section for each. */
function writeScript(name, parts) {
  const lines = [];
  const sections = [];
  for (const part of parts) {
    lines.push(`${lines.length === 0 ? '({' : ''}"${part}":${PART}`);
    const map = JSON.parse(readFileSync(`${SCRIPTS}/${part}.js.map`, 'utf8'));
    sections.push({ offset: { line: lines.length, column: 0 }, map });
    const code = readFileSync(`${SCRIPTS}/${part}.js`, 'utf8').replace(MAP_LINK, '');
    lines.push(...inAscii(code).split('\n'), '}),');
  }
  const text = `${lines.join('\n')}})\n//# sourceMappingURL=${name}.cjs.map\n`;
  const map = { version: 3, file: `${name}.cjs`, sections };
  writeFileSync(`${BUNDLE}/${name}.cjs`, text);
  writeFileSync(`${BUNDLE}/${name}.cjs.map`, JSON.stringify(map));
}

/** Returns code with escapes for all that is not ASCII, since the loader reads bytes. esbuild leaves regular expressions as they are. */
function inAscii(code) {
  return code.replaceAll(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The module that refuses truncated native code. It is a script of its own, which each entry loads first. */
const GUARD = 'whole-addons.js';
const guardOutside = {
  name: 'guard-outside',
  setup({ onResolve }) {
    onResolve({ filter: /\/whole-addons\.js$/ }, () => ({ path: `./${GUARD}`, external: true }));
  },
};

/**
 * Entries are built one by one. A chunk that several entries share contains everything that any of them needs of its
 * folders, so that a thread would load WebSockets. With shared chunks, starts took 6 to 12 % longer and 2 to 4 MB more
 * memory.
 */
const COMMON = {
  // Each start reads a quarter less then. Names are kept for the stack of a bug; the source maps have its lines.
  minifyWhitespace: true,
  minifySyntax: true,
  platform: 'node',
  target: 'node22',
  sourcemap: true,
  sourcesContent: false, // the sources are in the package
  logLevel: 'warning',
};

// Removed before the first build starts: a small build has written its script before all are started.
for (const folder of [MODULES, SCRIPTS]) rmSync(folder, { recursive: true, force: true });

const bundles = ENTRIES.map((entries, index) =>
  build({
    ...COMMON,
    entryPoints: entries,
    entryNames: '[name]', // without folders, since threads are started by a URL beside the file that starts them
    outdir: MODULES,
    chunkNames: `${index.toString(36)}-[hash]`, // short, since each use has it; with the program's number, since scripts differ by program
    bundle: true,
    metafile: true,
    splitting: true,
    format: 'esm',
    // The ES modules of the package are used, so that only the operators in use are bundled.
    alias: {
      rxjs: fileURLToPath(new URL('../node_modules/rxjs/dist/esm/index.js', import.meta.url)),
    },
    plugins: [pdfFonts, lateTls, guardOutside],
    external: ['better-sqlite3', 'bufferutil', 'piscina', 'snappy', 'utf-8-validate'],
  }),
);
bundles.push(
  build({
    ...COMMON,
    entryPoints: ['src/system/whole-addons.ts'],
    outfile: `${MODULES}/${GUARD}`,
    metafile: true,
    format: 'esm',
  }),
);
const made = (await Promise.all(bundles)).map(({ metafile }) => metafile);

// The modules are converted to scripts, since V8 keeps the compiled functions of scripts only.
const modules = readdirSync(MODULES).filter((name) => name.endsWith('.js'));
for (const file of modules.map((name) => `${MODULES}/${name}`))
  writeFileSync(file, withoutImports(readFileSync(file, 'utf8')));
const scripts = new Map(made.flatMap((program) => [...scriptsOf(program)]));
const scriptOfPart = new Map(
  [...scripts].flatMap(([name, parts]) => parts.map((part) => [part, name])),
);
// As for Node.js's older modules, only the default exports are declared, not all names that they export.
writeFileSync(`${MODULES}/package.json`, '{ "type": "commonjs" }\n');
await build({
  ...COMMON,
  entryPoints: modules.map((name) => `${MODULES}/${name}`),
  outdir: SCRIPTS,
  bundle: true, // for the plugin only: everything is outside
  plugins: [partsOutside(scriptOfPart)],
  format: 'cjs',
  platform: 'neutral', // without the list of names for Node.js's own loader
  define: { 'import.meta.url': '__url' },
  supported: { 'dynamic-import': false },
  logOverride: { 'duplicate-object-key': 'silent' }, // in a package
});
rmSync(MODULES, { recursive: true });
mkdirSync(BUNDLE, { recursive: true });
for (const [name, parts] of scripts) writeScript(name, parts);
rmSync(SCRIPTS, { recursive: true });

/**
 * Refuses a Node.js in which the entry itself would fail, so that its user gets words instead of a stack. A newer one that
 * is not supported is refused by the program.
 */
const REFUSES_OLD = `if(!process.getBuiltinModule?.("node:module").getCompileCacheDir){
const name=process.argv[1].replace(/^.*\\/|\\.js$/g,"");
console.error(name+": this is Node.js "+process.versions.node+", which is too old [NODE_NOT_SUPPORTED]\\n"+name+": "+${JSON.stringify(ERROR_TABLE.NODE_NOT_SUPPORTED.guidance)});
process.exit(${ERROR_TABLE.NODE_NOT_SUPPORTED.exitStatus});
}`;
const loading = await build({
  ...COMMON,
  banner: { js: REFUSES_OLD },
  stdin: {
    contents:
      "import { loadProgram } from './src/system/compiled-code.js'; export default loadProgram(import.meta.url);",
    resolveDir: '.',
  },
  sourcemap: false,
  bundle: true,
  write: false,
  format: 'esm',
});
const entries = ENTRIES.flat().map((entry) => `${path.basename(entry, '.ts')}.js`);
for (const entry of entries) writeFileSync(`${BUNDLE}/${entry}`, loading.outputFiles[0].contents);

// Scripts of earlier builds have other names and are removed.
const current = new Set([
  ...entries,
  ...[...scripts.keys()].flatMap((name) => [`${name}.cjs`, `${name}.cjs.map`]),
]);
for (const file of readdirSync(BUNDLE)) {
  if (!current.has(file)) rmSync(`${BUNDLE}/${file}`, { recursive: true });
}

/** Matches the folder of the package that a file of node_modules belongs to. */
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;
const inside = {};
for (const [output, { inputs }] of made.flatMap(({ outputs }) => Object.entries(outputs))) {
  for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
    const [place] = PACKAGE.exec(file) ?? [];
    if (place !== undefined && bytesInOutput > 0)
      (inside[place] ??= new Set()).add(`${scriptOfPart.get(baseOf(output))}.cjs`);
  }
}
const listed = Object.keys(inside)
  .sort()
  .map((place) => [place, [...inside[place]].sort()]);
// Removes Node's compiled code of earlier builds, which tests keep there.
rmSync('dist/compiled', { recursive: true, force: true });
writeFileSync(
  'dist/bundle/packages.json',
  `${JSON.stringify(Object.fromEntries(listed), null, 1)}\n`,
);
