/** Tests of the rules themselves, because a rule that never finds anything would pass too. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { withoutCommentsAndTexts } from './blank.js';
import { circles } from './circles.js';
import { faultsOfDrawing } from './drawing.js';
import { longFunctions } from './functions.js';
import { filesOfHouse, linesMatching } from './house.js';
import {
  forbiddenImports,
  importsOfPrograms,
  importsPastAdmin,
  MAY_IMPORT,
  webImports,
} from './imports.js';
import { unsafePaths } from './paths.js';
import { oddOpenings, oddSentences, oldNames, oldWords } from './words.js';

test('the arrows between folders make no circle', (t) => {
  const isFree = (folder: string, seen: readonly string[]): boolean =>
    !seen.includes(folder) &&
    (MAY_IMPORT[folder] ?? []).every((next) => isFree(next, [...seen, folder]));
  for (const folder of Object.keys(MAY_IMPORT)) t.true(isFree(folder, []), folder);
});

test('a circle of imports between folders is found, of types and of three folders too', (t) => {
  const found = (texts: Readonly<Record<string, string>>): string[] =>
    circles(Object.keys(texts), (file) => texts[file]!);
  const below = { 'src/a/x.ts': "import { y } from '../b/y.js';" };
  const typed = { 'src/b/z.ts': "import type { X } from '../a/x.js';" };
  t.deepEqual(found({ ...below, 'src/b/y.ts': "import './z.js';" }), []);
  t.deepEqual(found({ ...below, ...typed }), ['src/a/x.ts: src/b', 'src/b/z.ts: src/a']);
  const round = {
    'src/b/y.ts': "export const y = await import('./c/d.js');",
    'src/b/e.ts': "import {\n  f,\n} from '../g/f.js';",
    'src/g/f.ts': "export * from '../a/w.js';",
    'src/h/i.ts': "import { x } from '../a/x.js';",
  };
  t.deepEqual(found({ ...below, ...round }), [
    'src/a/x.ts: src/b',
    'src/b/e.ts: src/g',
    'src/g/f.ts: src/a',
  ]);
  const fewFirst = { ...below, 'src/a/v.ts': "import '../b/y.js';", ...typed };
  t.is(found(fewFirst)[0], 'src/b/z.ts: src/a');
  // A room and a folder within it are one.
  const within = { 'src/a/x.ts': "import './b/y.js';", 'src/a/b/y.ts': "import '../x.js';" };
  t.deepEqual(found(within), []);
});

test('a room that the drawing lacks or invents, and an import that does not point down, are found', (t) => {
  const text = readFileSync('ARCHITECTURE.md', 'utf8');
  const found = (from: string, to: string): string[] => faultsOfDrawing(text.replace(from, to));
  t.true(found('\nstore/writer  ', '\n').includes('store/writer is missing'));
  t.deepEqual(found('\nweb/api\n', '\nweb/api cellar\n'), [
    'cellar is not in the table of imports',
  ]);
  const beside = text
    .replace('\nstore/catalog  ', '\n')
    .replace('\nstore/writer  ', '\nstore/writer store/catalog  ');
  t.true(
    faultsOfDrawing(beside).includes(
      'store/catalog is not below store/writer, which may import it',
    ),
  );
  t.true(
    found('system    retention ▸ model', 'system    model ▸ retention').includes(
      'model is not below retention, which may import it',
    ),
  );
});

test('a file call with a path is found, one on a safe way or with a descriptor is not', (t) => {
  const found = (text: string, file = 'src/restore/x.ts'): number => unsafePaths(file, text).length;
  t.is(found('fs.openSync(path, flags);'), 1);
  t.is(found('fs.realpathSync.native(path);'), 1);
  t.is(found('await fs.rename(from, to);'), 1);
  t.is(found("onSafeWay(path, 'output', (at) => fs.openSync(at, flags)); fs.closeSync(fd);"), 0);
  t.is(found('fs.readFileSync(`/proc/self/fdinfo/${fd}`);'), 0);
  t.is(found('fs.openSync(path, flags);', 'src/system/x.ts'), 0);
  t.is(found('', 'src/client/roots.ts'), 1);
});

test('an import against the arrows or past an index is found', (t) => {
  const found = (file: string, text: string): number => forbiddenImports(file, text).length;
  t.is(found('src/store/pack.ts', "import { a } from '../errors/index.js';"), 0);
  t.is(found('src/store/pack.ts', "import { a } from './record.js';"), 0);
  t.is(found('src/store/pack.ts', "import { a } from 'rxjs';"), 0);
  t.is(found('src/store/pack.ts', "import { a } from '../errors/table.js';"), 1);
  t.is(found('src/store/pack.ts', "import type {\n  A,\n} from './catalog/index.js';"), 1);
  t.is(found('src/store/catalog/a.ts', "import { a } from '../index.js';"), 0);
  t.is(found('src/store/catalog/a.ts', "import { a } from '../packs/record.js';"), 1);
  t.is(found('src/store/packs/a.ts', "import { a } from '../backends/backend.js';"), 0);
  t.is(found('src/store/pack.ts', "export * from '../pipeline/index.js';"), 1);
  t.is(found('src/store/pack.ts', "await import('../tools/index.js');"), 1);
  t.is(found('src/store/pack.ts', "await import('./pack.js');"), 1);
  t.is(found('src/store/pack.ts', "import '../../test/helpers/trees.js';"), 1);
  t.is(found('src/unheard/of.ts', "import { a } from '../errors/index.js';"), 1);
  t.is(found('src/server/storage/a.ts', "import { a } from '../session.js';"), 0);
  t.is(found('test/store/a.test.ts', "import { a } from '../../src/store/index.js';"), 0);
  t.is(found('test/store/a.test.ts', "import { a } from '../../src/store/pack.js';"), 1);
  t.is(found('test/system/a.test.ts', "import { a } from '../../src/system/native.js';"), 0);
  t.deepEqual(forbiddenImports('src/client/a.ts', "\nimport '../server/index.js';"), [
    'src/client/a.ts:2: client must not import server',
  ]);
});

test('an import of a command past history and admin is found, one of types is not', (t) => {
  const found = (text: string): string[] => importsPastAdmin('src/tools/sonic/a.ts', text);
  t.deepEqual(found("\nimport { Catalog } from '../../store/catalog/index.js';"), [
    'src/tools/sonic/a.ts:2: src/store/catalog/index.js',
  ]);
  t.is(found("await import('../../maintenance/check/index.js');").length, 1);
  t.is(found("import { type A, b } from '../../maintenance/gc/index.js';").length, 1);
  t.is(found("import type { A } from '../../store/writer/index.js';").length, 0);
  t.is(found("import { openClientDirectory } from '../../store/index.js';").length, 0);
  t.is(found("import {\n  mediumOf,\n  isAccount,\n} from '../../store/index.js';").length, 1);
});

test('an import of the web is found where commands would load it, one of types is not', (t) => {
  const found = (file: string, text: string): string[] => webImports(file, text);
  t.deepEqual(found('src/notify/a.ts', "\nimport http from 'node:http';"), [
    'src/notify/a.ts:2: node:http',
  ]);
  for (const text of [
    "import { request } from 'https';",
    "import {\n  constants,\n} from 'node:http2';",
    "import 'node:http';",
    "export * from 'node:https';",
    "await import('node:http');",
    "import { WebSocket } from 'ws';",
    "import fastify from 'fastify';",
    "import a from '@fastify/static';",
  ]) {
    t.is(found('src/server/monitor/a.ts', text).length, 1, text);
  }
  for (const text of [
    "import type { Server } from 'node:http';",
    "function load(): typeof import('node:http') {}",
    "process.getBuiltinModule('node:http');",
    "import net from 'node:net';",
  ]) {
    t.deepEqual(found('src/server/monitor/a.ts', text), [], text);
  }
  t.deepEqual(found('src/transport/a.ts', "import { WebSocket } from 'ws';"), []);
  t.is(found('src/transport/a.ts', "import http from 'node:http';").length, 1);
  t.deepEqual(found('src/web/a.ts', "import fastify from 'fastify';"), []);
  t.deepEqual(found('src/web/local/a.ts', "import cookies from '@fastify/cookie';"), []);
  t.is(found('src/webs/a.ts', "import fastify from 'fastify';").length, 1);
  t.deepEqual(found('test/web/a.ts', "import http from 'node:http';"), []);
});

test('a long function is found, a long class, switch or list is not', (t) => {
  const body = '  x();\n'.repeat(10);
  const found = (text: string): string[] => longFunctions('f', text, 10);
  t.deepEqual(found(`function a() {\n${body}}\n`), ['f:1: 12 lines']);
  t.deepEqual(found(`\nexport async function a(\n  b: B,\n): Promise<void> {\n${body}}\n`), [
    'f:2: 14 lines',
  ]);
  t.deepEqual(found(`const a = (b: B): C => {\n${body}};\n`), ['f:1: 12 lines']);
  const deeper = body.replaceAll('  x', '    x');
  t.deepEqual(found(`class A {\n  a(): { b: C } {\n${deeper}  }\n}\n`), ['f:2: 12 lines']);
  t.deepEqual(found(`class A extends B(C) {\n${body}}\n`), []);
  t.deepEqual(found(`if (a) {\n${body}} else if (b) {\n${body}}\n`), []);
  t.deepEqual(found(`switch (a) {\n${body}}\nconst a = {\n${body}};\n`), []);
  t.deepEqual(found(`function a() {\n  x();\n}\n${body}`), []);
});

test('comments, texts and regular expressions are not taken for code', (t) => {
  const blank = withoutCommentsAndTexts;
  t.is(blank('a(\'b\', "c"); // d').trimEnd(), 'a(   ,    );');
  t.is(blank('a /* b\n c */ d'), 'a     \n      d');
  t.is(blank("'it\\'s' + a"), '        + a');
  t.is(blank('`a ${b} c` + d'), '`  ${b}  ` + d');
  t.is(blank('`${a({ b: `c` })}` + d'), '`${a({ b: ` ` })}` + d');
  t.is(blank('a = /[\'"]/g; b'), 'a =        ; b');
  t.is(blank('a / b / c'), 'a / b / c');
  t.is(blank('a(b) / c; // d').trimEnd(), 'a(b) / c;');
  t.is(blank('s.replace(/[/\\]]/, a)'), 's.replace(       , a)');
});

test('the files of the house are found, those of others are not', (t) => {
  const files = filesOfHouse();
  for (const file of ['package.json', 'scripts/setup.sh', '.ci/run']) t.true(files.includes(file));
  t.false(files.some((file) => /^(node_modules|dist|native\/build|\.git)\//.test(file)));
  t.deepEqual(linesMatching('f', 'a\n  b', /b/), ['f:2: b']);
});

test('a comment that begins with a private turn is found', (t) => {
  t.is(oddOpenings('f', '/** What a session holds. */').length, 1);
  t.is(oddOpenings('f', ' * Whoever was killed wants it no more.').length, 1);
  t.is(oddOpenings('f', '// The same.').length, 1);
  t.is(oddOpenings('f', '/** Of a file: its size. */').length, 1);
  t.is(oddOpenings('f', '# Whose turn it is.').length, 1);
  t.is(oddOpenings('f', '/** Opens a file. Of a large one it reads the head. */').length, 1);
  t.is(oddOpenings('f', '// It ends; what is left is removed. Who waits is woken.').length, 1);
  t.is(oddOpenings('f', '// It ends. Who is next? The oldest one.').length, 0);
  t.is(oddOpenings('f', '/** Returns what a session holds. */').length, 0);
  t.is(oddOpenings('f', "t.is(what, '// What');").length, 0);
});

test('a sentence of a document that begins with a private turn is found', (t) => {
  t.deepEqual(oddSentences('f', 'It ends.\n\nWhat is left is kept.'), [
    'f:3: What is left is kept.',
  ]);
  t.is(oddSentences('f', '- Who may read may list.').length, 1);
  t.is(oddSentences('f', 'It ends. Whoever waits is woken.').length, 1);
  t.is(oddSentences('f', '## What is there').length, 0);
  t.is(oddSentences('f', 'Lost? What is there now?').length, 0);
  t.is(oddSentences('f', 'It prints what is left.').length, 0);
  t.is(oddSentences('f', '```\nWhat is left\n```\n').length, 0);
});

test('an old word is found in comments, not in code, texts and names', (t) => {
  t.deepEqual(oldWords('f', 'a();\n/** Returns what the peer was told. */'), [
    'f:2: /** Returns what the peer was told. */',
  ]);
  t.is(oldWords('f', ' * The page says why.').length, 1);
  t.is(oldWords('f', '# Asks for a password.').length, 1);
  t.is(oldWords('f', 'a(); // it tells the server').length, 1);
  t.is(oldWords('f', '/** Calls `tell` with each page. */').length, 0);
  t.is(oldWords('f', "const told = 'it says so';").length, 0);
  t.is(oldWords('f', '// A machine with little memory (1 GiB, say).').length, 0);
});

test('an old word is found in names of code and of files', (t) => {
  t.deepEqual(oldNames('a.ts', '\nconst lastTold = MAX_TOLD;'), [
    'a.ts:2: lastTold',
    'a.ts:2: MAX_TOLD',
  ]);
  t.is(oldNames('a.ts', 'peer.say(line)').length, 1);
  t.is(oldNames('a.ts', 'await dropSets(gone)').length, 1);
  t.deepEqual(oldNames('src/a/parity-keeper.ts', ''), ['src/a/parity-keeper.ts: its name']);
  t.is(oldNames('src/a/sets.ts', 'essay.ask(wanted, whole, stellar)').length, 0);
});

test('an import of a program by what all programs share is found', (t) => {
  const found = (file: string): string[] =>
    importsOfPrograms(file, "const { a } = await import('../sonic/a.js');");
  t.deepEqual(found('src/tools/shared/b.ts'), ['src/tools/shared/b.ts:1: src/tools/sonic/a.js']);
  t.deepEqual(found('src/tools/tardis/b.ts'), []);
  t.deepEqual(importsOfPrograms('src/tools/shared/b.ts', "import { a } from './a.js';"), []);
});
