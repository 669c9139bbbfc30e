/** Rules for the files of the repository. Each failure names file and line, and what to do instead. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { allRows } from '../../src/config/index.js';
import { EFFECTS } from '../config/effects.js';
import { withoutCommentsAndTexts } from './blank.js';
import { circles } from './circles.js';
import { crumbs } from './crumbs.js';
import { faultsOfDrawing } from './drawing.js';
import {
  forbiddenImports,
  idlePermissions,
  importsOfPrograms,
  importsPastAdmin,
  webImports,
} from './imports.js';
import { filesOfHouse, linesMatching, ROOT } from './house.js';
import { arrowsUp, idleArrows, importsAbove } from './parts.js';
import { longFunctions } from './functions.js';
import { unsafePaths } from './paths.js';
import { oddOpenings, oddSentences, oldNames, oldWords } from './words.js';

const MAX_SOURCE_LINES = 600;
const MAX_TEST_LINES = 600;
const MAX_FUNCTION_LINES = 70;
const MAX_ARCHITECTURE_LINES = 330; // 30 of them are drawings
const MAX_FILE_BYTES = 256 * 1024;

/** Files whose subject is the words that others must not have. */
const ABOUT_WORDS = new Set(['test/tidy/words.ts', 'test/tidy/rules.test.ts']);

const files = filesOfHouse();
const typescript = files.filter((file) => /\.tsx?$/.test(file));
const sources = typescript.filter((file) => file.startsWith('src/'));
const tests = typescript.filter((file) => file.startsWith('test/'));
const textFiles = files.filter((file) => !/\.(png|jpg|gz|zst|bin|node)$/.test(file));

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

/** Passes if nothing was found; otherwise fails with all findings and the advice. */
function expectNone(t: ExecutionContext, found: readonly string[], advice: string): void {
  if (found.length === 0) t.pass();
  else t.fail(`${advice}\n${found.map((line) => `  ${line}`).join('\n')}`);
}

/** Returns the lines where code matches; comments and strings do not count. */
function inCode(among: readonly string[], pattern: RegExp): string[] {
  return among.flatMap((file) => linesMatching(file, withoutCommentsAndTexts(read(file)), pattern));
}

function tooLong(among: readonly string[], maxLines: number): string[] {
  return among.flatMap((file) => {
    const lines = read(file).split('\n').length - 1;
    return lines > maxLines ? [`${file}: ${lines} lines`] : [];
  });
}

test('imports point one way, and go through the index of a folder', (t) => {
  const found = typescript.flatMap((file) => forbiddenImports(file, read(file)));
  expectNone(t, found, 'Move what both need to a lower folder, or export it from the index:');
});

test('the parts of a room import only lower ones, and no arrow is idle', (t) => {
  const found = sources.flatMap((file) => importsAbove(file, read(file)));
  expectNone(t, found, 'Move what both need to a lower part (test/tidy/parts.ts):');
  expectNone(t, idleArrows(sources, read), 'Nothing imports these; remove them from the table:');
  expectNone(t, arrowsUp(), 'A part may import those before it in the table only:');
  // An arrow that is not in the table is found, of types too, and no other.
  const arrows = (file: string, text: string): number => importsAbove(file, text).length;
  t.is(arrows('src/store/layout/a.ts', "import type { A } from '../packs/a.js';"), 1);
  t.is(arrows('src/store/packs/a.ts', "export { a } from '../layout/a.js';"), 0);
  t.is(arrows('src/server/limits/a.ts', "const a = await import('../login/a.js');"), 1);
  t.is(arrows('src/store/layout/a.ts', "import { a } from './b.js';"), 0);
  t.is(arrows('src/store/index.ts', "import { a } from './packs/a.js';"), 0);
});

test('the imports between folders make no circle', (t) => {
  const found = circles(sources, read);
  expectNone(
    t,
    found,
    'Move what both need to a lower folder, or what needs both to a higher one:',
  );
});

test('the drawing of the rooms has each of them above those that it may import', (t) => {
  expectNone(t, faultsOfDrawing(read('ARCHITECTURE.md')), 'Draw the rooms as they are:');
});

test('commands start without the modules of the web', (t) => {
  const found = sources.flatMap((file) => webImports(file, read(file)));
  expectNone(
    t,
    found,
    'Load it at first use (src/system/web-modules.ts), or import its types only:',
  );
});

test('the objects between a socket and the catalog are the classes that ARCHITECTURE names', (t) => {
  const sentence = /Their classes are ([^.]*)\./.exec(read('ARCHITECTURE.md'))?.[1] ?? '';
  const named = [...sentence.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
  t.true(named.length >= 6, sentence);
  const all = sources.map(read).join('\n');
  const missing = named.filter(
    (name) => !new RegExp(`^(?:export )?class ${name}\\b`, 'm').test(all),
  );
  expectNone(t, missing, 'Draw the way of a message as it is:');
});

test('commands read by a history, and change by an admin', (t) => {
  const found = sources.flatMap((file) => importsPastAdmin(file, read(file)));
  expectNone(t, found, 'Use History or Admin, and add to them what they lack:');
  expectNone(t, idlePermissions(read), 'Remove it from MAY_PASS_ADMIN (test/tidy/imports.ts):');
});

test('what the programs share needs none of them', (t) => {
  const found = sources.flatMap((file) => importsOfPrograms(file, read(file)));
  expectNone(t, found, 'Move to src/tools/shared what several programs need:');
});

test('ARCHITECTURE is read in one sitting', (t) => {
  const lines = read('ARCHITECTURE.md').split('\n').length - 1;
  t.true(lines <= MAX_ARCHITECTURE_LINES, `${lines} lines, more than ${MAX_ARCHITECTURE_LINES}`);
});

test('scripts import only what exists', (t) => {
  const scripts = files.filter((file) => /^(scripts|packaging)\/.*\.mjs$/.test(file));
  const pattern = /^import \{([^}]+)\} from '\.\.\/dist\/([^']+)\.js'/gm;
  const imports = scripts.flatMap((file) =>
    [...read(file).matchAll(pattern)].flatMap(([, names, module]) =>
      names!.split(',').map((name) => ({ file, module: `${module}.ts`, name: name.trim() })),
    ),
  );
  t.true(imports.length > 10);
  const missing = imports.filter(({ module, name }) => {
    if (name === '' || !typescript.includes(module)) return name !== '';
    const isExported = new RegExp(`^export [^;]*?\\b${name}\\b`, 'm');
    return !isExported.test(read(module));
  });
  const found = missing.map(({ file, module, name }) => `${file}: ${name} of ${module}`);
  expectNone(t, found, 'Import it from the module that exports it:');
});

test('no source file is too long', (t) => {
  const advice = `Split it along what it does; at most ${MAX_SOURCE_LINES} lines:`;
  expectNone(t, tooLong(sources, MAX_SOURCE_LINES), advice);
});

test('no source file is too small for what it holds', (t) => {
  const advice = 'Join it with the file that needs it, or take its room from the list:';
  expectNone(t, crumbs(sources, read), advice);
  // Importers through an index count; a file that is only loaded on demand is an entry point.
  const texts: Record<string, string> = {
    'src/room/small.ts': 'export const SMALL = 1;\n',
    'src/room/index.ts': "export { SMALL } from './small.js';\n",
    'src/a.ts': "import { SMALL } from './room/index.js';\n",
    'src/b.ts': "import {\n  type SMALL as S,\n} from './room/index.js';\n",
    'src/c.ts': "import { OTHER } from './room/index.js';\nawait import('./d.js');\n",
    'src/d.ts': 'export const D = 1;\n',
  };
  const found = (changes: Record<string, string>): string[] => {
    const all = { ...texts, ...changes };
    return crumbs(Object.keys(all), (file) => all[file]!);
  };
  t.deepEqual(found({}), ['src/room/small.ts: src/a.ts, src/b.ts']);
  t.deepEqual(found({ 'src/c.ts': "import { SMALL } from './room/small.js';\n" }), []);
  t.deepEqual(found({ 'src/room/small.ts': '\n'.repeat(40) }), []);
});

test('no test file is too long', (t) => {
  const advice = `Split it, or move what it builds to test/helpers; at most ${MAX_TEST_LINES} lines:`;
  expectNone(t, tooLong(tests, MAX_TEST_LINES), advice);
});

test('no function is too long', (t) => {
  const found = sources.flatMap((file) => longFunctions(file, read(file), MAX_FUNCTION_LINES));
  expectNone(t, found, `Give its parts names of their own; at most ${MAX_FUNCTION_LINES} lines:`);
});

test('no value is without a type', (t) => {
  const found = inCode(typescript, /(?::|\bas|<|\||&)\s*any\b|,\s*any\s*>/);
  expectNone(t, found, 'Use `unknown` and look at the value, or name its type:');
});

test('rows of SQLite have the type of their shape', (t) => {
  const found = inCode(
    sources.filter((file) => !file.startsWith('src/system/')),
    /\.(pluck|raw|safeIntegers)\(\)|\.(all|iterate)\([^()]*\) as\b|\bstatements\.\w+\.get\(.*\) as\b/,
  );
  expectNone(t, found, 'Read rows by `database.query(sql, shape)`, and without a cast:');
});

test('nothing is left for later', (t) => {
  const marks = new RegExp(
    `\\b(${['TO'.concat('DO'), 'FIX'.concat('ME'), 'X'.repeat(3)].join('|')})\\b`,
  );
  const places = /^(src|test|bench|scripts|bin|native|schema|\.ci)\//;
  const found = textFiles
    .filter((file) => places.test(file))
    .flatMap((file) => linesMatching(file, read(file), marks));
  expectNone(t, found, 'Do it now, or open an issue and remove the mark:');
});

test('comments say first what a thing does or returns', (t) => {
  const places = /^(src|test|bench|native|scripts|packaging|system)\/|^schema\/tardis\.sql$/;
  const found = textFiles
    .filter((file) => places.test(file))
    .flatMap((file) => oddOpenings(file, read(file)));
  expectNone(t, found, 'Begin with a verb or a plain noun (CONTRIBUTING.md):');
});

test('comments use the words of the field', (t) => {
  const places = /^(src|test|bench|native|scripts|packaging|system)\/|^schema\/tardis\.sql$/;
  const found = textFiles
    .filter((file) => places.test(file) && !ABOUT_WORDS.has(file))
    .flatMap((file) => oldWords(file, read(file)));
  expectNone(t, found, 'Programs report, send, print, request and need (CONTRIBUTING.md):');
});

test('names use the words of the field', (t) => {
  const found = typescript
    .filter((file) => !ABOUT_WORDS.has(file))
    .flatMap((file) => oldNames(file, withoutCommentsAndTexts(read(file))));
  expectNone(t, found, 'Name it by a word of the glossary (ARCHITECTURE.md):');
});

test('sentences of documents begin with their subject', (t) => {
  // CONTRIBUTING.md has a table of sentences to avoid.
  const found = files
    .filter((file) => file.endsWith('.md') && file !== 'CONTRIBUTING.md')
    .flatMap((file) => oddSentences(file, read(file)));
  expectNone(t, found, 'Begin with a plain noun (CONTRIBUTING.md, "Plain English"):');
});

test('every test runs', (t) => {
  const found = inCode(tests, /\btest(\.serial)?\.(only|skip|todo)\b/);
  expectNone(t, found, 'Let all tests run; remove what cannot work:');
});

test('a file of tests has its pace in a word that the scripts know', (t) => {
  const paces = tests.map((file) => [file, /^\/\/ ?[Pp]ace\b.*$/m.exec(read(file))?.[0]] as const);
  const marked = paces.filter(([, line]) => line !== undefined);
  t.true(marked.length > 20);
  const wrong = marked.filter(
    ([file, line]) =>
      !/^\/\/ Pace: (quick|slow|long|alone)$/.test(line!) || !read(file).startsWith(line!),
  );
  expectNone(
    t,
    wrong.map(([file]) => file),
    'Write it as the first line, as in scripts/test-pace.mjs:',
  );
});

test('a file of tests that may start commands notes its pace', (t) => {
  const starters = tests.filter((file) => read(file).includes("from './commands.js'"));
  const names = starters.map((file) => path.basename(file, '.ts'));
  t.true(names.length > 10);
  const isStarting = new RegExp(
    `from '[./]+/(helpers|support)/(commands|${names.join('|')})\\.js'`,
  );
  const found = tests.filter(
    (file) =>
      file.endsWith('.test.ts') &&
      isStarting.test(read(file)) &&
      !read(file).startsWith('// Pace: '),
  );
  expectNone(t, found, 'Begin it with `// Pace: slow`, or quick (scripts/test-pace.mjs):');
});

test('only commands end the process', (t) => {
  const found = inCode(
    sources.filter((file) => !file.startsWith('src/tools/')),
    /\bprocess\.(exit|exitCode|abort|reallyExit)\b/,
  );
  expectNone(t, found, 'Throw a TardisError, and let src/tools choose the exit status:');
});

test('only commands and benchmarks print', (t) => {
  const found = inCode(
    typescript.filter((file) => !/^(src\/tools|bench)\//.test(file)),
    /\bconsole\.\w+/,
  );
  expectNone(t, found, 'Return what is to be said, use the log of the server, or t.log in a test:');
});

test('files are opened by their paths only where another user can lead nobody astray', (t) => {
  const found = sources.flatMap((file) => unsafePaths(file, read(file)));
  expectNone(t, found, 'Use onSafeWay, openSource or openOutput, or give the reason in paths.ts:');
});

test('every document has one title', (t) => {
  const found = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => {
      const outsideOfCode = read(file).replaceAll(/^( *```).*?^\1$/gms, '');
      const titles = outsideOfCode.match(/^# .+/gm)?.length ?? 0;
      return titles === 1 ? [] : [`${file}: ${titles} titles`];
    });
  expectNone(t, found, 'Begin with one line `# Title`, and use `##` below it:');
});

test('every setting names the test of its effect', (t) => {
  const titles = new Set(
    tests.flatMap((file) =>
      [...read(file).matchAll(/\btest(?:\.serial)?\(\s*(['"`])(.+?)\1,/g)].map((match) => match[2]),
    ),
  );
  const named = new Set<string>(Object.values(EFFECTS).flat());
  const found = [
    ...Object.keys(EFFECTS).filter((title) => !titles.has(title)),
    ...allRows().flatMap(([name]) => (named.has(name) ? [] : [name])),
  ];
  expectNone(t, found, 'Write the test, and name it in test/config/effects.ts as it is called:');
});

test('no file is large', (t) => {
  const found = files
    .filter((file) => file !== 'package-lock.json')
    .flatMap((file) => {
      const bytes = statSync(path.join(ROOT, file)).size;
      return bytes > MAX_FILE_BYTES ? [`${file}: ${bytes} bytes`] : [];
    });
  expectNone(t, found, `Make it when it is needed; at most ${MAX_FILE_BYTES} bytes:`);
});

test('no package registry is named', (t) => {
  const host = new RegExp(['registry', 'npm'].join('\\.'), 'i');
  const found = textFiles.flatMap((file) => linesMatching(file, read(file), host));
  expectNone(t, found, 'Leave the choice of a registry to the user of npm:');
});

test('the lock file names packages, not where they came from', (t) => {
  const found = linesMatching('package-lock.json', read('package-lock.json'), /"resolved": *"http/);
  expectNone(t, found, 'Run npm install with --omit-lockfile-registry-resolved:');
});

test('the lock file has the optional packages for other systems too', (t) => {
  type Packages = Record<string, { optionalDependencies?: Record<string, string> }>;
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Packages };
  const found = Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`node_modules/${name}`] && !packages[`${place}/node_modules/${name}`],
    ),
  );
  expectNone(t, found, 'npm ci would refuse it; run `node scripts/complete-lock.mjs`:');
});

test('the lock file has the hash of each package that is installed on Linux', (t) => {
  interface Package {
    readonly integrity?: string;
    readonly optional?: boolean;
    readonly os?: readonly string[];
    readonly cpu?: readonly string[];
    readonly libc?: readonly string[];
  }
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, Package>;
  };
  const isElsewhere = ({ os = ['linux'], cpu = ['x64'], libc = ['glibc'] }: Package): boolean =>
    !os.includes('linux') ||
    !libc.includes('glibc') ||
    !['x64', 'arm64'].some((one) => cpu.includes(one));
  const found = Object.entries(packages).flatMap(([place, one]) => {
    const isHashed = /^sha512-[A-Za-z0-9+/]{86}==$/.test(one.integrity ?? '');
    return place === '' || isHashed || (one.optional === true && isElsewhere(one)) ? [] : [place];
  });
  expectNone(t, found, 'run `node scripts/complete-lock.mjs`:');
});

test('packages without a hash in a lock file are those that docs/using/packages.md names', (t) => {
  const named = read('docs/using/packages.md')
    .split('\n')
    .flatMap((line) => {
      const [, prefix, words] = /^\| `(@[^`]+[-/])` \|[^|]*\| (.+) \|$/.exec(line) ?? [];
      return (words ?? '')
        .split(' ')
        .flatMap((word) => (word === '' ? [] : [`${prefix}${word.slice(1, -1)}`]));
    });
  const lockFiles = files.filter((file) => path.basename(file) === 'package-lock.json');
  t.true(lockFiles.length > 2);
  const lacking = lockFiles.flatMap((file) => {
    const { packages } = JSON.parse(read(file)) as {
      packages: Record<string, { integrity?: string }>;
    };
    return Object.entries(packages).flatMap(([place, { integrity }]) =>
      place === '' || integrity !== undefined ? [] : [place.slice('node_modules/'.length)],
    );
  });
  t.deepEqual(named.sort(), lacking.sort());
});

test('generated documents say what the tables say', async (t) => {
  const script = pathToFileURL(path.join(ROOT, 'scripts', 'make-docs.mjs')).href;
  const { generateDocs } = (await import(script)) as {
    generateDocs: () => Promise<{ file: string; current: string | undefined; wanted: string }[]>;
  };
  const documents = await generateDocs();
  t.true(documents.some(({ file }) => file === 'docs/damage/errors.md'));
  for (const { file, current, wanted } of documents) {
    t.is(current, wanted, `${file}: run \`node scripts/make-docs.mjs\` after a build`);
  }
});
