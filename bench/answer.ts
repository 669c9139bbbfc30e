import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { align } from './cells.js';
import { machineLine, type Machine } from './machine.js';
import type { Options } from './options.js';
import { formatVerdicts } from './report.js';
import type { Verdict } from './targets.js';

/** A plot, to be written to a file. */
export interface Plot {
  readonly name: string;
  readonly svg: string;
}

/** The answer to one question of the benchmark (all but the comparison). */
export interface Answer {
  readonly question: string;
  /** One line that describes the measurement. */
  readonly about: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly verdicts: readonly Verdict[];
  readonly notes: readonly string[];
  /** All figures, for the JSON file. */
  readonly figures: unknown;
  readonly plots: readonly Plot[];
}

/**
 * Prints an answer, and writes the files that the options request. Returns false if `--check` is given and a target is
 * missed.
 */
export function give(answer: Answer, machine: Machine, options: Options): boolean {
  const { question, about, headings, rows, verdicts, notes, figures, plots } = answer;
  const paragraphs = [
    about,
    align([headings, ...rows]),
    formatVerdicts(verdicts),
    notes.map((note) => `note: ${note}`).join('\n'),
    machineLine(machine),
  ];
  process.stdout.write(`${paragraphs.filter((text) => text !== '').join('\n\n')}\n`);
  if (options.json !== undefined) {
    const table = { about, headings, rows };
    const all = {
      version: 1,
      question,
      options,
      machine,
      table,
      figures,
      targets: verdicts,
      notes,
    };
    writeFileSync(options.json, `${JSON.stringify(all, undefined, 2)}\n`);
  }
  writePlots(plots, options);
  return !options.check || verdicts.every((verdict) => verdict.met);
}

/** Writes plots to the directory of `--plots`, if given. */
export function writePlots(plots: readonly Plot[], { plots: directory }: Options): void {
  if (directory === undefined) {
    return;
  }
  for (const { name, svg } of plots) {
    writeFileSync(join(directory, `${name}.svg`), svg);
  }
}
