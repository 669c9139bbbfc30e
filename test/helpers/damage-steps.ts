/** The commands that a user runs after damage. */
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError } from '../../src/errors/index.js';
import { type History, STORAGE, UNFINISHED } from './damage-history.js';
import { type InProcessOutcome, runHere } from './in-process.js';
import { backupInline, inlineSystem, type Place } from './inline.js';
import { freshKeys, keysIn, rewriteInline } from './rewrites.js';
import { differences, look } from './tree.js';

export interface Outcome {
  /** The exit status of the command. */
  readonly status: number;
  /** The first code in its output, of a warning or an error. */
  readonly code: string | undefined;
  /** The code of the error that ended the command. */
  readonly failure: string | undefined;
  readonly output: string;
  /** The set that a backup made. */
  readonly made?: number;
  /** The sets that the command deletes. */
  readonly deleted?: readonly number[];
  /** Differences of a restored tree from the original. */
  readonly wrong?: readonly string[];
}

export interface Stepping {
  readonly history: History;
  readonly copy: Place;
  /** A random number that selects among the options of a step. */
  readonly choice: number;
}

type Step = (stepping: Stepping) => Promise<Outcome>;

function placeArgs({ history, copy }: Stepping): string[] {
  const password = history.isEncrypting ? ['--password-file', history.passwordFile] : [];
  return ['-D', copy.store, '-C', copy.client, ...password];
}

function outcomeOf({ status, code, failure, stdout, stderr }: InProcessOutcome): Outcome {
  return { status, code, failure, output: `${stdout}${stderr}` };
}

/** Returns the outcome of work that is not run as a command. */
async function statusOf(work: () => Promise<Partial<Outcome>>): Promise<Outcome> {
  try {
    return { status: 0, code: undefined, failure: undefined, output: '', ...(await work()) };
  } catch (error) {
    const { code, message, row } = asTardisError(error);
    const output = `${message}\n${(error as Error).stack ?? ''}`;
    return { status: row.exitStatus, code, failure: code, output };
  }
}

export async function checkOf(stepping: Stepping, ...more: string[]): Promise<Outcome> {
  const args = ['check', '--read-data', '--json', ...more, ...placeArgs(stepping)];
  return outcomeOf(await runHere('sonic', args));
}

async function restoreStep({ history, copy, choice, ...rest }: Stepping): Promise<Outcome> {
  const sets = [...history.trees.keys()].filter((set) => history.truth.sets.has(set));
  const set = sets[choice % sets.length]!;
  const target = path.join(copy.store, 'restored');
  const args = ['-b', String(set), '-o', target, '--workers', '0', history.source];
  const run = await runHere('regenerate', [
    ...placeArgs({ history, copy, choice, ...rest }),
    ...args,
  ]);
  const found = path.join(target, path.basename(history.source));
  const wrong = fs.existsSync(found)
    ? differences(history.trees.get(set)!, look(found))
    : ['nothing was restored'];
  return { ...outcomeOf(run), wrong };
}

/** Deletes a set and frees its space; the newest sets stay. */
async function deleteStep(stepping: Stepping): Promise<Outcome> {
  const deleted = [stepping.choice % 2 === 0 ? 1 : 4];
  const args = ['delete', '--yes', ...placeArgs(stepping), ...deleted.map(String)];
  return { ...outcomeOf(await runHere('sonic', args)), deleted };
}

async function rewriteStep({ copy, choice }: Stepping): Promise<Outcome> {
  return statusOf(async () => {
    const system = inlineSystem();
    const keys = await newKeysOf(copy);
    const done = await rewriteInline(system, copy, { keys, acceptDamage: choice % 2 === 1 });
    return { status: (done?.lostVersions ?? 0) > 0 ? 3 : 0 };
  });
}

const madeKeys = new Map<string, Promise<Buffer>>();

/** Returns new keys, created once for each former keyset, because creating keys is slow by design. */
async function newKeysOf({ store, client }: Place): Promise<Buffer> {
  const former = await keysIn(inlineSystem(), path.join(store, client));
  const id = former?.record.keysetId.toString('hex') ?? '';
  const known = madeKeys.get(id) ?? freshKeys(former);
  madeKeys.set(id, known);
  return known;
}

export async function backUp({ history, copy }: Stepping): Promise<Outcome> {
  return statusOf(async () => {
    const options = history.isEncrypting ? { password: 'of a test' } : {};
    const { set, progress, doubts } = await backupInline(inlineSystem(), copy, [history.source], {
      ...options,
      storage: STORAGE,
      settings: { sendSignatures: true },
    });
    const isPartial = progress.unreadable + doubts.length > 0;
    // The content of an unfinished set becomes part of the set that completes it.
    return {
      status: isPartial ? 3 : 0,
      made: set,
      deleted: [UNFINISHED],
      output: doubts.join('\n'),
    };
  });
}

export const REFUSED = 'a refused backup and a check';

/** A check after a backup that was refused; the backup's own outcome if it was not. */
async function refusedStep(stepping: Stepping): Promise<Outcome> {
  const { failure, ...made } = await backUp(stepping);
  return failure === undefined ? { failure, ...made } : checkOf(stepping, '--no-mark');
}

export const STEPS: Readonly<Record<string, Step>> = {
  backup: backUp,
  restore: restoreStep,
  check: (stepping) => checkOf(stepping),
  [REFUSED]: refusedStep,
  rebuild: async (stepping) =>
    outcomeOf(await runHere('sonic', ['rebuild', ...placeArgs(stepping)])),
  'rebuild --quick': async (stepping) =>
    outcomeOf(await runHere('sonic', ['rebuild', '--quick', ...placeArgs(stepping)])),
  delete: deleteStep,
  're-key': rewriteStep,
};
