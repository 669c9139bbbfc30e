/**
 * Reads passwords from the command line, the terminal, a file, a URL or a program. A password is passed only to the
 * calls that need it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import { configInvalid, type SettingsNamed, type Sourced, SOURCES } from '../../config/index.js';
import {
  normalPassword,
  passwordStrength,
  stretchBytes,
  stretchOf,
  type StretchParameters,
} from '../../crypto/index.js';
import { failedTo, TardisError, systemReason } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import { printWarning } from '../output/progress-line.js';
import {
  byteText,
  isLoopback,
  loadHttp,
  loadHttps,
  readSmallFile,
  withoutMark,
  textBytes,
} from '../../system/index.js';
import { askSecret } from '../output/terminal.js';

const MAX_PASSWORD_BYTES = 4096;
/** Schemes of URLs that may name a password file, or are refused. */
const SCHEMES: ReadonlySet<string> = new Set(['file', 'ftp', 'http', 'https']);
const MAX_SOURCE_BYTES = 64 << 10;
const FETCH_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
/** Time limit for a program that prints a password. It is long, since the program may prompt the user. */
const PROGRAM_TIMEOUT_MS = 300_000;

export type PasswordSettings = Sourced &
  SettingsNamed<'password' | 'passwordFile' | 'passwordProg'> & {
    /** True to throw PASSWORD_NEEDED in place of a prompt on the terminal. */
    readonly neverPrompts?: boolean;
  };

/** Names of three settings that exclude each other. */
type Names = readonly [text: string, file: string, prog: string];

const PASSWORD: Names = ['password', 'passwordFile', 'passwordProg'];
const NEW_PASSWORD: Names = ['newPassword', 'newPasswordFile', 'newPasswordProg'];

/** Prompt for a password. A new password is prompted for twice, since a typing error would lock its owner out. */
interface AskOptions {
  readonly prompt: string;
  readonly isNew: boolean;
  /** Printed before the prompt. */
  readonly warning?: string | undefined;
}

/**
 * Returns the password in the settings; undefined if they contain none. Throws CONFIG_INVALID if two settings of equal
 * precedence have one. Throws PASSWORD_NEEDED if a prompt is needed and there is no terminal, or if the password is
 * empty.
 */
export function givenPassword(
  settings: PasswordSettings,
  ask: AskOptions,
): Promise<Buffer | undefined> {
  return readPassword(settings, chosen(settings, PASSWORD), ask);
}

/** Returns the new password of `sonic chpass`, as `givenPassword` does. */
export function givenNewPassword(
  settings: Sourced & SettingsNamed<'newPassword' | 'newPasswordFile' | 'newPasswordProg'>,
  ask: AskOptions,
): Promise<Buffer | undefined> {
  const { newPassword, newPasswordFile, newPasswordProg } = settings;
  const same = {
    sources: settings.sources,
    password: newPassword,
    passwordFile: newPasswordFile,
    passwordProg: newPasswordProg,
  };
  return readPassword(same, chosen(settings, NEW_PASSWORD), ask);
}

/** Returns the password in the settings, or prompts for it. Throws the errors of `givenPassword` and `askPassword`. */
export async function requirePassword(
  ...[settings, ask]: Parameters<typeof givenPassword>
): Promise<Buffer> {
  return (await givenPassword(settings, ask)) ?? (await promptUnlessNever(settings, ask));
}

/** Prompts for a password as `askPassword` does, or throws PASSWORD_NEEDED if the settings want no prompt. */
export async function promptUnlessNever(
  { neverPrompts }: Pick<PasswordSettings, 'neverPrompts'>,
  ...[ask, signal]: Parameters<typeof askPassword>
): Promise<Buffer> {
  if (neverPrompts !== true) return askPassword(ask, signal);
  throw new TardisError('PASSWORD_NEEDED', `${ask.prompt}: none was given`);
}

/** Returns the new password in the settings, or prompts for it. */
export async function requireNewPassword(
  ...[settings, ask]: Parameters<typeof givenNewPassword>
): Promise<Buffer> {
  return (await givenNewPassword(settings, ask)) ?? (await askPassword(ask));
}

/** Returns settings with a password that was typed, in place of any other. */
export function withTyped<S extends Sourced & Partial<SettingsNamed<'password'>>>(
  settings: S,
  password: string,
): S {
  const sources = new Map(settings.sources);
  for (const name of PASSWORD) sources.delete(name);
  sources.set('password', { value: password, source: 'command line', where: 'the terminal' });
  return { ...settings, password, sources };
}

type Kind = 'text' | 'file' | 'prog';
const KINDS: readonly Kind[] = ['text', 'file', 'prog'];

/**
 * Returns the kind of the setting whose source has the highest precedence, among three settings that exclude each
 * other. Returns undefined if none is given. Throws CONFIG_INVALID if two of them are given in that source.
 */
function chosen({ sources }: Sourced, names: Names): Kind | undefined {
  for (const source of SOURCES) {
    const given = KINDS.filter((_kind, index) => sources.get(names[index]!)?.source === source);
    if (given.length > 1) {
      const where = sources.get(names[KINDS.indexOf(given[1]!)]!)!.where;
      throw configInvalid(`${where}: more than one password is given in the same place`);
    }
    if (given[0] !== undefined) return given[0];
  }
  return undefined;
}

async function readPassword(
  { password, passwordFile, passwordProg }: PasswordSettings,
  kind: Kind | undefined,
  ask: AskOptions,
): Promise<Buffer | undefined> {
  switch (kind) {
    case 'text':
      return password === '' ? askPassword(ask) : normalPassword(textBytes(password!));
    case 'file':
      return firstLine(await readSource(passwordFile!), displayName(passwordFile!));
    case 'prog':
      return firstLine(await runProgram(passwordProg!), passwordProg![0]!);
    case undefined:
      return undefined;
  }
}

/** Prompts on the terminal. Throws PASSWORD_NEEDED without a terminal, INTERRUPTED at Ctrl-C. */
export async function askPassword(
  { prompt, isNew, warning }: AskOptions,
  signal?: AbortSignal,
): Promise<Buffer> {
  if (warning !== undefined) printWarning(warning);
  const typed = normalPassword(await askSecret(`${prompt}: `, MAX_PASSWORD_BYTES, signal));
  if (!isNew) return typed;
  const again = normalPassword(await askSecret(`${prompt} again: `, MAX_PASSWORD_BYTES));
  if (typed.equals(again)) return typed;
  throw new TardisError('PASSWORD_NEEDED', 'the two passwords differ');
}

/**
 * Returns the first line, without its line end and without a byte order mark. Throws PASSWORD_NEEDED if it is empty, CONFIG_INVALID if it is too
 * long or UTF-16.
 */
function firstLine(given: Buffer, shown: string): Buffer {
  const bytes = withoutMark(given, shown);
  const end = bytes.indexOf('\n');
  const line = end < 0 ? bytes : bytes.subarray(0, end);
  const bare = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  if (bare.length === 0)
    throw new TardisError('PASSWORD_NEEDED', `${shown}: it contains no password`);
  if (bare.length > MAX_PASSWORD_BYTES) {
    throw configInvalid(`${shown}: a password has at most ${MAX_PASSWORD_BYTES} bytes`);
  }
  return normalPassword(bare);
}

/** Returns the scheme of a URL in lower case; undefined for text without one. */
function schemeOf(text: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/?\/?/i.exec(text)?.[1]?.toLowerCase();
}

/** True if a password file is given as a URL. A path with a colon is none, unless it begins like a URL. */
export function isPasswordUrl(given: Buffer): boolean {
  const scheme = schemeOf(byteText(given));
  return scheme !== undefined && SCHEMES.has(scheme);
}

function readSource(given: Buffer): Promise<Buffer> {
  const text = byteText(given);
  const scheme = schemeOf(text);
  if (scheme === 'http' || scheme === 'https') return fetchSource(new URL(text), MAX_REDIRECTS);
  if (scheme === 'ftp') {
    throw configInvalid('a password is not fetched by ftp, which does not encrypt it: use https');
  }
  const file = scheme === 'file' ? Buffer.from(fileURLToPath(text)) : given;
  try {
    return Promise.resolve(readSmallFile(file, MAX_SOURCE_BYTES));
  } catch (error) {
    throw failedTo(`read the password file ${displayName(given)}`, error, 'useNamedFile');
  }
}

/** Fetches a password: by https, or by http from this machine only. Follows redirects, but never from https to http. */
async function fetchSource(url: URL, redirects: number): Promise<Buffer> {
  const shown = `${url.protocol}//${url.host}${url.pathname}`; // user and query are left out, since they may be secret
  if (url.protocol === 'http:' && !isLoopback(url.hostname.replaceAll(/[[\]]/g, ''))) {
    throw configInvalid(
      `a password is not fetched by http from ${url.host}, which does not encrypt it on the way: use https`,
    );
  }
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const web = url.protocol === 'https:' ? loadHttps() : loadHttp();
    web.get(url, { signal }, resolve).once('error', reject);
  }).catch((error: unknown) => {
    const why = systemReason(error, 'no answer');
    throw configInvalid(`cannot fetch the password from ${shown}: ${why}`);
  });
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    response.destroy();
    const next = new URL(headers.location, url);
    const isWorse = url.protocol === 'https:' && next.protocol !== 'https:';
    if (redirects === 0 || isWorse || !/^https?:$/.test(next.protocol)) {
      throw configInvalid(
        `cannot fetch the password from ${shown}: the redirection is not followed`,
      );
    }
    return fetchSource(next, redirects - 1);
  }
  if (statusCode !== 200) {
    response.destroy();
    throw configInvalid(`cannot fetch the password from ${shown}: status ${statusCode}`);
  }
  return readAll(response, shown);
}

async function readAll(stream: Readable, shown: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > MAX_SOURCE_BYTES) throw configInvalid(`${shown}: too long for a password`);
    }
  } catch (error) {
    if (error instanceof TardisError) throw error;
    throw configInvalid(
      `cannot read the password from ${shown}: ${systemReason(error, 'cut off')}`,
    );
  }
  return Buffer.concat(chunks);
}

/**
 * Runs a program that prints the password. The program gets this process's standard input and error, since it may
 * prompt on the terminal.
 */
async function runProgram([command, ...words]: readonly string[]): Promise<Buffer> {
  if (command === undefined) throw configInvalid('the command of the password program is empty');
  const child = spawn(command, words, { stdio: ['inherit', 'pipe', 'inherit'] });
  // A timeout of `spawn` would keep this process alive even if the program could not be started.
  const timer = setTimeout(() => child.kill(), PROGRAM_TIMEOUT_MS).unref();
  const output = readAll(child.stdout, command);
  const [[status]] = await Promise.all([once(child, 'close'), output]).catch((error: unknown) => {
    child.kill();
    if (error instanceof TardisError) throw error;
    throw configInvalid(`cannot run ${command} for the password: ${systemReason(error)}`);
  });
  clearTimeout(timer);
  if (status !== 0) throw configInvalid(`${command} gave no password: exit status ${status}`);
  return output;
}

export type MemorySettings = SettingsNamed<'passwordMemoryBytes'>;

/** Returns the parameters that stretch the password of new key records. */
export function stretchFor({ passwordMemoryBytes }: MemorySettings): StretchParameters {
  return stretchOf(passwordMemoryBytes);
}

/** Returns a line about the strength of a new password. */
export function strengthLine(password: Buffer, settings: MemorySettings): string {
  const { bits, word } = passwordStrength(password);
  const mib = stretchBytes(stretchFor(settings)) >> 20;
  const advice = bits < 56 ? '; several unrelated words are better' : '';
  return `The password is ${word}: about 2^${bits} guesses, each of which needs ${mib} MiB of memory${advice}.`;
}
