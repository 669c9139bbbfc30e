import { existsSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sizeOfTree, type TreeSize } from './change.js';
import { describeMachine, machineLine } from './machine.js';
import { killRunning, measure } from './measure.js';
import { parseOptions, USAGE, UsageError, type Options } from './options.js';
import { formatTable, formatVerdicts, toJson } from './report.js';
import { runRounds } from './rounds.js';
import { borg } from './subjects/borg.js';
import { raw } from './subjects/raw.js';
import { restic } from './subjects/restic.js';
import type { Subject } from './subjects/subject.js';
import { tardis } from './subjects/tardis.js';
import { judge } from './targets.js';
import { planTree, writeTree } from './tree.js';
import { Workplace } from './workplace.js';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** The question of this file: how do we compare with our peers and with what the machine can do? */
async function compare(options: Options): Promise<boolean> {
  const workplace = new Workplace(options.work);
  const leave = (): void => {
    killRunning();
    if (options.keep) {
      say(`kept: ${workplace.root}`);
    } else {
      workplace.remove();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      leave();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    return await compareIn(workplace, options);
  } finally {
    leave();
  }
}

async function compareIn(workplace: Workplace, options: Options): Promise<boolean> {
  const { subjects, versions } = await chooseSubjects(workplace, options);
  const machine = describeMachine(workplace, versions);
  const size = await makeTree(workplace, options);
  const treeLine = `${size.files} files, ${size.directories} directories, ${size.others} others, ${(size.bytes / 1e6).toFixed(0)} MB`;
  say(`tree: ${treeLine}`);
  const { seed, runs, memory } = options;
  const outcome = await runRounds({ workplace, subjects, seed, runs, memory, say });
  const { table, failures, notes } = outcome;
  const verdicts = judge(table);
  const failed = failures.map((f) => `FAILED: ${f.question} ${f.subject}: ${f.message}`);
  const oursIsThere = subjects.some((subject) => subject.name === 'tardis');
  const paragraphs = [
    `${treeLine}; medians of ${runs}`,
    formatTable(table),
    oursIsThere || options.check ? formatVerdicts(verdicts) : '',
    subjects.map((subject) => `${subject.name}: ${subject.about}`).join('\n'),
    notes.map((note) => `note: ${note}`).join('\n'),
    failed.join('\n'),
    machineLine(machine),
  ];
  process.stdout.write(`${paragraphs.filter((text) => text !== '').join('\n\n')}\n`);
  if (options.json !== undefined) {
    const about = Object.fromEntries(subjects.map((subject) => [subject.name, subject.about]));
    const more = { options, machine, tree: size, subjects: about, failures, notes };
    writeFileSync(options.json, toJson(table, more));
  }
  return failures.length === 0 && (!options.check || verdicts.every((verdict) => verdict.met));
}

/** The subjects that can run here; each of the others is told in a line. */
async function chooseSubjects(
  workplace: Workplace,
  options: Options,
): Promise<{ subjects: Subject[]; versions: Record<string, string> }> {
  const checkout = findCheckout();
  const candidates: Subject[] = [
    tardis(workplace.place('tardis'), { checkout, level: options.level }),
  ];
  for (const name of options.peers) {
    const place = workplace.place(name);
    if (name === 'restic') {
      candidates.push(restic(place));
    } else if (name === 'borg') {
      candidates.push(borg(place, { encryption: options.borgEncryption }));
    } else {
      candidates.push(raw(place));
    }
  }
  const subjects: Subject[] = [];
  const versions: Record<string, string> = {};
  for (const subject of candidates) {
    try {
      const { output } = await measure(subject.version, { logFile: workplace.log });
      versions[subject.name] = output.split('\n')[0] ?? '';
      subjects.push(subject);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isOurs = subject.name === 'tardis';
      say(
        isOurs && !existsSync(subject.version.argv[0])
          ? 'tardis: not built'
          : `${subject.name}: skipped: ${why}`,
      );
    }
  }
  if (subjects.length === 0) {
    throw new UsageError('nothing to measure');
  }
  return { subjects, versions };
}

async function makeTree(workplace: Workplace, options: Options): Promise<TreeSize> {
  if (options.tree !== undefined) {
    const original = resolve(options.tree);
    workplace.requireRoomFor(sizeOfTree(original).footprintBytes);
    say(`copying ${original}`);
    await measure(
      { argv: ['cp', '-a', `${original}/.`, workplace.tree] },
      { logFile: workplace.log },
    );
  } else {
    const plan = planTree({ seed: options.seed, files: options.files });
    // Half a page is lost for each file.
    workplace.requireRoomFor(plan.bytes + plan.files.length * 3072);
    say(`making ${plan.files.length} files`);
    writeTree(plan, workplace.tree);
  }
  return sizeOfTree(workplace.tree);
}

/** The directory with our launchers: the nearest one above this file that has a package.json. */
function findCheckout(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') {
    directory = dirname(directory);
  }
  return directory;
}

async function main(): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      process.stdout.write(USAGE);
      return;
    }
    process.exitCode = (await compare(options)) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) {
      say(`bench: ${error.message}`);
      process.exitCode = 2;
      return;
    }
    throw error;
  }
}

await main();
