/**
 * Where passwords come from: the command line, the terminal, a file, a URL or a program. What is read
 * goes nowhere but into the call that needs it.
 */
import { spawn } from 'node:child_process';
import http from 'node:http';
import https from 'node:https';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import type { Found, Source } from '../config/index.js';
import { configInvalid } from '../config/index.js';
import { normalPassword, passwordStrength, STRETCH } from '../crypto/index.js';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { byteText, readSmallFile, textBytes } from '../system/index.js';
import { askSecret } from './terminal.js';

const MAX_PASSWORD_BYTES = 4096;
const MAX_SOURCE_BYTES = 64 << 10;
const FETCH_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
/** A program may ask somebody. */
const PROGRAM_TIMEOUT_MS = 300_000;

export interface PasswordSettings {
  readonly password: string | undefined;
  readonly passwordFile: Buffer | undefined;
  readonly passwordProg: readonly string[] | undefined;
}

/** The names of the three rows, which exclude each other. */
type Names = readonly [text: string, file: string, prog: string];

const PASSWORD: Names = ['password', 'passwordFile', 'passwordProg'];
const NEW_PASSWORD: Names = ['newPassword', 'newPasswordFile', 'newPasswordProg'];

/** A password that is there already, or to be asked for twice since a slip would lock its owner out. */
export interface AskOptions {
  readonly prompt: string;
  readonly isNew: boolean;
}

/**
 * The password the settings give; undefined when they give none. Throws CONFIG_INVALID for two of one
 * rank, PASSWORD_NEEDED when there is no terminal to ask on or what was read is empty.
 */
export function givenPassword(
  settings: PasswordSettings,
  found: ReadonlyMap<string, Found>,
  ask: AskOptions,
): Promise<Buffer | undefined> {
  return readPassword(settings, chosen(found, PASSWORD), ask);
}

/** The same for the new password of `sonic chpass`. */
export function givenNewPassword(
  settings: {
    readonly newPassword: string | undefined;
    readonly newPasswordFile: Buffer | undefined;
    readonly newPasswordProg: readonly string[] | undefined;
  },
  found: ReadonlyMap<string, Found>,
  ask: AskOptions,
): Promise<Buffer | undefined> {
  const { newPassword, newPasswordFile, newPasswordProg } = settings;
  const same = {
    password: newPassword,
    passwordFile: newPasswordFile,
    passwordProg: newPasswordProg,
  };
  return readPassword(same, chosen(found, NEW_PASSWORD), ask);
}

/** The password the settings give, or that of who sits at the terminal. Throws as the two that it calls. */
export async function requirePassword(
  ...[settings, found, ask]: Parameters<typeof givenPassword>
): Promise<Buffer> {
  return (await givenPassword(settings, found, ask)) ?? (await askPassword(ask));
}

/** The same of a new one. */
export async function requireNewPassword(
  ...[settings, found, ask]: Parameters<typeof givenNewPassword>
): Promise<Buffer> {
  return (await givenNewPassword(settings, found, ask)) ?? (await askPassword(ask));
}

type Kind = 'text' | 'file' | 'prog';
const KINDS: readonly Kind[] = ['text', 'file', 'prog'];
const RANKS: readonly Source[] = ['command line', 'configuration file'];

/** Which of the three counts: what the command line says wins over a file. */
function chosen(found: ReadonlyMap<string, Found>, names: Names): Kind | undefined {
  for (const rank of RANKS) {
    const given = KINDS.filter((_kind, index) => found.get(names[index]!)?.source === rank);
    if (given.length > 1) {
      const where = found.get(names[KINDS.indexOf(given[1]!)]!)!.where;
      throw configInvalid(`${where}: only one password can be given in one place`);
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

/** Asks on the terminal. Throws PASSWORD_NEEDED without one, INTERRUPTED at Ctrl-C. */
export async function askPassword(
  { prompt, isNew }: AskOptions,
  signal?: AbortSignal,
): Promise<Buffer> {
  const typed = normalPassword(await askSecret(`${prompt}: `, MAX_PASSWORD_BYTES, signal));
  if (!isNew) return typed;
  const again = normalPassword(await askSecret(`${prompt} once more: `, MAX_PASSWORD_BYTES));
  if (typed.equals(again)) return typed;
  throw new TardisError('PASSWORD_NEEDED', 'the two passwords are not the same');
}

/** Without its line end, and with nothing of the lines that follow. */
function firstLine(bytes: Buffer, shown: string): Buffer {
  const end = bytes.indexOf('\n');
  const line = end < 0 ? bytes : bytes.subarray(0, end);
  const bare = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  if (bare.length === 0) throw new TardisError('PASSWORD_NEEDED', `${shown}: no password in it`);
  if (bare.length > MAX_PASSWORD_BYTES) {
    throw configInvalid(`${shown}: a password has at most ${MAX_PASSWORD_BYTES} bytes`);
  }
  return normalPassword(bare);
}

function readSource(given: Buffer): Promise<Buffer> {
  const text = byteText(given);
  const scheme = /^([a-z][a-z0-9+.-]*):\/?\/?/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return fetchSource(new URL(text), MAX_REDIRECTS);
  if (scheme === 'ftp') {
    throw configInvalid('a password is not fetched by ftp, which shows it to everybody: use https');
  }
  const file = scheme === 'file' ? Buffer.from(fileURLToPath(text)) : given;
  try {
    return Promise.resolve(readSmallFile(file, MAX_SOURCE_BYTES));
  } catch (error) {
    const why = systemCode(error) ?? 'unknown';
    throw configInvalid(`cannot read the password file ${displayName(given)}: ${why}`, error);
  }
}

/** Follows redirections, though never from https to what everybody can read. */
async function fetchSource(url: URL, redirects: number): Promise<Buffer> {
  const shown = `${url.protocol}//${url.host}${url.pathname}`; // no user, no query: they may be secret
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const get = url.protocol === 'https:' ? https.get : http.get;
    get(url, { signal }, resolve).once('error', reject);
  }).catch((error: unknown) => {
    const why = systemCode(error) ?? 'no answer';
    throw configInvalid(`cannot fetch the password from ${shown}: ${why}`);
  });
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    response.destroy();
    const next = new URL(headers.location, url);
    const isWorse = url.protocol === 'https:' && next.protocol !== 'https:';
    if (redirects === 0 || isWorse || !/^https?:$/.test(next.protocol)) {
      throw configInvalid(
        `cannot fetch the password from ${shown}: a redirection that is not followed`,
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
      `cannot read the password from ${shown}: ${systemCode(error) ?? 'cut off'}`,
    );
  }
  return Buffer.concat(chunks);
}

/** It may ask on the terminal itself, so it has our standard input and error. */
async function runProgram([command, ...words]: readonly string[]): Promise<Buffer> {
  if (command === undefined) throw configInvalid('the program for the password has no name');
  const child = spawn(command, words, {
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  // Not spawn's own time-out, which keeps this process when the program could not be started.
  const timer = setTimeout(() => child.kill(), PROGRAM_TIMEOUT_MS).unref();
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const told = readAll(child.stdout, command);
  const [status] = await Promise.all([ended, told]).catch((error: unknown) => {
    child.kill();
    if (error instanceof TardisError) throw error;
    throw configInvalid(
      `cannot run ${command} for the password: ${systemCode(error) ?? 'unknown'}`,
    );
  });
  clearTimeout(timer);
  if (status !== 0) throw configInvalid(`${command} gave no password: it ended with ${status}`);
  return told;
}

/** How hard a new password is to guess, in a line. */
export function strengthLine(password: Buffer): string {
  const { bits, word } = passwordStrength(password);
  const mib = (128 * 2 ** STRETCH.logN * STRETCH.r) >> 20;
  const advice = bits < 56 ? '; some words that have nothing to do with each other are better' : '';
  return `The password is ${word}: about 2^${bits} guesses, each of which takes ${mib} MiB${advice}.`;
}
