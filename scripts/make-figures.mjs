/**
 * Measures what docs/inside/figures.md shows, and writes it with its plots: npm run figures [-- --part NAME] [--from DIR]
 *
 * It takes about twenty minutes, on a machine that does nothing else. With --part it measures one part, and leaves the others
 * as the page has them. With --from it measures nothing, and takes the answers of an earlier run from DIR (by default they
 * are kept in dist/figures).
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const PAGE = path.join(ROOT, 'docs/inside/figures.md');
const PICTURES = path.join(ROOT, 'docs/pictures');

/** The parts of the page: options of the benchmark, and the plots that are shown. */
const PARTS = [
  {
    name: 'compare',
    title: 'Beside restic, and beside the machine',
    options: ['--runs', '3'],
    plots: ['time', 'memory'],
  },
  {
    name: 'pi',
    title: 'A small machine',
    options: ['--pi', '--files', '20000', '--runs', '1', '--without', 'raw'],
    plots: ['time'],
  },
  {
    name: 'parity',
    title: 'What parity costs',
    options: ['--parity', '--files', '20000', '--runs', '3'],
  },
  { name: 'releases', title: 'Ten releases of a source tree', options: ['--releases'] },
  {
    name: 'shapes',
    title: 'Other trees, machines and clients',
    options: ['--shapes', '--scale', '10'],
  },
  {
    name: 'growth',
    title: 'Ten thousand to a million entries',
    options: ['--growth', '--only', 'tree', '--no-memory'],
    plots: ['growth-tree'],
  },
  {
    name: 'sets',
    title: 'Ten to three hundred sets',
    options: ['--sets', '10,100,300', '--files', '10000', '--runs', '1'],
    plots: ['sets'],
  },
  { name: 'large', title: 'Large files that changed', options: ['--large', '--mib', '128'] },
];

/** Returns the part that is measured (undefined: all) and the directory of earlier answers (undefined: measure). */
function requested() {
  const flags = { part: { type: 'string' }, from: { type: 'string' }, help: { type: 'boolean' } };
  const { part, from, help } = parseArgs({ options: flags }).values;
  const isKnown = part === undefined || PARTS.some(({ name }) => name === part);
  if (help || !isKnown) {
    const names = PARTS.map(({ name }) => name).join('|');
    console.error(`usage: npm run figures [-- --part ${names}] [--from DIR]`);
    process.exit(help ? 0 : 2);
  }
  return { part, from };
}

/** Load of a machine that does nothing else, and the longest wait for it: the part before counts for a minute. */
const QUIET_LOAD = 1;
const MAX_WAIT_MS = 3 * 60_000;

/** Waits until the machine is quiet, but not for ever: the page shows the load. */
async function quiet() {
  const endMs = Date.now() + MAX_WAIT_MS;
  while (os.loadavg()[0] > QUIET_LOAD && Date.now() < endMs) await setTimeout(5000);
}

/** Measures these parts. Returns the directory of the answers. */
async function measured(folder, parts) {
  for (const { name, options } of parts) {
    await quiet();
    const plots = path.join(folder, name);
    fs.mkdirSync(plots, { recursive: true });
    const files = ['--json', path.join(folder, `${name}.json`), '--plots', plots];
    const bench = path.join(ROOT, 'scripts/bench.sh');
    execFileSync('sh', [bench, ...options, ...files], { stdio: 'inherit' });
  }
  return folder;
}

const row = (cells) => `| ${cells.join(' | ')} |`;
const tableOf = (headings, rows) =>
  [row(headings), row(headings.map(() => '---')), ...rows.map(row)].join('\n');
const number = (value, digits = 2) => (typeof value === 'number' ? value.toFixed(digits) : '–');
const seconds = (ms) => number(ms / 1000);
const megabytes = (bytes) => (typeof bytes === 'number' ? number(bytes / 1e6, 0) : '–');

/** Returns the table of a comparison, and that of the limits. */
function comparison({ lines, limits, tree, subjects }) {
  const rows = lines.map((line) => [
    line.question,
    line.subject,
    seconds(line.medianMs),
    seconds(line.medianCpuMs),
    megabytes(line.pssBytes),
    megabytes(line.medianStoreBytes),
    number(line.timeRatio?.ofMedians),
  ]);
  const headings = ['operation', 'of', 's', 'CPU s', 'memory, MB', 'store, MB', 'time × restic'];
  const size = `${tree.files.toLocaleString('en')} files of ${megabytes(tree.bytes)} MB.`;
  const steps = limits.map(({ name, about, within, cpuMs, cpuRatio }) => [
    name,
    about,
    seconds(cpuMs),
    `${within}: ${number(cpuRatio)}`,
  ]);
  const output =
    'Steps that no backup can leave out, each by a program that does nothing else, and the processor time of ours as a multiple:';
  const below =
    steps.length === 0 ? [] : [output, tableOf(['step', 'by', 'CPU s', 'ours ×'], steps)];
  const about = Object.entries(subjects).map(([name, text]) => `- ${name}: ${text}`);
  return [size, tableOf(headings, rows), about.join('\n'), ...below];
}

/** Returns the table of another question. */
function table({ table: { about, headings, rows }, notes }) {
  const ours = rows.map((cells) => headings.map((_, index) => cells[index] ?? ''));
  return [`${about}.`, tableOf(headings, ours), notes.map((note) => `- ${note}`).join('\n')];
}

const versionsOf = (versions) =>
  [...new Set(Object.values(versions))].map((one) => one.replaceAll('*', '').trim()).join('; ');
const machineLine = ({ cpu, cores, memoryBytes, kernel, node, versions, loadBefore }) =>
  `${cpu}, ${cores} processors, ${(memoryBytes / 1e9).toFixed(0)} GB; Linux ${kernel}; Node ${node}; ${versionsOf(versions)}; in memory; load before ${number(loadBefore)}.`;

function section(folder, { name, title, options, plots = [] }) {
  const answer = JSON.parse(fs.readFileSync(path.join(folder, `${name}.json`), 'utf8'));
  const shown = plots.map((plot) => {
    const picture = `figures-${name}-${plot}.svg`;
    fs.copyFileSync(path.join(folder, name, `${plot}.svg`), path.join(PICTURES, picture));
    return `![${title}: ${plot}](../pictures/${picture})`;
  });
  const command = `\`npm run bench -- ${options.join(' ')}\``;
  const body = answer.lines === undefined ? table(answer) : comparison(answer);
  return [`## ${title}`, command, ...body, ...shown, machineLine(answer.machine)];
}

const { part, from } = requested();
const chosen = PARTS.filter(({ name }) => part === undefined || name === part);
const folder = from ?? (await measured(path.join(ROOT, 'dist/figures'), chosen));
const about = `Measured by \`npm run bench\`, and written by \`npm run figures\`: nothing here was typed by hand. Each table is
one run, with all that it compares, on one machine that did nothing else. Times are medians. Figures of another machine
differ; ratios differ less. A machine whose load before was above 1 had other work: trust its bytes, not its times. [benchmark.md](benchmark.md) describes what is measured and how.`;
const former = fs
  .readFileSync(PAGE, 'utf8')
  .trimEnd()
  .split(/\n\n(?=## )/);
const sections = PARTS.map((one) =>
  chosen.includes(one)
    ? section(folder, one).join('\n\n')
    : (former.find((text) => text.startsWith(`## ${one.title}\n`)) ?? ''),
);
fs.writeFileSync(
  PAGE,
  `${['# Figures', about, ...sections.filter((text) => text !== '')].join('\n\n')}\n`,
);
