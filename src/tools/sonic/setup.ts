/**
 * Implements `sonic setup`: plans backups by questions on a terminal or by answers, writes the configuration and the
 * timer, makes the first backup, and prints what comes next. Run again, it shows the plan and changes it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { defaultOf, isBucketText, type Settings, usualClientFile } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import { hasDesktop } from '../../notify/index.js';
import { isClientDirectory } from '../../store/index.js';
import { byteText, homeDirectory, isThere, nodeSystem, type System } from '../../system/index.js';
import { donePartly, PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { shellWord } from '../output/shell-word.js';
import { askYes } from '../output/terminal.js';
import { requireYes } from './confirm.js';
import { joinCodeIn } from './join-codes.js';
import { isForeign, isSetUp, tardisCommand } from '../shared/own-files.js';
import { printWarning } from '../output/progress-line.js';
import {
  remove,
  removeConfig,
  removeTimers,
  startTimer,
  unitPath,
  writeConfig,
  writePassword,
  writtenPlan,
} from './setup-files.js';
import { requirePlace, refilled } from './setup-places.js';
import {
  answered,
  answersIn,
  BUCKET_NAMES,
  type Chosen,
  type Keep,
  joinedBy,
  keepStored,
  NO_HOOKS,
  passwordPath,
  type Plan,
  RULES,
} from './setup-plan.js';
import { askPlan } from './setup-questions.js';

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
