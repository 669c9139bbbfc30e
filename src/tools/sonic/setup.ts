/**
 * Implements `sonic setup`: plans backups by questions on a terminal or by answers, writes the configuration and the
 * timer, makes the first backup, and prints what comes next. Run again, it shows the plan and changes it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import {
  configInvalid,
  defaultOf,
  isBucketText,
  type Settings,
  usualClientFile,
} from '../../config/index.js';
import { asTardisError, TardisError, usageError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import { hasDesktop } from '../../notify/index.js';
import { askPassword, strengthLine } from '../opening/password.js';
import { donePartly, PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { printWarning } from '../output/progress-line.js';
import { shellWord } from '../output/shell-word.js';
import { askLine, askYes, hasTerminal } from '../output/terminal.js';
import { formatBytes, formatTable } from '../output/units.js';
import { isForeign, isSetUp, tardisCommand } from '../shared/own-files.js';
import { isClientDirectory } from '../../store/index.js';
import { byteText, homeDirectory, isThere, nodeSystem, type System } from '../../system/index.js';
import { requireYes } from './confirm.js';
import { joinCodeIn } from './join-codes.js';
import {
  remove,
  removeConfig,
  removeTimers,
  requireWritable,
  startTimer,
  unitPath,
  writeConfig,
  writePassword,
  writtenPlan,
} from './setup-files.js';
import { type FreeDisk, freeDisks, refilled, requirePlace } from './setup-places.js';
import {
  answered,
  answersIn,
  answerText,
  BUCKET_NAMES,
  type Chosen,
  joinedBy,
  type Keep,
  keepStored,
  NO_HOOKS,
  passwordPath,
  type Plan,
  type Question,
  QUESTIONS,
  RULES,
} from './setup-plan.js';

type Options = Settings<'sonic setup'>;

/**
 * Rules for a store that has none: each set of two days, so that no later one of the same hour takes a file that was just
 * deleted by mistake; two weeks of days, two months of weeks, and a year.
 */
const USUAL_KEEP: Keep = { all: '2d', daily: '14', weekly: '8', monthly: '12' };

export async function setup(options: Options): Promise<number> {
  const system = nodeSystem();
  if (options.undoSetup) return undo(system, options);
  const earlier = isSetUp(system) ? writtenPlan(storedRules() ?? USUAL_KEEP) : undefined;
  const chosen = await choose(options, earlier ?? (await usualPlan()), earlier !== undefined);
  if (chosen === undefined) {
    print('Nothing was changed.');
    return 0;
  }
  const { plan } = chosen;
  requireUsable(plan, chosen.password);
  requireOwnFiles(system, plan);
  const joined = await joinServer(system, chosen, earlier, options);
  if (joined !== 0) {
    printWarning(
      'nothing was set up: run `tardis setup` again, with a new code if this one was refused',
    );
    return joined;
  }
  await write(system, chosen, options);
  const status = options.setupOnly ? 0 : await firstBackup(system, plan, options);
  if (![0, PARTLY].includes(status)) {
    printWarning(
      'the set-up is written, but there is no backup yet: run `tardis setup` again when it can be made',
    );
    return status;
  }
  keepBy(plan);
  const sheet = options.setupOnly ? undefined : await writeSheet(plan, options);
  showNext(plan, sheet, options);
  return status;
}

/** Returns the plan; undefined if the user left without one. Throws USAGE without a terminal and without answers. */
async function choose(
  { setupYes, answersFile, joinFile, sources, database, client, json }: Options,
  start: Plan,
  isWritten: boolean,
): Promise<Chosen | undefined> {
  if ([joinFile, answersFile].every((file) => file !== undefined && byteText(file) === '-')) {
    throw usageError('--join and --answers cannot both read standard input (-)');
  }
  let plan = start;
  if (sources.get('database')?.source === 'command line') {
    const place = byteText(database);
    plan = answered(plan, 'Place', isBucketText(place) ? place : path.resolve(place));
  }
  if (joinFile !== undefined) plan = joinedBy(plan, joinCodeIn(joinFile));
  const bucket = BUCKET_NAMES.flatMap((name) => {
    const { source = 'built-in', value } = sources.get(name) ?? {};
    return source === 'built-in' ? [] : [[name, value!] as const];
  });
  plan = { ...plan, bucket };
  if (sources.get('client')?.source === 'command line') plan = answered(plan, 'Client', client);
  const isInteractive = answersFile === undefined && !setupYes;
  if (isInteractive && json) throw usageError('--json needs --answers FILE or --yes');
  if (isInteractive) return askPlan(plan, isWritten);
  const answers = answersFile === undefined ? [] : answersIn(answersFile);
  for (const [key, text] of answers) plan = answered(plan, key, text);
  return { plan };
}

async function usualPlan(): Promise<Plan> {
  const isRoot = process.geteuid?.() === 0;
  const sources = [homeDirectory()];
  return {
    sources,
    excludes: refilled(sources).map((one) => one.path),
    store: undefined,
    server: undefined,
    client: defaultOf('client')(),
    passwordFile: passwordPath(),
    time: 'daily',
    scope: isRoot ? 'system' : 'user',
    keep: USUAL_KEEP,
    hooks: NO_HOOKS,
    report: { kind: !isRoot && (await hasDesktop()) ? 'desktop' : 'nobody' },
    mayShareDisk: false,
    bucket: [],
    added: [],
  };
}

/** Throws USAGE or CONFIG_INVALID if the plan lacks something, before anything is written. */
function requireUsable(plan: Plan, password: Buffer | undefined): void {
  const { store, server, code, passwordFile, scope, time } = plan;
  if (store === undefined && server === undefined) {
    throw usageError('there is no place for the backups: answer Place, or give -D');
  }
  if (code !== undefined && passwordFile === undefined) {
    throw usageError('a machine that joins by a code needs a password: Encrypt = yes');
  }
  if (passwordFile !== undefined && password === undefined && !isThere(passwordFile)) {
    const why = `there is no password in ${displayText(passwordFile)}`;
    throw usageError(`${why}: name its file (PasswordFile), or answer Encrypt = no`);
  }
  if (time !== undefined && scope === 'system' && process.geteuid?.() !== 0) {
    throw usageError('only root can make a timer of the system (Timer = user)');
  }
  requirePlace(plan);
  requireWritable(plan);
}

/** Prompts before a file is replaced that this command did not write. Throws CONFIRMATION_NEEDED without a yes. */
function requireOwnFiles(system: System, { time, scope }: Plan): void {
  const units = (['timer', 'service'] as const).map((kind) => unitPath(scope, kind));
  for (const file of [usualClientFile(), ...(time === undefined ? [] : units)]) {
    if (!isForeign(system, file)) continue;
    const question = `${file} was not written by this command. Replace it?`;
    requireYes(question, `${file} would be replaced`);
  }
}

/**
 * Creates the client by the code of the plan, unless it is there; returns the exit status. Nothing is written before,
 * since a timer would begin backups for which there is no client.
 */
async function joinServer(
  system: System,
  { plan: { code, server, client, passwordFile }, password }: Chosen,
  earlier: Plan | undefined,
  options: Options,
): Promise<number> {
  const isWritten = earlier?.server === server && earlier?.client === client;
  if (code === undefined || (isWritten && storedSettings() !== undefined)) return 0;
  // The password of an earlier set-up stays until this one is made.
  const file = password === undefined ? passwordFile! : `${passwordPath()}.joining`;
  if (password !== undefined) await writePassword(system, password, file);
  try {
    // The code is no argument, since other users of this machine could see it.
    const words = ['create', '--join', '-', '--password-file', file];
    return await runWith('sonic', words, options, code);
  } finally {
    if (password !== undefined) remove(system, file);
  }
}

/** Writes the password, the configuration and the units, and sends a report as a test. */
async function write(system: System, { plan, password }: Chosen, options: Options): Promise<void> {
  const show = options.json ? () => undefined : print;
  if (password !== undefined) await writePassword(system, password);
  await writeConfig(system, plan);
  show(`Written: ${usualClientFile()}`);
  removeTimers(system, plan.time === undefined ? ['user', 'system'] : [otherScope(plan)]);
  if (plan.time !== undefined) {
    const isStarted = await startTimer(system, plan);
    const when =
      plan.scope === 'user' ? ' (while you are logged in; `loginctl enable-linger`: always)' : '';
    show(`Written: ${unitPath(plan.scope, 'timer')}${when}`);
    if (!isStarted) {
      donePartly();
      printWarning(
        `systemd did not start the timer: start \`tardis backup\` by cron, or enable ${unitPath(plan.scope, 'timer')}`,
      );
    }
  }
  if (!['mail', 'desktop'].includes(plan.report.kind)) return;
  if ((await runWith('tardis', ['--test-mail'], options)) === 0) return;
  donePartly();
  printWarning('failures would not be reported');
}

function otherScope({ scope }: Plan): Plan['scope'] {
  return scope === 'user' ? 'system' : 'user';
}

/** Runs a command with the configuration, if there is one, and an input, its output on this terminal; returns its exit status. */
async function runWith(
  tool: string,
  words: readonly string[],
  { json, trustStore }: Options,
  input?: string,
): Promise<number> {
  const config = isThere(usualClientFile()) ? ['--config', usualClientFile()] : [];
  const given = [...words, ...config, ...(trustStore ? ['--trust-store'] : [])];
  const child = spawn(tardisCommand(tool), given, {
    stdio: [input === undefined ? 'inherit' : 'pipe', json ? 2 : 'inherit', 'inherit'],
  });
  child.stdin?.on('error', () => undefined); // a command that ends early need not read it
  child.stdin?.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? 1;
}

/** Makes the first backup, or the next one. A client that is not there, or cannot be read, is created. */
async function firstBackup(
  system: System,
  { store, client, code }: Plan,
  options: Options,
): Promise<number> {
  const isThereNow =
    store !== undefined && path.isAbsolute(store)
      ? isClientDirectory(system, path.join(store, client))
      : storedSettings() !== undefined;
  const creates = code === undefined && !isThereNow;
  return runWith('tardis', ['backup', ...(creates ? ['--create'] : [])], options);
}

/** Returns what `sonic getconfig` prints of the client; undefined if it is not there, or cannot be read now. */
function storedSettings(): string | undefined {
  const words = ['getconfig', '--json', '--config', usualClientFile()];
  const { status, stdout } = spawnSync(tardisCommand('sonic'), words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return [0, PARTLY].includes(status ?? 1) ? stdout : undefined;
}

/** Returns the rules that are stored with the client; undefined if it has none, or cannot be read now. */
function storedRules(): Keep | undefined {
  const stdout = storedSettings();
  if (stdout === undefined) return undefined;
  const { settings = {} } = JSON.parse(stdout) as { settings?: Record<string, string | number> };
  return keepStored((key) => (Object.hasOwn(settings, key) ? String(settings[key]) : undefined));
}

/** Stores the rules with the client, as far as it has others. A server has rules of its own. */
function keepBy({ keep = {}, server }: Plan): void {
  if (server !== undefined) return;
  const stored = storedRules() ?? {};
  for (const [rule, key] of Object.entries(RULES)) {
    const now = keep[rule];
    if (stored[rule] === now) continue;
    const words = now === undefined ? ['--remove', key] : [key, now];
    const { status, stderr } = spawnSync(
      tardisCommand('sonic'),
      ['setconfig', '--config', usualClientFile(), ...words],
      { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] },
    );
    if (status === 0) continue;
    donePartly();
    printWarning(`the rule ${key} could not be stored: ${displayText(stderr.trim())}`);
  }
}

/** Returns the file of the sheet of keys. */
function sheetPath({ client }: Plan): string {
  return path.join(homeDirectory(), `tardis-keys-${client}.pdf`);
}

/** Writes the sheet of keys, if the client encrypts and the sheet is not there yet. Returns its file. */
async function writeSheet(plan: Plan, options: Options): Promise<string | undefined> {
  if (plan.passwordFile === undefined) return undefined;
  const file = sheetPath(plan);
  if (isThere(file)) return file;
  const status = await runWith('sonic', ['keys', '--pdf', file], options);
  if (status === 0) return file;
  donePartly();
  return undefined;
}

function showNext(plan: Plan, sheet: string | undefined, { json }: Options): void {
  const { store, server, client, sources, passwordFile, time, scope } = plan;
  if (json) {
    const timer = time === undefined ? undefined : unitPath(scope, 'timer');
    const facts = { store, server, client, timer, sheet, isEncrypted: passwordFile !== undefined };
    printJson({ config: usualClientFile(), ...facts });
    return;
  }
  if (sheet !== undefined) {
    print(
      `\nPrint ${displayText(sheet)} now, and keep it outside the house with the password: without the keys on it and the password, nobody can read the backups after a fire.`,
    );
  }
  const [first = ''] = sources;
  print(`
look:     tardis web, or: tardis list
restore:  tardis restore -o /tmp/restored ${shellWord(first)}
state:    tardis status`);
}

/** Removes what `tardis setup` wrote. The store stays, and so does the password unless the user lets it go. */
function undo(system: System, { json }: Options): number {
  const removed = [...removeTimers(system, ['user', 'system']), ...removeConfig(system)];
  const password = passwordPath();
  const question = `Also remove the password in ${password}? Without it nobody can read the backups.`;
  if (isThere(password) && !json && askYes(question) === true) {
    remove(system, password);
    removed.push(password);
  }
  const kept = isThere(password) ? password : undefined;
  if (json) {
    printJson({ removed, keptPassword: kept });
    return 0;
  }
  for (const file of removed) print(`Removed: ${file}`);
  if (removed.length === 0) print('There was nothing to remove.');
  if (kept !== undefined) print(`The password stays in ${kept}: the backups need it.`);
  print('The backups stay where they are.');
  return 0;
}

/** Maximum number of answers that are tried, so that a terminal that answers by itself ends too. */
const MOST_TRIES = 100;

/**
 * Returns the plan of the user, by three questions on the terminal, then a summary whose lines can be changed; undefined if the
 * user leaves. Throws USAGE without a terminal.
 */
async function askPlan(start: Plan, isWritten: boolean): Promise<Chosen | undefined> {
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
