/**
 * The exact bytes of the arguments and the environment. Node turns bytes that are not UTF-8 into U+FFFD in both.
 * This module returns them as *byte text*: a string in which each such byte is a lone surrogate (U+DC80 to
 * U+DCFF). `textBytes` turns byte text back into the original bytes.
 */
import { isUtf8 } from 'node:buffer';
import fs from 'node:fs';
import path from 'node:path';
import { ifPossible, requireSystemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';

const ESCAPE = 0xdc00;
/** Matches a surrogate without its other half. (The class \p{Surrogate} takes 8 ms to compile.) */
const STRAY = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const REPLACEMENT = '\ufffd';
const MAX_PROC_BYTES = 16 << 20;

/** Returns the byte text of any bytes. */
export function byteText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let text = '';
  for (let at = 0; at < buffer.length; ) {
    const length = sequenceLength(buffer, at);
    if (length === 0) text += String.fromCharCode(ESCAPE + buffer[at]!);
    else text += buffer.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return text;
}

/** Returns the length of the UTF-8 sequence that begins at `at`; 0 if the bytes there are not UTF-8. */
function sequenceLength(buffer: Buffer, at: number): number {
  const first = buffer[at]!;
  if (first < 0x80) return 1;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(buffer.subarray(at, at + length)) && at + length <= buffer.length ? length : 0;
}

/** Returns the bytes of a byte text. */
export function textBytes(text: string): Buffer {
  if (!hasStrayBytes(text)) return Buffer.from(text, 'utf8');
  const parts = Array.from(text, (character) =>
    isStray(character) ? Buffer.of(character.charCodeAt(0) - ESCAPE) : Buffer.from(character),
  );
  return Buffer.concat(parts);
}

/** Returns a path for Node's file calls, which would otherwise corrupt bytes that are not UTF-8. */
export function exactPath(path: string): string | Buffer {
  return hasStrayBytes(path) ? textBytes(path) : path;
}

/** True if a byte text contains bytes that are not UTF-8. */
export function hasStrayBytes(text: string): boolean {
  return STRAY.test(text);
}

function isStray(character: string): boolean {
  const code = character.charCodeAt(0);
  return character.length === 1 && code >= 0xdc80 && code <= 0xdcff;
}

/** Returns the arguments after the program's name, as byte texts. */
export function processArguments(): string[] {
  const lossy = process.argv.slice(2);
  if (!lossy.some((argument) => argument.includes(REPLACEMENT))) return lossy;
  const exact = procStrings('cmdline');
  return exact.length < lossy.length ? lossy : exact.slice(exact.length - lossy.length);
}

/** Returns the environment, as byte texts. */
export function processEnvironment(): Record<string, string | undefined> {
  const environment = { ...process.env };
  const isLossy = (text: string | undefined): boolean => text?.includes(REPLACEMENT) === true;
  if (!Object.values(environment).some(isLossy)) return environment;
  for (const line of procStrings('environ')) {
    const equals = line.indexOf('=');
    const name = line.slice(0, equals);
    if (equals > 0 && isLossy(environment[name])) environment[name] = line.slice(equals + 1);
  }
  return environment;
}

function procStrings(name: 'cmdline' | 'environ'): string[] {
  const bytes = readWhole(Buffer.from(`/proc/self/${name}`), MAX_PROC_BYTES);
  const strings = bytes.toString('latin1').split('\0');
  if (strings.at(-1) === '') strings.pop();
  return strings.map((latin1) => byteText(Buffer.from(latin1, 'latin1')));
}

/** Returns a path made absolute and without `.`, `..` and repeated slashes. It works on bytes. */
export function absolutePath(given: Uint8Array): Buffer {
  const latin1 = Buffer.from(given).toString('latin1');
  const base = path.posix.isAbsolute(latin1) ? '/' : workingDirectory().toString('latin1');
  return Buffer.from(path.posix.resolve(base, latin1), 'latin1');
}

function workingDirectory(): Buffer {
  const lossy = process.cwd();
  if (!lossy.includes(REPLACEMENT)) return Buffer.from(lossy);
  return fs.readlinkSync('/proc/self/cwd', { encoding: 'buffer' });
}

/**
 * Returns a path with all links resolved; undefined if the system cannot resolve it, for example since it does not
 * exist.
 */
export function realPathOf(file: Uint8Array): Buffer | undefined {
  return ifPossible(() => fs.realpathSync.native(Buffer.from(file), { encoding: 'buffer' }));
}

/** Error codes if a file does not exist, or this user may not know. */
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'EACCES'];

/** True if a path is a directory, or lies below it. Both are absolute and have no links; a `/` at the end does not count. */
export function isAtOrBelow(path: string, directory: string): boolean {
  return withSlash(path).startsWith(withSlash(directory));
}

/** True if a path lies below a directory. */
export function isBelow(path: string, directory: string): boolean {
  return isAtOrBelow(path, directory) && withSlash(path) !== withSlash(directory);
}

function withSlash(path: string): string {
  return path.replace(/\/?$/, '/');
}

/**
 * True if something has this name, also a link to something that is not there now: its disk may be mounted later. True if
 * the disk fails, too: opening the file reports the error.
 */
export function isThere(file: string): boolean {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    const code = requireSystemCode(error);
    return !ABSENT.includes(code);
  }
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');
/** Byte order marks of UTF-16, which are no UTF-8. */
const OTHER_MARKS: readonly Buffer[] = [Buffer.of(0xff, 0xfe), Buffer.of(0xfe, 0xff)];

/**
 * Returns the bytes of a text without the byte order mark that some editors put at its beginning. Throws CONFIG_INVALID
 * if the mark is one of UTF-16; `shown` is the name of the text in the error.
 */
export function withoutMark(bytes: Buffer, shown: string): Buffer {
  if (OTHER_MARKS.some((mark) => bytes.subarray(0, mark.length).equals(mark))) {
    throw new TardisError('CONFIG_INVALID', `${shown} is UTF-16: save it as UTF-8`);
  }
  const begins = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  return begins ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}

/** Name that stands for standard input. */
export const STANDARD_INPUT = '-';

/**
 * Reads a file of at most `maxBytes` that a user has written, without a byte order mark; `-` is standard input. Throws system errors unchanged,
 * EFBIG if the file is larger, EISDIR for a directory, and CONFIG_INVALID for UTF-16.
 */
export function readSmallFile(file: Uint8Array, maxBytes: number): Buffer {
  return withoutMark(readWhole(file, maxBytes), displayName(file));
}

function readWhole(file: Uint8Array, maxBytes: number): Buffer {
  const isGiven = byteText(file) === STANDARD_INPUT;
  // A pipe of another program may be a socket, which /dev/stdin cannot open.
  const fd = isGiven ? 0 : fs.openSync(Buffer.from(file), fs.constants.O_RDONLY);
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 << 10);
      const got = fs.readSync(fd, chunk, 0, chunk.length, null);
      if (got === 0) return Buffer.concat(chunks);
      bytes += got;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk.subarray(0, got));
    }
  } finally {
    if (!isGiven) fs.closeSync(fd);
  }
}

function tooLarge(maxBytes: number): Error {
  return Object.assign(new Error(`EFBIG: larger than ${maxBytes} bytes`), { code: 'EFBIG' });
}
