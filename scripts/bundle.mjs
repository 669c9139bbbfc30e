/**
 * Joins the modules of each command and thread into one file in dist/bundle. Node spends a fifth of a
 * second on finding and opening some two hundred small files, which is longer than a backup takes in
 * which nothing changed. Native packages, and piscina (which starts a file of its own), stay outside.
 * dist/bundle/packages.json lists the packages of npm that are inside, each with the files that it is in.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const TOOLS = [
  'tardis',
  'tardisd',
  'tardisremote',
  'regenerate',
  'lstardis',
  'tardiff',
  'tardisfs',
  'tardis-web',
  'sonic',
];

/** Programs that always load the web server: they share its code, which is larger than all the rest of theirs. */
const WEB_TOOLS = ['tardisremote', 'tardis-web'];

const ENTRIES = [
  ...TOOLS.filter((tool) => !WEB_TOOLS.includes(tool)).map((tool) => [`src/tools/${tool}.ts`]),
  WEB_TOOLS.map((tool) => `src/tools/${tool}.ts`),
  ['src/server/storage/storage-thread.ts'],
  ['src/server/jobs/job-thread.ts'],
  ['src/workers/thread-entry.ts'],
  ['src/store/writer/catch-up-thread.ts'],
];

/**
 * Lets esbuild see which fonts pdfkit requires: it makes its own `require`, and names them by its package's private
 * names. Otherwise they would be looked for beside the bundle.
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

/** The module that refuses truncated native code, as a file of its own beside the bundles. */
const GUARD = 'whole-addons.js';
const GUARD_IMPORT = `import './${GUARD}';`;
const guardOutside = {
  name: 'guard-outside',
  setup({ onResolve }) {
    onResolve({ filter: /\/whole-addons\.js$/ }, () => ({ path: `./${GUARD}`, external: true }));
  },
};

/**
 * One by one: a chunk that several share holds all that any of them needs of the folders it is made of, so that a
 * thread would load WebSockets. That took 6 to 12 % longer to start, and 2 to 4 MB more.
 */
const bundles = ENTRIES.map((entries) =>
  build({
    entryPoints: entries,
    entryNames: '[name]', // flat: threads are started by a URL beside the file that starts them
    outdir: 'dist/bundle',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    // A quarter less to read at each start. Names stay, for the stack of a bug; the source maps have its lines.
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    splitting: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    sourcemap: true,
    sourcesContent: false, // they are in the package
    logLevel: 'warning',
    // The package's ES modules, so that only the operators in use are taken.
    alias: {
      rxjs: fileURLToPath(new URL('../node_modules/rxjs/dist/esm/index.js', import.meta.url)),
    },
    plugins: [pdfFonts, guardOutside],
    external: [
      'better-sqlite3',
      'bufferutil',
      'msgpackr-extract',
      'piscina',
      'snappy',
      'utf-8-validate',
    ],
    // Chunks are not evaluated in the order of the modules that they are made of, and a package may load native code at
    // once: so each entry begins with the guard. Packages in the older module format call `require` for Node's own modules.
    banner: {
      js: `${GUARD_IMPORT} import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
    },
  }),
);

bundles.push(
  build({
    entryPoints: ['src/system/whole-addons.ts'],
    outfile: `dist/bundle/${GUARD}`,
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    sourcemap: true,
    sourcesContent: false,
  }),
);

// Chunks of earlier builds have other names.
const made = (await Promise.all(bundles)).map(({ metafile }) => metafile);
const current = new Set(made.flatMap(({ outputs }) => Object.keys(outputs)));
// An entry evaluates the guard before its chunks, which do without: resolving it in each of them takes 6 ms of a start.
for (const file of current) {
  if (!/\/chunk-[^/]+\.js$/.test(file)) continue;
  writeFileSync(file, readFileSync(file, 'utf8').replace(GUARD_IMPORT, ''));
}
for (const file of readdirSync('dist/bundle')) {
  if (!current.has(`dist/bundle/${file}`)) rmSync(`dist/bundle/${file}`, { recursive: true });
}

/** The folder of the package that a file of node_modules belongs to. */
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;
const inside = {};
for (const [output, { inputs }] of made.flatMap(({ outputs }) => Object.entries(outputs))) {
  for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
    const [place] = PACKAGE.exec(file) ?? [];
    if (place !== undefined && bytesInOutput > 0)
      (inside[place] ??= new Set()).add(output.slice('dist/bundle/'.length));
  }
}
const listed = Object.keys(inside)
  .sort()
  .map((place) => [place, [...inside[place]].sort()]);
// Node's compiled code of earlier builds, which tests keep there.
rmSync('dist/compiled', { recursive: true, force: true });
writeFileSync(
  'dist/bundle/packages.json',
  `${JSON.stringify(Object.fromEntries(listed), null, 1)}\n`,
);
