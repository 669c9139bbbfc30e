/**
 * A day in the life of a store: the work of a user, with the commands themselves, step by step. A test runs it
 * and checks every answer; scripts/make-tour.mjs prints it into docs/using/tour.md.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Outcome, run, Server, type Tool } from './commands.js';
import { isRoot } from './tree.js';
import { pause } from './until.js';

/** A heading with some words, a file that the user writes, or a command with its expected output. */
export type Step =
  | { readonly kind: 'say'; readonly heading?: string; readonly text: string }
  | { readonly kind: 'file'; readonly name: string; readonly content: string }
  | { readonly kind: 'remove'; readonly name: string }
  | {
      readonly kind: 'run';
      readonly line: string;
      readonly status?: number;
      readonly answers: RegExp;
    }
  /** Steps within a mount, which need FUSE. */
  | { readonly kind: 'mount'; readonly line: string }
  | { readonly kind: 'look'; readonly line: string; readonly answers: RegExp }
  | { readonly kind: 'unmount'; readonly place: string }
  | { readonly kind: 'server'; readonly config: string }
  | { readonly kind: 'figures'; readonly name: string; readonly lines: RegExp };

/** The output of a step. */
export interface Shown {
  readonly step: Step;
  readonly output: string;
}

const HOME = '/home/you';
const DEADLINE_MS = 60_000;

const remark = (text: string, heading?: string): Step => ({
  kind: 'say',
  text,
  ...(heading === undefined ? {} : { heading }),
});
const file = (name: string, content: string): Step => ({ kind: 'file', name, content });
const command = (line: string, answers: RegExp, status = 0): Step => ({
  kind: 'run',
  line,
  status,
  answers,
});

export const TOUR: readonly Step[] = [
  remark(
    'A client is one machine in a store. A client with a password encrypts all its data, names too. Keep the file with the password private.',
    'A client',
  ),
  file('password', 'four quiet otters juggle turnips\n'),
  command('sonic create -D store -C laptop -F password', /The client "laptop" is ready/),
  remark(
    'A section of a configuration file names the directories to back up. `npm run install:system` installs a timer that runs `tardis --config /etc/tardis/tardis.cfg` once a day; here, `tardis` is run by hand.',
    'The first backup, and every later one',
  ),
  file(
    'laptop.cfg',
    '[Tardis]\nClient = laptop\nDatabase = /home/you/store\nPasswordFile = password\nLocal = yes\nDirectories = papers\nExcludePatterns = *.tmp\n',
  ),
  file('papers/letter.txt', 'Dear Otto,\nthe turnips are ripe.\n'),
  file('papers/poem.txt', 'roses are red\n'),
  file('papers/draft.tmp', 'nobody needs this\n'),
  command('tardis --config laptop.cfg --name first', /Backup set 1 \(first\) is complete/),
  file('papers/letter.txt', 'Dear Otto,\nthe turnips are gone.\nYours\n'),
  command('tardis --config laptop.cfg', /Backup set 2 \(\d{4}-.*\) is complete/),
  { kind: 'remove', name: 'papers/letter.txt' },
  command('tardis --config laptop.cfg', /Backup set 3 \(\d{4}-.*\) is complete/),
  remark(
    'The letter is gone, and the newest backup does not have it. Which versions are there?',
    'Lost, and found',
  ),
  command('lstardis --config laptop.cfg', /1 +first .*\n.*2 +\d{4}-.*\n.*3 +\d{4}-/),
  command('lstardis --config laptop.cfg papers/letter.txt', /papers\/letter\.txt/),
  remark('A directory as of a moment, and the changes between two sets:'),
  command('lstardis --config laptop.cfg -d now papers', /poem\.txt/),
  command(
    'tardiff --config laptop.cfg -b first -b 2 papers/letter.txt',
    /-the turnips are ripe\.\n\+the turnips are gone\./,
    1,
  ),
  remark('The letter is restored into another directory, and set 2 is compared with the disk:'),
  command('regenerate --config laptop.cfg -b first -o found papers/letter.txt', /1 file/),
  {
    kind: 'run',
    line: 'tardiff --config laptop.cfg -b 2 papers',
    status: 1,
    answers: /letter\.txt/,
  },
  remark(
    '`tardisfs` mounts all sets as a directory, for any program. The directory has each set under its name, and each version of a file below `versions`. The mount is read-only, and needs FUSE.',
    'The past as a directory',
  ),
  { kind: 'mount', line: 'tardisfs --config laptop.cfg past' },
  { kind: 'look', line: 'ls past', answers: /^\d{4}-.*\nCurrent\nby-date\nfirst\nversions$/s },
  {
    kind: 'look',
    line: 'ls past/versions/home/you/papers/letter.txt',
    // Two versions of the same second are listed the other way around.
    answers: /^(?=.*_first$)(\d{4}-\d\d-\d\d_\d{6}(_first)?(\n|$)){2}$/ms,
  },
  {
    kind: 'look',
    line: 'diff -r past/first/home/you/papers past/Current/home/you/papers',
    answers: /Only in past\/first.*: letter\.txt/,
  },
  { kind: 'unmount', place: 'past' },
  remark(
    '`tardis-web` shows the sets in the browser: a calendar, a search over all sets, versions side by side, restores in place. It also shows other clients and stores, and mounts them ([web.md](web.md)). Encrypted data is decrypted on this machine. Without the two options, the command opens the browser itself, and ends after an hour without a request.',
    'In the browser',
  ),
  command(
    'tardis-web --config laptop.cfg --no-browser --idle-end 1',
    /Open this address; it works once:\n\n +http:\/\/t[0-9a-f]+\.localhost:\d+\/enter/,
  ),
  remark(
    'A new password rewrites only the wrapped keys, so it takes a moment for any size of store.',
    'Another password',
  ),
  file('new password', 'nine loud herons paint fences\n'),
  command(
    'sonic chpass -D store -C laptop -F password --newpassword-file "new password"',
    /laptop/,
  ),
  file(
    'laptop.cfg',
    '[Tardis]\nClient = laptop\nDatabase = /home/you/store\nPasswordFile = new password\nLocal = yes\nDirectories = papers\nExcludePatterns = *.tmp\n',
  ),
  remark(
    'A locked set cannot be deleted. The preview lists the sets that the rules delete, and the reasons to keep the others. The last command deletes.',
    'Old sets',
  ),
  command('sonic lock --config laptop.cfg first', /1 backup set of "laptop" locked/),
  command(
    'sonic purge --config laptop.cfg --keep-last 1 --preview',
    /1 backup set of 3 would be deleted/,
  ),
  command('sonic purge --config laptop.cfg --keep-last 1 --yes', /1 backup set of "laptop" purged/),
  remark(
    'Every record is read and checked, so every version in the store can be restored.',
    'Check',
  ),
  command('sonic check --config laptop.cfg --read-data', /laptop/),
  remark('A server publishes metrics for monitoring.', 'Metrics'),
  file(
    'server.cfg',
    '[Tardis]\nBaseDir = /home/you/store\nMetricsFile = store.prom\nWatchInterval = 1\n',
  ),
  { kind: 'server', config: 'server.cfg' },
  { kind: 'figures', name: 'store.prom', lines: /^tardis_client_(last_good|entries|overdue)/ },
];

/** Runs the steps in a separate directory, and returns their output. */
export async function takeTour(
  home: string,
  steps: readonly Step[] = TOUR,
  env: Readonly<Record<string, string>> = {},
): Promise<Shown[]> {
  const shown: Shown[] = [];
  let server: Server | undefined;
  try {
    for (const step of steps) {
      if (step.kind === 'server') {
        server = await Server.start(path.join(home, 'store'), ['--config', step.config], {
          cwd: home,
        });
        shown.push({ step, output: '' });
      } else shown.push({ step, output: (await outputOf(home, step, env)).replaceAll(home, HOME) });
    }
  } finally {
    for (const step of steps) if (step.kind === 'unmount') unmount(path.join(home, step.place));
    await server?.kill();
  }
  return shown;
}

async function outputOf(
  home: string,
  step: Step,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  switch (step.kind) {
    case 'file': {
      const name = path.join(home, step.name);
      fs.mkdirSync(path.dirname(name), { recursive: true });
      fs.writeFileSync(name, step.content.replaceAll(HOME, home));
      return step.content;
    }
    case 'remove':
      fs.rmSync(path.join(home, step.name));
      return '';
    case 'run': {
      const [tool, ...args] = wordsOf(step.line);
      return shownOutcome(await run(tool as Tool, args, { cwd: home, env }), step);
    }
    case 'mount': {
      if (!canMount()) return '';
      const [tool, ...args] = wordsOf(step.line);
      fs.mkdirSync(path.join(home, args.at(-1)!));
      return shownOutcome(await run(tool as Tool, args, { cwd: home, env }), {
        ...step,
        status: 0,
        answers: /^$/,
      });
    }
    case 'look':
      return canMount() ? lookedAt(home, step) : '';
    case 'unmount':
      if (canMount()) unmount(path.join(home, step.place));
      return '';
    case 'figures':
      return figuresIn(path.join(home, step.name), step.lines);
    case 'say':
    case 'server':
      return '';
  }
}

/** True if mounts work here; without FUSE the steps in them are left out. */
function canMount(): boolean {
  return isRoot && fs.existsSync('/dev/fuse');
}

function lookedAt(home: string, { line, answers }: Extract<Step, { kind: 'look' }>): string {
  const { stdout, stderr } = spawnSync('sh', ['-c', line.replaceAll(HOME, home)], {
    cwd: home,
    encoding: 'utf8',
  });
  if (answers.test(stdout.trimEnd())) return stdout;
  throw new Error(`${line}: wanted ${answers}\n${stdout}${stderr}`);
}

/** Unmounts, if it is mounted. */
function unmount(place: string): void {
  spawnSync('umount', [place], { stdio: 'ignore' });
}

interface Wanted {
  readonly line: string;
  readonly status?: number;
  readonly answers: RegExp;
}

function shownOutcome({ status, stdout, stderr }: Outcome, step: Wanted): string {
  const output = stderr + stdout;
  if (status === step.status && step.answers.test(output)) return output;
  throw new Error(
    `${step.line}: exit ${status}, wanted ${step.status} and ${step.answers}\n${output}`,
  );
}

async function figuresIn(name: string, lines: RegExp): Promise<string> {
  const endMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const text = fs.existsSync(name) ? fs.readFileSync(name, 'utf8') : '';
    const found = text.split('\n').filter((line) => lines.test(line));
    if (found.length > 0) return `${found.join('\n')}\n`;
    if (performance.now() > endMs) throw new Error(`no figures in ${name}:\n${text}`);
    await pause(100);
  }
}

/** Splits a command line of the tour into words, some of them in double quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** Returns the tour as a document. */
export function tourDocument(shown: readonly Shown[]): string {
  const parts = [
    '# A day in the life\n\nThis page shows a day with a store. A test runs every command, and the output is that of one run, with paths as in `/home/you`.',
  ];
  for (const { step, output } of shown) {
    const text = output.trimEnd();
    if (step.kind === 'say') {
      parts.push(step.heading === undefined ? step.text : `## ${step.heading}\n\n${step.text}`);
    } else if (step.kind === 'file') parts.push(`\`${step.name}\`:\n\n\`\`\`\n${text}\n\`\`\``);
    else if (step.kind === 'figures') parts.push(block(`grep … ${step.name}`, text));
    else parts.push(block(lineOf(step), text));
  }
  return `${parts.join('\n\n')}\n`;
}

/** Returns the command line of a step. */
export function lineOf(step: Step): string {
  if ('line' in step) return step.line;
  if (step.kind === 'unmount') return `fusermount3 -u ${step.place}`;
  if (step.kind === 'remove') return `rm ${step.name}`;
  return step.kind === 'server' ? `tardisd --config ${step.config} --insecure-tcp &` : '';
}

function block(line: string, output: string): string {
  return `\`\`\`\n$ ${line}${output === '' ? '' : `\n${output}`}\n\`\`\``;
}
