/** Converts the text of an option, variable or key into a value and back. All errors are CONFIG_INVALID. */
import { TardisError } from '../errors/index.js';
import { byteText, hasStrayBytes, textBytes } from '../system/index.js';
import { mustBe } from './invalid.js';
import type { ValueSpec } from './row.js';
import { otherPlaceBytes, placeBytes } from './store-place.js';
import { parseRates } from './rates.js';
import { formatSize, parseSize } from './sizes.js';
import { checkFileName, sourceCommand } from './source-commands.js';
import { splitList, splitWords } from './command-words.js';

export type Value = string | number | boolean | Buffer | readonly string[] | readonly Buffer[];

const TRUE = new Set(['1', 'yes', 'true', 'on']);
const FALSE = new Set(['0', 'no', 'false', 'off']);

/** True for a word that means no. */
export function isNo(text: string): boolean {
  return FALSE.has(text.trim().toLowerCase());
}

/**
 * Parses byte text according to its spec. `where` names the option or key in errors; `isInFile` is true for a key of a
 * file. Throws CONFIG_INVALID.
 */
export function parseValue(text: string, spec: ValueSpec, where: string, isInFile = false): Value {
  const trimmed = text.trim();
  switch (spec.type) {
    case 'path':
      return pathBytes(text, where);
    case 'paths':
      return splitList(text, where).map((word) => pathBytes(word, where));
    case 'place':
      return placeBytes(text, where, isInFile);
    case 'places':
      return splitList(text, where).map((word) => otherPlaceBytes(word, where, isInFile));
    case 'texts':
      return splitList(utf8(text, where), where);
    case 'commands':
      sourceCommand(utf8(text, where), where);
      return [text];
    case 'command':
      return splitWords(utf8(text, where), where);
    case 'text':
      return utf8(text, where); // not trimmed: it may be a path
    case 'name':
      checkFileName(utf8(text, where), where);
      return text;
    case 'bool': {
      const word = trimmed.toLowerCase();
      if (TRUE.has(word)) return true;
      if (FALSE.has(word)) return false;
      throw mustBe(where, text, 'yes or no');
    }
    case 'choice':
      if (spec.choices?.includes(trimmed) === true) return trimmed;
      throw mustBe(where, text, oneOf(spec, trimmed));
    case 'rates':
      parseRates(trimmed, where);
      return trimmed;
    case 'size':
      return bounded(parseSize(trimmed, where), spec, where, text);
    case 'mode':
      if (!/^[0-7]{1,5}$/.test(trimmed)) throw mustBe(where, text, 'an octal number');
      return bounded(Number.parseInt(trimmed, 8), spec, where, text);
    case 'int':
    case 'count':
    case 'seconds': {
      const isNumber = spec.type === 'seconds' ? /^\d{1,9}(\.\d{1,3})?$/ : /^-?\d{1,15}$/;
      if (!isNumber.test(trimmed)) throw mustBe(where, text, 'a number');
      return bounded(Number(trimmed), spec, where, text);
    }
  }
}

/**
 * Returns the value of an option that may be repeated: all texts of a list, unchanged, or the last text of
 * any other type. Throws CONFIG_INVALID.
 */
export function parseGiven(texts: readonly string[], spec: ValueSpec, where: string): Value {
  if (spec.type === 'paths') return texts.map((text) => pathBytes(text, where));
  if (spec.type === 'places') return texts.map((text) => otherPlaceBytes(text, where, false));
  if (spec.type === 'texts') return texts.map((text) => utf8(text, where));
  if (spec.type === 'commands') {
    return texts.flatMap((text) => parseValue(text, spec, where) as readonly string[]);
  }
  return parseValue(texts.at(-1) ?? '', spec, where);
}

/** Formats a value as it would be written in a file (byte text). */
export function formatValue(value: Value, spec: ValueSpec): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') {
    if (spec.type === 'size') return formatSize(value);
    return spec.type === 'mode' ? value.toString(8).padStart(3, '0') : String(value);
  }
  if (Buffer.isBuffer(value)) return byteText(value);
  return value.map((item) => quoted(typeof item === 'string' ? item : byteText(item))).join(' ');
}

/** Quotes a word for `splitList` and `splitWords`. */
function quoted(word: string): string {
  return /^[^\s,'"\\#]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}

function oneOf(spec: ValueSpec, given: string): string {
  const choices = `one of ${spec.choices?.join(', ') ?? ''}`;
  const instead = Object.entries(spec.refused ?? {}).find(([choice]) => choice === given)?.[1];
  return instead === undefined ? choices : `${choices}: ${instead}`;
}

function utf8(text: string, where: string): string {
  if (hasStrayBytes(text)) throw new TardisError('CONFIG_INVALID', `${where} must be UTF-8`);
  return text;
}

function pathBytes(text: string, where: string): Buffer {
  const bytes = textBytes(text);
  if (bytes.includes(0)) throw mustBe(where, text, 'a path without NUL');
  return bytes;
}

function bounded(value: number, spec: ValueSpec, where: string, text: string): number {
  const show = (limit: number): string => formatValue(limit, spec);
  const [min, max] = spec.range ?? [-Infinity, Infinity];
  if (value < min) throw mustBe(where, text, `≥ ${show(min)}`);
  if (value > max) throw mustBe(where, text, `≤ ${show(max)}`);
  return value;
}
