// The manual pages, made from the table of settings and that of help: make-manuals.mjs writes them.
import { readFileSync } from 'node:fs';
import {
  ALSO_OF_SONIC,
  allRows,
  formatValue,
  headingOf,
  listedRowsOf,
  TOOLS,
} from '../dist/src/config/index.js';
import { HELP, SONIC_SUMMARY, statusNote } from '../dist/src/tools/index.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const SECTIONS = { tardisd: 8, tardisremote: 8 };
const COMMANDS = [...new Set(TOOLS.map((tool) => tool.split(' ')[0]))];
const FILES = {
  all: [
    [
      '/etc/tardis/system.defaults',
      'Defaults: section [Tardis] with the variables of ENVIRONMENT, if the file is there.',
    ],
  ],
  client: [
    [
      '~/.config/tardis/backup.cfg',
      'Configuration that `tardis setup` writes. It is read if no store, no server and no other configuration is named.',
    ],
  ],
  tardisd: [
    ['/etc/tardis/tardisd.cfg', 'Configuration, if the file is there and no other is named.'],
    [
      '/etc/tardis/tardisd.local.cfg',
      'Configuration of the server that tardis --local starts, if the file is there.',
    ],
  ],
  tardisremote: [
    ['/etc/tardis/tardisremote.cfg', 'Configuration, if the file is there and no other is named.'],
  ],
};

/** Returns text that roff takes literally: no line of it is a request, and hyphens can be copied. */
function roff(text) {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...');
  return plain.replace(/^(?=[.'])/gm, '\\&');
}

const bold = (text) => `\\fB${roff(text)}\\fR`;
const paragraph = (text) => `.PP\n${roff(text)}`;
const item = (term, text) => `.TP\n${term}\n${text}`;

/** Returns `-D, --database <dir>` as a term, with the negative form if the flag has one. */
function optionTerm({ flags, negatable }) {
  const shown = flags.replace(/--/, negatable === true ? '--[no-]' : '--');
  return shown
    .split(/(?<=,) /)
    .map((flag) => {
      const [, name, value] = /^((?:--\[no-\])?[^\s[]+)(.*)$/.exec(flag.replace(/,$/, ''));
      return bold(name) + roff(value);
    })
    .join(', ');
}

function defaultOf(row) {
  const { default: given, defaultText } = row;
  if (defaultText !== undefined) return defaultText;
  if (given === undefined || given === '' || given === false || typeof given === 'function')
    return '';
  return Array.isArray(given) ? given.join(' ') : formatValue(given, row);
}

/** Returns the description of a setting, its default, and the other places where it can be given. */
function settingText(row, tool) {
  const notes = [];
  const shown = defaultOf(row);
  if (shown !== '') notes.push(`default: ${shown}`);
  if (typeof row.preset === 'string' && row.preset !== '')
    notes.push(`without a value: ${row.preset}`);
  if (row.variable !== undefined) notes.push(row.variable);
  const serverKey = tool === 'tardisremote' ? (row.remoteKey ?? row.serverKey) : row.serverKey;
  const key = tool in SECTIONS ? serverKey : row.clientKey;
  if (key !== undefined) notes.push(`key ${key}`);
  const text = row.help.charAt(0).toUpperCase() + row.help.slice(1);
  return roff(`${text}.${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`);
}

function argumentsOf(tool) {
  return listedRowsOf(tool).flatMap(([, { argument, shownArguments }]) =>
    argument === undefined ? [] : [roff(shownArguments?.[tool] ?? argument)],
  );
}

/** Returns the options of a tool under their headings. */
function optionsOf(tool) {
  const groups = new Map();
  for (const [name, row] of listedRowsOf(tool)) {
    if (row.flags === undefined) continue;
    const heading = headingOf(name).replace(/:$/, '');
    groups.set(heading, [
      ...(groups.get(heading) ?? []),
      item(optionTerm(row), settingText(row, tool)),
    ]);
  }
  const [[, first = []] = [], ...others] = groups;
  return [...first, ...others.flatMap(([heading, items]) => [`.SS ${roff(heading)}`, ...items])];
}

function examplesOf(tools) {
  return tools.flatMap((tool) =>
    Object.entries(HELP[tool].examples).flatMap(([line, what]) => [
      `.PP\n${roff(what.charAt(0).toUpperCase() + what.slice(1))}:`,
      `.PP\n.RS 4\n.nf\n${bold(line)}\n.fi\n.RE`,
    ]),
  );
}

function environmentOf(tools) {
  const listed = new Map(tools.flatMap((tool) => listedRowsOf(tool)).toReversed());
  const rows = allRows().flatMap(([name]) => listed.get(name) ?? []);
  const seen = new Set();
  return rows.flatMap((row) => {
    if (row.variable === undefined || seen.has(row.variable)) return [];
    seen.add(row.variable);
    return [item(bold(row.variable), settingText({ ...row, variable: undefined }, tools[0]))];
  });
}

const OF_TERMINALS = [
  item(bold('NO_COLOR'), roff('If it is set and not empty, nothing is colored by itself.')),
  item(bold('TERM'), roff('If it is "dumb", nothing is colored or redrawn by itself.')),
];

function page(command) {
  const tools = TOOLS.filter((tool) => tool.split(' ')[0] === command);
  const isGroup = tools.length > 1;
  const summary = isGroup ? SONIC_SUMMARY : HELP[command].summary;
  const section = SECTIONS[command] ?? 1;
  const files = [...FILES.all, ...(FILES[command] ?? FILES.client)];
  const others = COMMANDS.filter((other) => other !== command);
  return [
    '.\\" Made by scripts/make-manuals.mjs; do not edit.',
    `.TH ${command.toUpperCase()} ${section} "" "tardis ${version}" "Tardis"`,
    '.SH NAME',
    `${command} \\- ${roff(summary.replace(/\.$/, '').replace(/^./, (letter) => letter.toLowerCase()))}`,
    '.SH SYNOPSIS',
    ...synopsis(command, tools, isGroup),
    '.SH DESCRIPTION',
    ...(isGroup ? [...otherPrograms(), ...groupDescription(tools)] : description(command)),
    ...(isGroup ? [] : ['.SH OPTIONS', ...optionsOf(command)]),
    '.SH ENVIRONMENT',
    ...environmentOf(tools),
    ...OF_TERMINALS,
    '.SH FILES',
    ...files.map(([name, text]) => item(`\\fI${roff(name)}\\fR`, roff(text))),
    ...(isGroup
      ? []
      : ['.SH NOTES', ...[...(HELP[command].notes ?? []), statusNote(command)].map(paragraph)]),
    '.SH EXAMPLES',
    ...examplesOf(tools),
    '.SH SEE ALSO',
    `${others.map((other) => `\\fB${other}\\fR(${SECTIONS[other] ?? 1})`).join(',\n')}`,
    '',
  ].join('\n');
}

function synopsis(command, tools, isGroup) {
  if (!isGroup) return [`${bold(command)} [option...] ${argumentsOf(command).join(' ')}`.trimEnd()];
  return tools.map((tool, at) => {
    const line = `${bold(tool)} [option...] ${argumentsOf(tool).join(' ')}`.trimEnd();
    return at === 0 ? line : `.br\n${line}`;
  });
}

/** Returns the commands of a group that are other programs. */
function otherPrograms() {
  return Object.entries(ALSO_OF_SONIC).flatMap(([name, tool]) => [
    `.SS sonic ${name}`,
    paragraph(`The same as ${tool}(1): ${HELP[tool].summary}`),
  ]);
}

function description(command) {
  const { summary, about = [] } = HELP[command];
  return [
    roff(summary),
    ...about.map(paragraph),
    paragraph(
      '--explain-config prints each setting with its value and where it was given, and does nothing else. ' +
        'An option takes precedence over the configuration file, the file over the environment, and the environment over system.defaults.',
    ),
  ];
}

/** Returns each command of a group with its own options. */
function groupDescription(tools) {
  return tools.flatMap((tool) => {
    const { summary, about = [], notes = [] } = HELP[tool];
    const text = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
    return [
      `.SS ${roff(tool)}`,
      roff(text),
      ...about.map(paragraph),
      ...[...notes, statusNote(tool)].map(paragraph),
      ...plainOptions(tool),
    ];
  });
}

/** Returns the options of a tool without headings, since they are below a heading. */
function plainOptions(tool) {
  return listedRowsOf(tool).flatMap(([, row]) =>
    row.flags === undefined ? [] : [item(optionTerm(row), settingText(row, tool))],
  );
}

/** Returns every page: its file, and its text. */
export function manPages() {
  return COMMANDS.map((command) => ({
    file: `man/${command}.${SECTIONS[command] ?? 1}`,
    text: page(command),
  }));
}
