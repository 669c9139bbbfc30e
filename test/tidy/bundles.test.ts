/** The scripts of the build, and their source maps. */
import fs from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';
import test from 'ava';

const BUNDLE = 'dist/bundle';
const FUNCTION = /\b(?:function|class) (\w{6,})\b/g;
const LEAST_CHECKED = 300;

test('source maps name the lines of functions', (t) => {
  for (const script of ['tardis', 'thread-entry', 'lstardis']) {
    const file = path.join(BUNDLE, `${script}.cjs`);
    const map = new SourceMap(
      JSON.parse(fs.readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload,
    );
    let checked = 0;
    for (const [number, line] of fs.readFileSync(file, 'utf8').split('\n').entries()) {
      for (const { index, 1: name = '' } of line.matchAll(FUNCTION)) {
        const found = map.findEntry(number, index);
        if (!('originalSource' in found) || !found.originalSource.startsWith('../../src/'))
          continue;
        const source = fs.readFileSync(path.join(BUNDLE, found.originalSource), 'utf8');
        const named = source.split('\n')[found.originalLine] ?? '';
        if (!source.includes(name)) continue; // esbuild has renamed it
        t.true(named.includes(name), `${script}: ${name} is not in line ${found.originalLine}`);
        checked += 1;
      }
    }
    t.true(checked > LEAST_CHECKED, `${script}: ${checked}`);
  }
});

test('scripts are in ASCII, as the loader reads them', (t) => {
  const scripts = fs.readdirSync(BUNDLE).filter((name) => name.endsWith('.cjs'));
  t.true(scripts.length > 100);
  for (const name of scripts)
    t.false(
      fs.readFileSync(path.join(BUNDLE, name)).some((byte) => byte > 0x7f),
      name,
    );
});
