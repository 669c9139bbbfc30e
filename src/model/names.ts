/** Displays and joins names, which are bytes (any but `/` and NUL). */
import { isUtf8 } from 'node:buffer';
import { SLASH_BYTES } from './bytes.js';

/** Matches control characters, line separators, and characters that change the direction of text. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Maximum size of a name that is displayed in full. No real path is longer; only a hostile store can contain such a
 * name.
 */
const MAX_SHOWN_BYTES = 1 << 20;

/** Maximum size of the name of a user or a group, in messages and in stores; 256 bytes. */
export const MAX_OWNER_NAME_BYTES = 256;

/**
 * Returns a name as text for a terminal or log. Characters that a terminal would interpret, and bytes that are not
 * UTF-8, are escaped as `\xNN` or `\uNNNN`. A name over MAX_SHOWN_BYTES is cut off, and ends with `…`.
 */
export function displayName(name: Uint8Array): string {
  const isCut = name.byteLength > MAX_SHOWN_BYTES;
  const shownBytes = isCut ? MAX_SHOWN_BYTES : name.byteLength;
  const buffer = Buffer.from(name.buffer, name.byteOffset, shownBytes);
  const text = isUtf8(buffer) ? buffer.toString('utf8') : escapeHighBytes(buffer);
  const shown = text.replaceAll(OBEYED, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
  return isCut ? `${shown}…` : shown;
}

/** Returns a text that may come from a peer or a store as one line, escaped as a name is. */
export function displayLine(text: string): string {
  return displayName(Buffer.from(text));
}

/** Returns such a text, escaped for a terminal or log. Line breaks are kept. */
export function displayText(text: string): string {
  return text.split('\n').map(displayLine).join('\n');
}

function escapeHighBytes(buffer: Buffer): string {
  let text = '';
  for (const byte of buffer) {
    text += byte < 0x80 ? String.fromCodePoint(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

/**
 * Returns the JSON fields of a name: `name`, and also `nameBytes` (base64) if the name is not UTF-8. A name over
 * MAX_SHOWN_BYTES has only `name`, cut off.
 */
export function jsonName(name: Buffer): { name: string; nameBytes?: string } {
  if (name.length > MAX_SHOWN_BYTES) return { name: displayName(name) };
  return isUtf8(name)
    ? { name: name.toString('utf8') }
    : { name: displayName(name), nameBytes: name.toString('base64') };
}

export function joinPath(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 0) return name;
  if (directory.at(-1) === 0x2f) return Buffer.concat([directory, name]);
  return Buffer.concat([directory, SLASH_BYTES, name]);
}

/** True if a path lies below another one. */
export function liesBelow(path: Buffer, above: Buffer): boolean {
  const [parts, top] = [splitPath(path), splitPath(above)];
  return top.length < parts.length && top.every((part, index) => part.equals(parts[index]!));
}

/** Returns a path of nested names below a directory. */
export function pathBelow(directory: Buffer, names: readonly Buffer[]): Buffer {
  const parts = [directory];
  let last = directory;
  for (const name of names) {
    if (last.length > 0 && last.at(-1) !== SLASH_BYTES[0]) parts.push(SLASH_BYTES);
    parts.push(name);
    last = name;
  }
  return Buffer.concat(parts);
}

/** Returns the components of a path, except empty components and `.`. The caller must reject `..`. */
export function splitPath(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = 0; at <= path.length; at += 1) {
    if (at < path.length && path[at] !== 0x2f) continue;
    const part = path.subarray(start, at);
    if (part.length > 0 && !(part.length === 1 && part[0] === 0x2e)) parts.push(part);
    start = at + 1;
  }
  return parts;
}

/** Returns the path of the directory that an absolute path is in. */
export function directoryOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(1, path.lastIndexOf(SLASH_BYTES)));
}

export function lastComponent(path: Buffer): Buffer {
  return splitPath(path).at(-1) ?? Buffer.alloc(0);
}
