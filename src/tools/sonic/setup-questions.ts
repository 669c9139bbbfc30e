/** Prompts for the plan of `tardis setup` on the terminal: three questions, then a summary whose lines can be changed. */
import { configInvalid, defaultOf } from '../../config/index.js';
import { asTardisError, TardisError, usageError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import { isThere } from '../../system/index.js';
import { askPassword, strengthLine } from '../opening/password.js';
import { askLine, askYes, hasTerminal } from '../output/terminal.js';
import { formatBytes, formatTable } from '../output/units.js';
import { print } from '../output/output.js';
import { type FreeDisk, freeDisks, refilled, requirePlace } from './setup-places.js';
import {
  answered,
  answerText,
  type Chosen,
  passwordPath,
  type Plan,
  type Question,
  QUESTIONS,
} from './setup-plan.js';

/** Maximum number of answers that are tried, so that a terminal that answers by itself ends too. */
const MOST_TRIES = 100;

/** Returns the plan of the user; undefined if the user leaves. Throws USAGE without a terminal. */
export async function askPlan(start: Plan, isWritten: boolean): Promise<Chosen | undefined> {
  if (!hasTerminal()) {
    const why = 'there is no terminal for questions: give --answers FILE, or --yes with -D';
    throw usageError(why);
  }
  let chosen: Chosen = { plan: start };
  if (!isWritten) {
    print('Three questions; Enter takes what stands in brackets.\n');
    const isPlaced = start.store !== undefined;
    for (const question of ['Sources', ...(isPlaced ? [] : ['Place']), 'Encrypt'] as Question[]) {
      chosen = await withAnswer(chosen, question);
    }
  }
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    print(`\n${summary(chosen.plan)}\n`);
    const answer = line(
      'Enter writes this and makes a backup; a number changes a line; q leaves: ',
    );
    if (answer === '') return { ...chosen, plan: withPlace(chosen.plan) };
    if (/^q/i.test(answer)) return undefined;
    const question = QUESTIONS[Number(answer) - 1];
    if (question !== undefined) chosen = await withAnswer(chosen, question);
  }
  return undefined;
}

function line(question: string): string {
  return (askLine(question) ?? '').trim();
}

/** Returns the plan with the answer to a question. After an answer that cannot be used, prompts again. */
async function withAnswer(chosen: Chosen, question: Question): Promise<Chosen> {
  if (question === 'Encrypt') return askEncryption(chosen);
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const { hint, usual, choices } = offered(question, chosen.plan);
    if (hint !== '') print(hint);
    const typed = line(`${question} [${usual}]: `);
    if (typed === '' && question !== 'Place') return chosen;
    const answer = typed === '' ? usual : (choices[Number(typed) - 1] ?? typed);
    try {
      const plan = answered(chosen.plan, question, answer);
      const isMoved = question === 'Sources';
      return {
        ...chosen,
        plan: isMoved ? withExcludes(plan) : question === 'Place' ? withPlace(plan) : plan,
      };
    } catch (thrown) {
      const { code, message } = asTardisError(thrown);
      if (code !== 'CONFIG_INVALID') throw thrown;
      print(displayText(message));
    }
  }
  throw configInvalid(`${question} was not answered`);
}

/** Returns the plan without the directories in its sources that programs fill again. */
function withExcludes(plan: Plan): Plan {
  return { ...plan, excludes: refilled(plan.sources).map((one) => one.path) };
}

/** Returns the plan if its place can be used, or if the user takes the disk of the sources. Throws CONFIG_INVALID. */
function withPlace(plan: Plan): Plan {
  try {
    requirePlace(plan);
    return plan;
  } catch (thrown) {
    const shared = { ...plan, mayShareDisk: true };
    requirePlace(shared); // throws again if the place is wrong for another reason
    const { message } = asTardisError(thrown);
    if (askYes(`${displayText(message)}. Use it all the same?`) === true) return shared;
    throw thrown;
  }
}

interface Offer {
  /** Lines above the question. */
  readonly hint: string;
  /** Answer of Enter. */
  readonly usual: string;
  /** Answers that are chosen by their number. */
  readonly choices: readonly string[];
}

/** Lines above the questions for which they do not depend on the plan. */
const HINTS: Readonly<Partial<Record<Question, string>>> = {
  Sources: 'What is backed up: home, system, or paths.',
  When: 'When: hourly, daily, weekly or never.',
  Keep: 'Sets to keep, such as "all of 2d, 14 daily, 12 monthly", or all.',
  Report: 'Where a failed backup is reported: a mail address, a URL, desktop or nobody.',
  HookBefore: 'Command to run before a backup, which begins only if it succeeds; or none.',
  HookAfter: 'Command to run after a backup, whatever its result; or none.',
};

function offered(question: Question, plan: Plan): Offer {
  if (question === 'Place') return offeredPlaces(plan);
  const hint = question === 'Exclude' ? foundText(plan) : (HINTS[question] ?? '');
  return { hint, usual: answerText(question, plan), choices: [] };
}

function foundText({ sources }: Plan): string {
  const found = refilled(sources).map(({ path, bytes, isMore }) => [
    displayText(path),
    `${isMore ? 'more than ' : ''}${formatBytes(bytes)}`,
  ]);
  const head = 'Directories that are left out, or none.';
  return found.length === 0
    ? head
    : `${head} Programs fill these again:\n${formatTable(found, [1])}`;
}

function offeredPlaces(plan: Plan): Offer {
  const disks = freeDisks(plan);
  const rows = disks.map(({ place, device, freeBytes }: FreeDisk, index) => [
    `  ${index + 1}`,
    displayText(place),
    `${formatBytes(freeBytes)} free on ${displayText(device)}`,
  ]);
  const more =
    'Where the backups go: a directory on another disk, s3://BUCKET/PREFIX, ssh://USER@HOST/PLACE, "server HOST", or the code that a server\'s administrator gave you. A new disk: connect and mount it, then press Enter.';
  const usual =
    plan.server === undefined ? (plan.store ?? disks[0]?.place ?? '') : `server ${plan.server}`;
  const hint = rows.length === 0 ? more : `${more}\n${formatTable(rows, [])}`;
  return { hint, usual, choices: disks.map(({ place }) => place) };
}

/** Prompts for encryption, and for a new password if there is none. */
async function askEncryption(chosen: Chosen): Promise<Chosen> {
  const { plan } = chosen;
  const answer = line('Encrypt, so that a thief of the disk cannot read the backups? [yes]: ');
  if (/^n/i.test(answer)) return { plan: { ...plan, passwordFile: undefined } };
  const file = plan.passwordFile ?? passwordPath();
  if (isThere(file)) {
    print(`The password in ${displayText(file)} is used.`);
    return { plan: { ...plan, passwordFile: file } };
  }
  const password = await askNewPassword();
  print(strengthLine(password, { passwordMemoryBytes: defaultOf('passwordMemoryBytes') }));
  print('Without it nobody can read the backups: write it down, and keep it outside the house.');
  return { plan: { ...plan, passwordFile: file }, password };
}

async function askNewPassword(): Promise<Buffer> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    try {
      const password = await askPassword({ prompt: 'Password of the backups', isNew: true });
      if (password.length > 0) return password;
      print('An empty password protects nothing.');
    } catch (thrown) {
      const { code, message } = asTardisError(thrown);
      if (code !== 'PASSWORD_NEEDED') throw thrown;
      print(displayText(message));
    }
  }
  throw new TardisError('PASSWORD_NEEDED', 'no password was typed');
}

function summary(plan: Plan): string {
  const rows = QUESTIONS.map((question, index) => [
    ` ${index + 1}`,
    question,
    displayText(answerText(question, plan)),
  ]);
  return formatTable(rows, []);
}
