/** Implements `sonic info`: prints all information about backup sets. */
import {
  type BackupSet,
  type History,
  type PlacedNote,
  placedNotes,
  tookMs,
} from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import {
  type ClientConfig,
  displayLine,
  displayName,
  jsonName,
  machineName,
  shownRoots,
} from '../../model/index.js';
import { isAgeFigure } from '../../retention/index.js';
import { withReports } from '../opening/history.js';
import { print, printJson } from '../output/output.js';
import { chosenSets } from './set-choice.js';
import { formatBytes, formatCount, formatSeconds, formatTime } from '../output/units.js';

/** Maximum number of notes printed; JSON contains all. */
const MAX_NOTES_SHOWN = 100;
const LABEL_CHARS = 18;

interface SetInfo {
  readonly set: BackupSet;
  readonly roots: readonly Buffer[];
  readonly notes: readonly PlacedNote[];
  /** `proven`: checked with the client's keys. `shown`: the set has a seal, but the keys are not available here. */
  readonly seal: 'proven' | 'shown' | 'none';
  /** The settings of the client in this run. */
  readonly config: ClientConfig | undefined;
}

export function info(options: Settings<'sonic info'>): Promise<void> {
  const { client, setsToShow, recentSet, json } = options;
  return withReports(options, async (history) => {
    const sets = await history.sets();
    const words = setsToShow.length === 0 ? [recentSet] : setsToShow;
    const chosen = chosenSets(client, sets, words, recentSet);
    const reported: unknown[] = [];
    for (const set of chosen) {
      const one = await infoOf(history, set);
      if (json) reported.push(jsonOf(one));
      else print(`${set === chosen[0] ? '' : '\n'}${linesOf(one).join('\n')}`);
    }
    if (json) printJson({ client, sets: reported });
  });
}

async function infoOf(history: History, set: BackupSet): Promise<SetInfo> {
  const number = set.set;
  const roots = await history.roots(number); // if the client encrypts, reading the roots proves the set
  const { setSeal } = await history.seals(number, 0, 1);
  const isProven = history.contentKeys !== undefined;
  const config = await history.reports.clientConfig(number);
  return {
    set,
    roots: shownRoots(roots.map(({ path }) => path)),
    notes: await placedNotes(history, number),
    seal: setSeal === undefined ? 'none' : isProven ? 'proven' : 'shown',
    config,
  };
}

function jsonOf({ set, roots, notes, seal, config }: SetInfo): Record<string, unknown> {
  const { marks, firstName, ...rest } = set;
  const { title, ...others } = marks;
  return {
    ...rest,
    ...others,
    ...(title === '' ? {} : { firstName }),
    roots: roots.map(jsonName),
    seal,
    notes: notes.map(({ path, what, reason }) => ({ ...jsonName(path), what, reason })),
    config: config && jsonConfig(config),
  };
}

/** Returns a configuration for JSON. From a sealed configuration, only its form is returned. */
function jsonConfig(config: ClientConfig): Record<string, unknown> {
  if (config.form === 'sealed') return { form: config.form };
  const settings = Object.fromEntries(config.settings.map(({ name, value }) => [name, value]));
  return { ...config, settings };
}

function linesOf({ set, roots, notes, seal, config }: SetInfo): string[] {
  const lines: string[] = [];
  const add = (label: string, value: string): void => {
    if (value !== '') lines.push(`${label.padEnd(LABEL_CHARS)} ${value}`);
  };
  const { marks } = set;
  add('set', String(set.set));
  add('name', displayLine(set.name));
  if (set.name !== set.firstName) add('made as', displayLine(set.firstName));
  add('state', `${set.state}${set.isDoubtful ? ', may lack entries (damage)' : ''}`);
  add('begun', `${formatTime(set.openedAtMs)} (server)`);
  add('', `${formatTime(set.clientTimeMs)} (client)`);
  if (set.closedAtMs !== undefined) {
    const ms = tookMs(set);
    const took = ms === undefined ? '' : `, took ${formatSeconds(ms)}`;
    add('ended', `${formatTime(set.closedAtMs)} (server)${took}`);
  }
  const flags = [marks.isLocked ? 'locked' : '', marks.isExpendable ? 'expendable' : ''];
  add('marks', flags.filter((flag) => flag !== '').join(', '));
  if (marks.priority !== 0) add('priority', String(marks.priority));
  add('tags', marks.tags.join(' '));
  add('machine', machineName(marks.machine));
  add('requested by', displayLine(marks.requestedBy ?? ''));
  add('seal', SEALS[seal]);
  roots.forEach((root, index) => add(index === 0 ? 'roots' : '', displayName(root)));
  for (const [name, value] of Object.entries(set.stats)) {
    if (isAgeFigure(name) || name === 'tookMs') continue; // only for the rules that keep sets by age; --json has them
    add(wordsOf(name), name.endsWith('Bytes') ? formatBytes(value) : formatCount(value));
  }
  for (const [index, { path, what, reason }] of notes.slice(0, MAX_NOTES_SHOWN).entries()) {
    const why = reason === '' ? what : `${what}, ${reason}`;
    add(index === 0 ? 'notes' : '', `${displayName(path)} (${displayLine(why)})`);
  }
  const more = notes.length - MAX_NOTES_SHOWN;
  if (more > 0) add('', `… and ${formatCount(more)} more (--json has all)`);
  if (config !== undefined) configLines(config, add);
  return lines;
}

const SEALS: Readonly<Record<SetInfo['seal'], string>> = {
  proven: 'proven by the keys of the client',
  shown: 'present; it cannot be verified without the keys',
  none: '',
};

function configLines(config: ClientConfig, add: (label: string, value: string) => void): void {
  if (config.form === 'sealed') {
    add('settings', 'sealed; they cannot be read without the keys');
    return;
  }
  const { settings, software, node, platform, arch } = config;
  for (const [name, value] of Object.entries({ software, node, platform, arch })) {
    add(name, displayLine(value));
  }
  settings.forEach(({ name, value }, index) => {
    add(index === 0 ? 'settings' : '', `${displayLine(name)} = ${displayLine(value)}`);
  });
}

/** Converts `sentBytes` to `sent`, `filesRead` to `files read`. */
function wordsOf(name: string): string {
  const words = displayLine(name)
    .replace(/Bytes$/, '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.slice(0, LABEL_CHARS);
}
