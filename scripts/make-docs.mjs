// Writes the parts of docs/ that are made from a table of the program: `node scripts/make-docs.mjs` (after a build), or with --check
// prints which files differ. A test does the same in memory.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ABSENT, allRows, formatValue, NEOPHYTOS, TOOLS } from '../dist/src/config/index.js';
import { EFFECTS } from '../dist/test/config/effects.js';
import { ERROR_TABLE } from '../dist/src/errors/index.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const KIB = 1024;
const MIB = 1024 * KIB;

/** Returns a table in Markdown. */
function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const escaped = rows.map((cells) => cells.map((cell) => String(cell).replaceAll('|', '\\|')));
  return [line(head), line(head.map(() => '---')), ...escaped.map(line)].join('\n');
}

const KINDS = [
  ['user', 'wrong input, or a missing thing'],
  ['busy', 'somebody else is at it: try later'],
  ['environment', 'disk, rights or network'],
  ['damage', 'stored bytes are not what they should be'],
  ['protocol', 'the peer broke the rules'],
  ['partial', 'done, but not all of it'],
  ['interrupted', 'stopped by a signal'],
  ['bug', 'ours; only this kind shows a stack'],
];

const EXIT_STATUSES = [
  [0, 'done; files that vanished during the walk are a note'],
  [1, 'failed'],
  [3, 'done, but some files could not be read or restored'],
  [10, 'no such store or client'],
  [11, 'busy: another session or tool works with this client'],
  [12, 'the password is wrong or missing'],
  [130, 'interrupted by SIGINT; 129 by SIGHUP, 143 by SIGTERM'],
];

function errorsDocument() {
  const known = new Set(KINDS.map(([kind]) => kind));
  const statuses = new Set(EXIT_STATUSES.map(([status]) => status));
  for (const [code, row] of Object.entries(ERROR_TABLE)) {
    if (!known.has(row.kind)) throw new Error(`${code}: tell make-docs.mjs about kind ${row.kind}`);
    if (!statuses.has(row.exitStatus)) {
      throw new Error(`${code}: tell make-docs.mjs about exit status ${row.exitStatus}`);
    }
  }
  const errors = Object.entries(ERROR_TABLE).map(([code, row]) => [
    `\`${code}\``,
    row.exitStatus,
    row.kind,
    row.guidance,
  ]);
  return `# Errors

Generated from \`src/errors/table.ts\` by \`node scripts/make-docs.mjs\`; do not edit.

Every error has a code. It is part of the message on standard error and of the output with \`--json\`,
and it stays the same between releases; scripts should look at it, or at the exit status.

## Exit status

${table(['status', 'meaning'], EXIT_STATUSES)}

## Kinds

${table(['kind', 'meaning'], KINDS)}

## Codes

${table(['code', 'exit status', 'kind', 'what to do'], errors)}
`;
}

function size(bytes) {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

/** Returns a kind of field in words. The fields of a map are in braces, items of a list in brackets. */
function kindShown(kind) {
  if (typeof kind === 'string') return kind;
  if (kind.maybe !== undefined) return `${kindShown(kind.maybe)}?`;
  if (kind.words !== undefined) return `(${kind.words.map((word) => `"${word}"`).join(' or ')})`;
  if (kind.listOf !== undefined) return `[${kindShown(kind.listOf)}]`;
  if (kind.fields !== undefined) return `{${fieldsShown(kind.fields)}}`;
  const cases = Object.entries(kind.cases).map(
    ([name, fields]) => `\`${kind.tag}\` "${name}", ${fieldsShown(fields)}`,
  );
  return cases.map((shown) => `{${shown}}`).join(' or ');
}

function fieldsShown(fields) {
  const shown = Object.entries(fields).map(([name, kind]) => `\`${name}\` ${kindShown(kind)}`);
  return shown.join(', ');
}

async function messagesTable() {
  const { MESSAGES } = await import('../dist/src/transport/messages.js');
  const rows = Object.entries(MESSAGES)
    .sort(([, a], [, b]) => a.number - b.number)
    .map(([name, row]) => [
      row.number,
      `\`${name}\``,
      row.direction === 'to-server' ? 'to server' : 'to client',
      row.part,
      row.right ?? 'none',
      size(row.maxBytes),
      row.beforeLogin ? 'yes' : 'no',
      fieldsShown(row.fields) + (row.hasAttachment ? '; attachment' : ''),
      code(row.answer),
    ]);
  return table(
    [
      'number',
      'name',
      'direction',
      'part',
      'right',
      'largest size',
      'before login',
      'fields',
      'answer',
    ],
    rows,
  );
}

const code = (text) => (text === undefined ? '' : `\`${text}\``);

/** Returns a text of a row, and after it the differing texts of single tools. */
function withTools(text, { perTool = {} }, key) {
  const others = Map.groupBy(
    Object.entries(perTool).filter(([, texts]) => texts[key] !== undefined),
    ([, texts]) => texts[key],
  );
  const shown = [...others].map(([other, entries]) => {
    const added = other.startsWith(text) ? other.slice(text.length) : other;
    return `${toolsShown(entries.map(([tool]) => tool))}: ${added.replace(/^[;\s]+/, '')}`;
  });
  return [text, ...shown].join('; ');
}

function defaultShown({ default: given, defaultText, ...row }) {
  if (defaultText !== undefined) return withTools(defaultText, row, 'defaultText');
  if (given === undefined || given === '') return '';
  const value = Array.isArray(given) ? given.join(' ') : formatValue(given, row);
  return value === '' ? '' : code(value);
}

/** Returns the tools of a row, in the order of all tools. The prefix of sonic's commands is written once. */
function toolsShown(tools) {
  if (TOOLS.every((tool) => tools.includes(tool))) return 'all';
  const shown = TOOLS.filter((tool) => tools.includes(tool));
  const isSonic = (tool) => tool.startsWith('sonic ');
  const commands = shown.filter(isSonic).map((tool) => tool.slice('sonic '.length));
  const others = shown.filter((tool) => !isSonic(tool));
  if (commands.length === 0) return others.join(', ');
  const isWhole = commands.length === TOOLS.filter(isSonic).length;
  return [...others, isWhole ? 'sonic' : `sonic ${commands.join(' / ')}`].join(', ');
}

function optionShown({ flags, negatable, argument, shownArguments, tools }) {
  const shown = tools.length === 1 ? shownArguments?.[tools[0]] : undefined;
  if (shown !== undefined) return code(shown.replaceAll(/[<>.]/g, '').toUpperCase());
  if (argument !== undefined) return code(argument.replaceAll(/[[\]<>.]/g, '').toUpperCase());
  if (flags === undefined) return '';
  const long = /--[a-z-]+/.exec(flags)[0];
  return code(flags) + (negatable ? `, ${code(long.replace('--', '--no-'))}` : '');
}

function settingsTable(rows) {
  return table(
    [
      'setting',
      'option',
      'variable',
      'client key',
      'server key',
      'default',
      'tools',
      'meaning',
      'test of its effect',
    ],
    rows.map(([name, row]) => [
      name,
      optionShown(row),
      code(row.variable),
      code(row.clientKey),
      code(row.serverKey),
      defaultShown(row),
      toolsShown(row.tools),
      withTools(row.help, row, 'help'),
      Object.keys(EFFECTS).find((title) => EFFECTS[title].includes(name)),
    ]),
  );
}

function configurationDocument() {
  const rows = allRows();
  const tuning = rows.filter(([, row]) => row.isTuning === true);
  const others = rows.filter(([, row]) => row.isTuning !== true);
  const refused = ABSENT.map(({ name, kind, tools, instead }) => [
    code(name),
    tools === undefined ? kind : `${kind} of ${tools.join(', ')}`,
    instead,
  ]);
  return `# Configuration

Generated from the table of settings in \`src/config/\` by \`node scripts/make-docs.mjs\`; do not edit.

## Where settings come from

In rising order: what is built in, system.defaults, the environment, the configuration file, the command
line. A wrong value is an error even where a better one would win. \`--explain-config\`, which every tool
has, prints each setting with its value and where that was given (with \`--json\` as JSON), and does nothing
else.

- **system.defaults** is /etc/tardis/system.defaults, if it is there, or the file that \`TARDIS_DEFAULTS\`
  names (none, if that is empty): section \`[Tardis]\`, and in it the variables of the table below.
- **The client's file** is named by \`--config\`, of which there may be several; later ones count more.
  Without one, a command that names no store and no server reads ~/.config/tardis/backup.cfg (or that of
  \`XDG_CONFIG_HOME\`), if it is there: the file of \`tardis setup\`.
  The section \`[Tardis]\`, or the one that \`--job\` names instead, is read, after \`[Pipeline]\`, where the
  keys of the second table may stand for all jobs. Every section is checked. \`[Sources]\` has commands whose
  output is backed up (dumps.md).
- **The server's file** is named by \`--config\` or \`TARDIS_DAEMON_CONFIG\`, or it is
  /etc/tardis/tardisd.cfg, if that is there: sections \`[Tardis]\` and \`[Pipeline]\`. A server that
  \`tardis --local\` starts reads the file of \`--local-config\` or \`TARDIS_LOCAL_CONFIG\`, or
  /etc/tardis/tardisd.local.cfg, if that is there.
- **@FILE** on a command line stands for the words in that file: between blanks, with quotes and backslashes
  as in a shell, and \`#\` for comments. It may name further files. Write \`./@name\` for a name, or put it
  behind \`--\`.

Files are those of Python's configparser: \`key = value\` or \`key: value\`, whatever the case of the key;
further lines of a value are indented; lines that begin with \`#\` or \`;\` are comments; sections and keys
stand only once. There is no \`[DEFAULT]\`, no interpolation and no comment behind a value. Values of paths
are bytes. Lists are words as in @FILE, between blanks or commas (\`*.o, *.tmp\`); a word that holds a comma is quoted,
or has \`\\,\` for it. Sizes have a unit K, M, G or T (of 1024), if any.

The place of a store (\`-D\`, \`--also-to\`, \`--to\`, and their variables and keys) is a directory or
\`s3://BUCKET/PREFIX\`; that of \`--also-to\` may also be \`ssh://HOST/PLACE\`. In a file, a directory must be an absolute path, since it must not depend on the directory in
which a command runs. Whatever looks like the address of another program (\`user@host:/path\`, \`s3:bucket\`, \`rest:…\`,
\`file:///path\`, \`C:\\path\`, \`~/path\`) is an error with the right spelling; \`./a:b\` is a directory of that name.

An unknown key, variable (\`TARDIS_…\`) or option is an error that names the nearest one.

## Settings

${settingsTable(others)}

## Tuning

These keys may stand in \`[Pipeline]\` too.

${settingsTable(tuning)}

## What this release refuses

Names of the systems that this one carries on. Using one is the error \`CAPABILITY_MISSING\`.

${table(['name', 'kind', 'why'], refused)}
`;
}

function neophytosDocument() {
  const rows = NEOPHYTOS.map(({ option, value, ours, why }) => [
    code(value === undefined ? option : `${option}=${value}`),
    ours === undefined ? 'none' : code(ours),
    `${why}.`,
  ]);
  return `# For users of Neophytos

Generated from \`src/config/neophytos.ts\` by \`node scripts/make-docs.mjs\`; do not edit.

A command with options of Neophytos does nothing, and prints the command to use instead. These are the counterparts:

| there | here |
| --- | --- |
| push a directory as the target \`peach\` | \`tardis --server HOST --password-file FILE --kept-as /peach DIRECTORY\` |
| push two targets in one run | \`tardis … --kept-as /peach --kept-as /plum DIRECTORY1 DIRECTORY2\` |
| pull the target \`peach\` | \`regenerate --server HOST --password-file FILE --last --output DIRECTORY /peach\`: as DIRECTORY/peach |
| pull all targets | \`regenerate … --all --output DIRECTORY\`: all that the newest set holds; of targets that were pushed in runs of their own, each is named with \`--last\` |
| what is on the server | \`lstardis --server HOST --password-file FILE\` |
| an older version, or a file that was deleted | \`regenerate … --date "3 days ago" PATH\` |
| an account | \`sonic create --server HOST --client NAME --password\`, if the server lets new clients in; else on its machine |
| several accounts for one target, with rights | \`sonic account --add NAME --rights add,list\` |
| quotas | \`docs/server/running.md\` |

A client is a machine: its name is \`--client\`, or the host name. A job in a configuration file (\`--job\`) may hold all of
this for each target: \`Server\`, \`PasswordFile\`, \`Directories\`, \`KeptAs\`.

## Every option

${table(['there', 'here', 'how'], rows)}
`;
}

/** Returns the text with the part between `<!-- NAME:begin -->` and `<!-- NAME:end -->` replaced; unchanged without them. */
export function replaceSection(text, name, section) {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) return text;
  return `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`;
}

/** Returns the sentences of README about speed, from the first table of docs/inside/figures.md. */
function figuresSentence() {
  const page = readFileSync(join(root, 'docs/inside/figures.md'), 'utf8');
  const [, files, megabytes] = /^([\d,]+) files of (\d+) MB\.$/m.exec(page);
  const [, version] = /restic (\d[\d.]*\d)/.exec(page);
  const ratiosOf = (subject) => {
    const table = page.slice(0, page.indexOf('\n## ', page.indexOf('\n## ') + 1));
    const rows = table.matchAll(
      new RegExp(`^\\| \\w+ \\| ${subject} \\|.*\\| ([\\d.]+) \\|$`, 'gm'),
    );
    return [...rows].map(([, ratio]) => ratio);
  };
  const [first, unchanged, changed, restored] = ratiosOf('tardis-encrypted');
  const clear = ratiosOf('tardis').join(', ');
  return `Of the time of restic ${version}, with ${files} files of ${megabytes} MB, encrypted as there: a first backup takes ${first}, an unchanged one ${unchanged}, a changed one ${changed}, a restore ${restored}. In clear: ${clear} ([all figures](docs/inside/figures.md)).`;
}

async function routesList() {
  const { DELETED_ROUTE, ROUTES, routesText, SIGN_IN_ROWS } = await import(
    '../dist/src/web/api/index.js'
  );
  const { REMOTE_ROUTES } = await import('../dist/src/web/remote/index.js');
  const { ARCHIVE_ROW } = await import('../dist/src/web/archive/index.js');
  const rows = [
    ...Object.values(ROUTES),
    DELETED_ROUTE.row,
    ARCHIVE_ROW,
    ...Object.values(REMOTE_ROUTES),
    ...Object.values(SIGN_IN_ROWS),
  ];
  return routesText(rows).trim();
}

/** The generated files, each with a function that makes its text from its present text (undefined if there is none). */
const GENERATED = [
  { file: 'docs/damage/errors.md', generate: () => errorsDocument() },
  { file: 'docs/coming-from/neophytos.md', generate: () => neophytosDocument() },
  { file: 'docs/using/configuration.md', generate: () => configurationDocument() },
  {
    file: 'README.md',
    generate: (text) =>
      text === undefined ? undefined : replaceSection(text, 'figures', figuresSentence()),
  },
  {
    file: 'docs/inside/protocol.md',
    generate: async (text) =>
      text === undefined ? undefined : replaceSection(text, 'messages', await messagesTable()),
  },
  {
    file: 'docs/server/api.md',
    generate: async (text) =>
      text === undefined ? undefined : replaceSection(text, 'routes', await routesList()),
  },
];

/** Returns for each generated file its name, its present text, and the text that it should have. */
export async function generateDocs() {
  const results = [];
  for (const { file, generate } of GENERATED) {
    const path = join(root, file);
    const current = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    const wanted = await generate(current);
    if (wanted !== undefined) results.push({ file, current, wanted });
  }
  return results;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isCheck = process.argv.includes('--check');
  for (const { file, current, wanted } of await generateDocs()) {
    if (current === wanted) continue;
    if (isCheck) process.exitCode = 1;
    else {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), wanted);
    }
    console.log(`${file}: ${isCheck ? 'is out of date' : 'written'}`);
  }
}
