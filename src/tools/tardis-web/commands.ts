/**
 * The commands that the page of tardis-web runs: a backup as `tardis setup` configured it, changes by `sonic`, and a
 * mount by `tardisfs`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import {
  formatValue,
  resolveSettings,
  rowsOf,
  type Tool,
  usualClientFile,
} from '../../config/index.js';
import { unlessBug } from '../../errors/index.js';
import { type ClientSetting, displayText } from '../../model/index.js';
import { processEnvironment, type System, textBytes } from '../../system/index.js';
import {
  type Act,
  type Commands,
  HOOK_KEYS,
  type Offer,
  SETUP_KEYS,
  type SetupAnswers,
} from '../../web/local/index.js';
import { usesServer } from '../opening/history.js';
import type { WebSettings } from './client-settings.js';
import { clientPlace } from '../opening/local-store.js';
import { shellWord } from '../output/shell-word.js';
import { isSetUp, tardisCommand } from '../shared/own-files.js';
import { writtenPlan } from '../sonic/setup-files.js';
import { answerText, keepStored } from '../sonic/setup-plan.js';
import { madeMountPoint, usualMountPoint } from './mount-point.js';

/** Returns the commands for the client of the settings, which has this name in addresses. */
export function commandsOf(system: System, settings: WebSettings, name: string): Commands {
  return {
    offers: offersOf(system, settings),
    mountPoint: usualMountPoint(name),
    setup: (stored) => (isOfSetup(system, settings) ? setupAnswers(settings, stored) : undefined),
    start: (act) =>
      act.kind === 'mount'
        ? startedMount(settings, act)
        : startedAll(linesOf(settings, act), environmentFor(settings)),
  };
}

function offersOf(system: System, settings: WebSettings): Offer[] {
  const isChangeable = mayChange(system, settings);
  return [
    'mount',
    ...(isOfSetup(system, settings) ? (['backup'] as const) : []),
    ...(isChangeable ? (['change'] as const) : []),
    ...(isChangeable && !usesServer(settings) ? (['purge'] as const) : []),
  ];
}

/** True if `tardis setup` has configured the backups of the client that the page shows. */
function isOfSetup(system: System, settings: WebSettings): boolean {
  const isPlanned = (): boolean => {
    const commandLine = new Map([['configFiles', [usualClientFile()]]]);
    const planned = resolveSettings('tardis', { commandLine, environment: processEnvironment() });
    if (planned.client !== settings.client) return false;
    const hasServer = planned.sources.get('server')?.source === 'configuration file';
    if (usesServer(settings)) return hasServer && planned.server === settings.server;
    return !hasServer && planned.database.equals(settings.database);
  };
  // A configuration that cannot be read starts no backup either.
  return isSetUp(system) && (unlessBug(isPlanned) ?? false);
}

/**
 * Returns the answers of `tardis setup` that its configuration has. A server has rules of its own, and a page that other
 * machines reach has no commands.
 */
function setupAnswers(
  { webListen }: Pick<WebSettings, 'webListen'>,
  stored: readonly ClientSetting[],
): SetupAnswers {
  const rules = new Map(stored.map(({ key, value }) => [key, value]));
  const plan = writtenPlan(keepStored((key) => rules.get(key)));
  if (plan === undefined) return {};
  const keys = SETUP_KEYS.filter(
    (key) =>
      (key !== 'Keep' || plan.server === undefined) &&
      (webListen === undefined || !HOOK_KEYS.some((hook) => hook === key)),
  );
  return Object.fromEntries(keys.map((key) => [key, answerText(key, plan)]));
}

/** True if the store is one that this user may write to. A server decides by the rights of the account; a web address only reads. */
function mayChange(system: System, settings: WebSettings): boolean {
  if (usesServer(settings)) return !/^https?:/i.test(settings.server);
  const { store, client } = clientPlace(settings);
  return system.files.isWritable(path.join(store, client));
}

type RunningCommands = ReturnType<Commands['start']>;

interface CommandLine {
  readonly tool: 'tardis' | 'sonic' | 'tardisfs';
  readonly words: readonly string[];
  /** Text that the command reads on its standard input. */
  readonly input?: string;
  /** The words as one types them, if they differ. */
  readonly shown?: readonly string[];
}

type Mounting = Extract<Act, { readonly kind: 'mount' }>;

/** Returns the commands of an act, in their order. */
function linesOf(
  settings: WebSettings,
  act: Exclude<Act, Mounting>,
): [CommandLine, ...CommandLine[]] {
  if (act.kind === 'backup') {
    return [{ tool: 'tardis', words: ['backup', '--config', usualClientFile(), '--progress'] }];
  }
  if (act.kind === 'test-report') {
    return [{ tool: 'tardis', words: ['--test-mail', '--config', usualClientFile()] }];
  }
  if (act.kind === 'setup') {
    const lines = Object.entries(act.answers).map(([key, text]) => `${key} = ${text}`);
    const words = ['setup', '--settings-only', '--answers', '-'];
    return [{ tool: 'tardis', words, input: ['[Setup]', ...lines, ''].join('\n') }];
  }
  const last = lineOf(settings, changeWords(act));
  if (act.kind !== 'purge') return [last];
  const [first, ...others] = Object.entries(act.stores).map(([key, words]) =>
    lineOf(settings, ['setconfig', ...(words === '' ? ['--remove', key] : [key, words])]),
  );
  return first === undefined ? [last] : [first, ...others, last];
}

function lineOf(settings: WebSettings, [name, ...words]: [string, ...string[]]): CommandLine {
  return lineFor(settings, `sonic ${name}` as Tool, (place) => [name, ...place, ...words]);
}

/**
 * Returns a command for the client. `words` returns its words with those by which it finds the client and its keys. A
 * password is read on its standard input, since other users can see words.
 */
function lineFor(
  settings: WebSettings,
  tool: Tool,
  words: (place: readonly string[]) => string[],
): CommandLine {
  const { password, sources } = settings;
  const place = placeWords(settings, tool);
  const program = tool === 'tardisfs' ? tool : 'sonic';
  const isGiven = sources.get('password')?.source === 'command line' && password !== '';
  if (!isGiven || !rowsOf(tool).some(([row]) => row === 'passwordProg')) {
    return { tool: program, words: words(place) };
  }
  return {
    tool: program,
    words: words(['--password-prog=cat', ...place]),
    shown: words(['-P', ...place]),
    input: `${password}\n`,
  };
}

/** An act for which `sonic` has a command. */
type Change = Exclude<Act, { readonly kind: 'backup' | 'mount' | 'setup' | 'test-report' }>;

/** Returns the sub-command of `sonic` for an act, and the words that are its own. */
function changeWords(act: Change): [string, ...string[]] {
  switch (act.kind) {
    case 'check': {
      const read = act.readsAll ? ['--read-data'] : [];
      return ['check', '--progress', ...read, ...(act.repairs === true ? ['--repair'] : [])];
    }
    case 'lock':
      return ['lock', ...(act.isLocked ? [] : ['--unlock']), ...act.sets.map(String)];
    case 'tag':
      return [
        'tag',
        ...act.addTags.map((tag) => `--add=${tag}`),
        ...act.removeTags.map((tag) => `--remove=${tag}`),
        ...act.sets.map(String),
      ];
    case 'delete':
      return ['delete', '--yes', '--progress', ...act.sets.map(String)];
    case 'forget':
      return ['forget-path', '--yes', ...act.paths.map((one) => one.toString())];
    case 'purge':
      return [
        'purge',
        '--yes',
        '--progress',
        ...Object.entries(act.rules).flatMap(([key, words]) => ruleWords(key, words)),
      ];
    case 'withdraw':
      return ['forget-path', '--undo', String(act.request)];
  }
}

/** Returns the options for a rule of a purge; none without words. */
function ruleWords(key: string, words: string): string[] {
  if (words === '') return [];
  if (key !== 'KeepTags') {
    return [`-${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${words}`];
  }
  const tags = words.split(/[,\s]+/).filter((tag) => tag !== '');
  return tags.map((tag) => `--keep-tag=${tag}`);
}

/** Settings of the page itself. */
const OWN: ReadonlySet<string> = new Set(['json', 'progress', 'client']);
/** Settings of which others have the meaning, and the password, which a command reads on its standard input. */
const MEANT: ReadonlySet<string> = new Set(['repository', 'repo', 'password']);

/** Returns the options of the page by which another command finds the same client, with its keys. */
function placeWords(settings: WebSettings, tool: Tool): string[] {
  const known = new Set(rowsOf(tool).map(([, row]) => longFlag(row.flags)));
  const given = rowsOf('tardis-web').flatMap(([name, row]) => {
    const found = settings.sources.get(name);
    const flag = longFlag(row.flags);
    const isMeant = found?.source === 'command line' && flag !== undefined && known.has(flag);
    if (!isMeant || OWN.has(name) || MEANT.has(name)) return [];
    if (typeof found.value === 'boolean') return found.value ? [flag] : [];
    const values =
      Array.isArray(found.value) && !Buffer.isBuffer(found.value) ? found.value : [found.value];
    return values.map((value) => `${flag}=${formatValue(value, row)}`);
  });
  return [...given, `--client=${settings.client}`];
}

function longFlag(flags: string | undefined): string | undefined {
  return /--[a-z][a-z-]+/.exec(flags ?? '')?.[0];
}

/** Returns the environment of commands: without the variables that do not count for the client of the settings. */
function environmentFor({ sources }: WebSettings): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, TARDIS_RUN_BY: 'page' };
  for (const [name, { variable }] of rowsOf('tardis-web')) {
    if (variable !== undefined && !sources.has(name)) delete env[variable];
  }
  return env;
}

/** Starts a command without a terminal, so that it never prompts. */
function started(
  { tool, words, input = '' }: CommandLine,
  env: NodeJS.ProcessEnv,
): Omit<RunningCommands, 'text'> {
  const child = spawn(tardisCommand(tool), words, {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin.on('error', () => undefined); // a command that ends early need not read it
  child.stdin.end(textBytes(input));
  const ended = once(child, 'close').then(([status]) => (status as number | null) ?? undefined);
  return {
    follow: (onLine) => {
      for (const from of ['output', 'messages'] as const) {
        const input = from === 'output' ? child.stdout : child.stderr;
        createInterface({ input }).on('line', (line) => onLine(displayText(line), from));
      }
      return ended;
    },
    stop: () => void child.kill('SIGTERM'), // it ends in order, at a checkpoint
  };
}

/** Starts commands one after the other. The first one that fails or is stopped is the last one. */
function startedAll(
  [first, ...others]: [CommandLine, ...CommandLine[]],
  env: NodeJS.ProcessEnv,
): RunningCommands {
  let running = started(first, env);
  let isStopped = false;
  return {
    text: [first, ...others].map(lineText).join(' && '),
    follow: async (onLine) => {
      let status = await running.follow(onLine);
      for (const line of others) {
        if (status !== 0 || isStopped) return status;
        running = started(line, env);
        status = await running.follow(onLine);
      }
      return status;
    },
    stop: () => {
      isStopped = true;
      running.stop();
    },
  };
}

/** Starts a mount, which ends with this program. Throws MOUNT_FAILED. */
function startedMount(settings: WebSettings, { directory }: Mounting): RunningCommands {
  const remove = madeMountPoint(directory);
  const line = lineFor(settings, 'tardisfs', (place) => [
    '--foreground',
    ...place,
    '--',
    directory,
  ]);
  const running = startedAll([line], environmentFor(settings));
  return { ...running, follow: (onLine) => running.follow(onLine).finally(remove) };
}

function lineText({ tool, words, shown = words }: CommandLine): string {
  return [tool, ...shown].map(shellWord).join(' ');
}
