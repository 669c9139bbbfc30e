/**
 * Joins the modules of each command and thread into one file in dist/bundle. Node spends a fifth of a
 * second on finding and opening some two hundred small files, which is longer than a backup takes in
 * which nothing changed. Native packages, and piscina (which starts a file of its own), stay outside.
 */
import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const TOOLS = ['tardis', 'tardisd', 'regenerate', 'lstardis', 'tardiff', 'sonic'];

const ENTRIES = [
  ...TOOLS.map((tool) => `src/tools/${tool}.ts`),
  'src/server/storage/storage-thread.ts',
  'src/server/tending/tending-thread.ts',
  'src/workers/thread-entry.ts',
];

/**
 * One by one: a chunk that several share holds all that any of them needs of the folders it is made of, so that a
 * thread would load WebSockets. That took 6 to 12 % longer to start, and 2 to 4 MB more.
 */
const bundles = ENTRIES.map((entry) =>
  build({
    entryPoints: [entry],
    entryNames: '[name]', // flat: threads are started by a URL beside the file that starts them
    outdir: 'dist/bundle',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    metafile: true,
    splitting: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: true,
    sourcesContent: false, // they are in the package
    logLevel: 'warning',
    // The package's ES modules, so that only the operators in use are taken.
    alias: {
      rxjs: fileURLToPath(new URL('../node_modules/rxjs/dist/esm/index.js', import.meta.url)),
    },
    external: [
      'better-sqlite3',
      'bufferutil',
      'msgpackr-extract',
      'pdfkit', // reads its fonts from beside it
      'piscina',
      'qrcode',
      'snappy',
      'utf-8-validate',
      'zstd-napi',
    ],
    // Packages in the older module format call `require` for Node's own modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  }),
);

// Chunks of earlier builds have other names.
const outputs = (await Promise.all(bundles)).map(({ metafile }) => Object.keys(metafile.outputs));
const current = new Set(outputs.flat());
for (const file of readdirSync('dist/bundle')) {
  if (!current.has(`dist/bundle/${file}`)) rmSync(`dist/bundle/${file}`);
}
