/**
 * Bundles the page of tardis-web into dist/bundle/page, and adds its packages to dist/bundle/packages.json. Fails if the
 * script is larger than the page may be.
 */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const FROM = 'src/page';
const TO = 'dist/bundle/page';
/**
 * Place of the script's source map, for tests. It is not in the page's folder, since everything there is sent and
 * packed.
 */
const MAP = 'dist/page.js.map';
const LISTED = 'dist/bundle/packages.json';
/** Maximum number of bytes of the script, compressed by gzip. */
const MAX_SCRIPT_BYTES = 200 * 1000;
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;

mkdirSync(TO, { recursive: true });
const { metafile } = await build({
  entryPoints: [`${FROM}/main.tsx`, `${FROM}/page.css`],
  entryNames: 'page',
  outdir: TO,
  bundle: true,
  minify: true,
  metafile: true,
  sourcemap: 'external',
  platform: 'browser',
  // The first versions with AbortSignal.any and light-dark().
  target: ['chrome123', 'firefox124', 'safari17.5'],
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
});
renameSync(`${TO}/page.js.map`, MAP);
rmSync(`${TO}/page.css.map`);
for (const name of ['index.html', 'icon.svg']) copyFileSync(`${FROM}/${name}`, `${TO}/${name}`);
// The English texts are in the script. Others are loaded where they are needed, without the blanks for their translators.
mkdirSync(`${TO}/languages`, { recursive: true });
for (const name of readdirSync(`${FROM}/languages`).filter((name) => name !== 'en.json')) {
  const texts = JSON.parse(readFileSync(`${FROM}/languages/${name}`, 'utf8'));
  writeFileSync(`${TO}/languages/${name}`, JSON.stringify(texts));
}

const bytes = gzipSync(readFileSync(`${TO}/page.js`), { level: 9 }).length;
if (bytes > MAX_SCRIPT_BYTES) throw new Error(`the page's script takes ${bytes} bytes compressed`);

const listed = JSON.parse(readFileSync(LISTED, 'utf8'));
for (const [file, { bytesInOutput }] of Object.entries(metafile.outputs[`${TO}/page.js`].inputs)) {
  const [place] = PACKAGE.exec(file) ?? [];
  if (place === undefined || bytesInOutput === 0) continue;
  listed[place] = [...new Set([...(listed[place] ?? []), 'page/page.js'])].sort();
}
const sorted = Object.fromEntries(Object.entries(listed).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(LISTED, `${JSON.stringify(sorted, null, 1)}\n`);
