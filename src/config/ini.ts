/**
 * Reads configuration files in the format of Python's configparser: `[section]`, `key = value` or `key: value`,
 * whole-line comments with `#` or `;`, and indented continuation lines. No package is used, because errors must name
 * the line, and because the available packages take an indented line for a key.
 */
import { failedTo, type TardisError } from '../errors/index.js';
import { byteText, readSmallFile, reportIfForeign, STANDARD_INPUT } from '../system/index.js';
import { configInvalid } from './invalid.js';
import { shownText } from './displayed-text.js';

const MAX_FILE_BYTES = 1 << 20;

export interface IniEntry {
  readonly key: string;
  /** Byte text; continuation lines are joined by line feeds. */
  readonly text: string;
  readonly line: number;
}

export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly IniEntry[];
}

/**
 * Reads a file with settings, and prints a warning if it is root's and another user can change it. Errors of reading call
 * it `what`. Throws CONFIG_INVALID with file and line, for example for a section or key that occurs twice.
 */
export function readIni(
  file: Uint8Array,
  shown: string,
  what = 'configuration file',
): IniSection[] {
  let bytes: Buffer;
  try {
    bytes = readSmallFile(file, MAX_FILE_BYTES);
  } catch (error) {
    throw failedTo(`read the ${what} ${shown}`, error, 'useNamedFile');
  }
  if (bytes.includes(0)) throw configInvalid(`${shown} is not a text file`);
  if (byteText(file) !== STANDARD_INPUT) reportIfForeign(file);
  return parseIni(byteText(bytes), shown);
}

/** Parses the text of a file; errors call the file `shown`. */
export function parseIni(text: string, shown: string): IniSection[] {
  const reader = new IniReader(shown);
  text.split(/\r?\n/).forEach((line, index) => reader.take(line, index + 1));
  return reader.sections;
}

class IniReader {
  readonly sections: IniSection[] = [];
  private readonly names = new Set<string>();
  private keys = new Set<string>();
  private entries: IniEntry[] = [];
  /**
   * Indentation of the last key; a line with more indentation continues its value. Infinity before the first key of a
   * section.
   */
  private indent = Infinity;

  constructor(private readonly shown: string) {}

  take(line: string, number: number): void {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith(';')) return;
    const indent = line.length - line.trimStart().length;
    if (indent > this.indent) this.continueValue(trimmed);
    else if (trimmed.startsWith('[')) this.beginSection(trimmed, number);
    else this.addEntry(trimmed, indent, number);
  }

  private continueValue(trimmed: string): void {
    const last = this.entries.pop()!;
    this.entries.push({ ...last, text: last.text === '' ? trimmed : `${last.text}\n${trimmed}` });
  }

  private beginSection(trimmed: string, line: number): void {
    const name = /^\[([^\]]+)\]$/.exec(trimmed)?.[1]?.trim();
    if (name === undefined) throw this.refuse(line, `"${shownText(trimmed)}" is not a section`);
    if (this.names.has(name.toLowerCase())) {
      throw this.refuse(line, `duplicate section [${shownText(name)}]`);
    }
    this.names.add(name.toLowerCase());
    this.keys = new Set();
    this.entries = [];
    this.indent = Infinity;
    this.sections.push({ name, line, entries: this.entries });
  }

  private addEntry(trimmed: string, indent: number, line: number): void {
    // A regular expression that looks for blanks before the sign takes quadratic time if there is no sign.
    const sign = trimmed.search(/[=:]/);
    const key = trimmed.slice(0, Math.max(0, sign)).trimEnd();
    if (key === '') {
      // The line may be a password whose sign is missing, so only its first word is shown.
      const shown = /^pass/i.test(trimmed) ? trimmed.replace(/\s.*$/s, ' …') : trimmed;
      throw this.refuse(line, `"${shownText(shown)}" is not of the form "key = value"`);
    }
    if (this.sections.length === 0) {
      throw this.refuse(line, `"${shownText(key)}" is outside a section`);
    }
    if (this.keys.has(key.toLowerCase())) {
      const section = this.sections.at(-1)!.name;
      throw this.refuse(line, `[${shownText(section)}] has "${shownText(key)}" twice`);
    }
    this.keys.add(key.toLowerCase());
    this.entries.push({ key, text: trimmed.slice(sign + 1).trimStart(), line });
    this.indent = indent;
  }

  private refuse(line: number, what: string): TardisError {
    return configInvalid(`${this.shown}:${line}: ${what}`);
  }
}
