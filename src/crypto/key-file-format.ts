/**
 * Reads and writes the text of a key file: a section for each client, with its key records and their wrapped keys. A
 * change to one section leaves the others as they are, byte for byte. See docs/inside/formats.md, "Key files". Texts are
 * decoded as latin1, which keeps all bytes.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { type KeyRecord, parseKeyRecord } from './key-record.js';
import { describeTypingErrors, type TypedLine } from './typing-errors.js';

export const MAX_KEY_FILE_BYTES: number = 1 << 20;
const MAX_SECTIONS = 1024;
/** Maximum number of records in a section. A section has two while a key record is being replaced. */
const MAX_RECORDS = 4;
const FIRST_LINE = '# tardis key file 1';
const HEAD = `${FIRST_LINE}
# The keys of backups, wrapped by their passwords. If they are lost,
# nobody can read those backups any more.

`;
const LINE_CHARS = 64;
const MAX_SHOWN_CHARS = 80;

/**
 * Patterns of the lines of a key file. They accept any number of blanks before a line, since a person may have typed
 * it from paper.
 */
const SECTION = /^[ \t]*\[([^\]]*)\]\s*$/;
const KEYS = /^[ \t]*keys\s*=\s*([0-9a-f]{32})\s*$/;
const RECORD = /^[ \t]*record\s+(\d{1,10})\s*$/;
const ARMOUR = /^[ \t]*([A-Za-z0-9+/]+={0,2})(?:\s+#([0-9a-f]{4}))?\s*$/;
const SUM_DIGITS = 4;

interface Section {
  /** Name of the client when the section was written. */
  readonly name: string;
  /** Id of the key set; undefined if the section has no id, or more than one. The section is then damaged. */
  readonly keysetId: string | undefined;
  readonly text: string;
}

export class KeyFileText {
  private constructor(
    /** Name of the file in error messages. */
    private readonly file: string,
    private readonly head: string,
    private readonly sections: readonly Section[],
  ) {}

  /**
   * Parses a key file; `file` is its name in errors. An empty file has no sections. Throws KEY_FILE_INVALID if
   * `bytes` are not a key file.
   */
  static parse(bytes: Uint8Array, file: string): KeyFileText {
    if (bytes.length === 0) return new KeyFileText(file, HEAD, []);
    if (bytes.length > MAX_KEY_FILE_BYTES) throw invalid(file, 'is too large for a key file');
    const text = Buffer.from(bytes).toString('latin1');
    if (text.includes('\0')) throw invalid(file, 'is not a text file');
    const [head = '', ...sections] = text.split(/^(?=[ \t]*\[)/m);
    const first = head.trimStart().split('\n', 1)[0]!.trimEnd();
    if (first !== FIRST_LINE) throw invalid(file, `does not begin with "${FIRST_LINE}"`);
    if (sections.length > MAX_SECTIONS) throw invalid(file, 'has too many sections');
    return new KeyFileText(file, head, sections.map(sectionOf));
  }

  /**
   * Returns the records of a key set, oldest first; none if the file has no section for it. Throws KEY_FILE_INVALID
   * if the section is damaged or occurs twice.
   */
  find(keysetId: Buffer): KeyRecord[] {
    const id = keysetId.toString('hex');
    const found = this.sections.filter((section) => section.keysetId === id);
    const [section] = found;
    if (section === undefined) return [];
    const refuse = (why: string): TardisError =>
      invalid(this.file, `has a section [${shown(section.name)}] ${why}`);
    if (found.length > 1) throw refuse('twice');
    return recordsIn(section, id, refuse);
  }

  /**
   * Returns the newest record in the section of a client, for a store that has lost its own records. If no section has
   * that name, a file with only one section matches any client. Returns undefined if no section matches, if several do,
   * or if the section has not exactly one id. Throws KEY_FILE_INVALID if the section is damaged.
   */
  newestOf(client: string): KeyRecord | undefined {
    const named = this.sections.filter(({ name }) => name === client);
    const found = named.length === 0 ? this.sections : named;
    const id = found.length === 1 ? found[0]!.keysetId : undefined;
    return id === undefined ? undefined : this.find(Buffer.from(id, 'hex')).at(-1);
  }

  /** Returns the reason why the keys of a client are not found, as a phrase for a message. */
  lack(client: string): string {
    const named = this.sections.filter(({ name }) => name === client);
    if (named.length === 0) return `has no section of "${client}"`;
    if (named.some(({ keysetId }) => keysetId === undefined)) {
      return `has a damaged section [${client}]`;
    }
    return `has a section [${client}] with other keys: from another store, from a client that was created again, or from before \`sonic rekey\`, \`sonic forget-path\` or \`sonic encrypt\``;
  }

  /**
   * Returns the text of the file with these records as the only ones of their key set. They replace the old section,
   * or are appended. Throws KEY_FILE_INVALID if the file would become too large, or if the old section is damaged.
   */
  with(client: string, records: readonly [KeyRecord, ...KeyRecord[]]): Buffer {
    const id = records[0].keysetId.toString('hex');
    const isThere = this.find(records[0].keysetId).length > 0;
    const fresh = sectionText(client, id, records);
    const texts = this.sections.map((old) => (old.keysetId === id ? fresh : old.text));
    if (!isThere) texts.push(fresh);
    if (texts.length > MAX_SECTIONS) throw invalid(this.file, 'has too many sections');
    return this.joined(texts);
  }

  /** Returns the file without the section of a key set. */
  without(keysetId: Buffer): Buffer {
    const id = keysetId.toString('hex');
    return this.joined(this.sections.flatMap((old) => (old.keysetId === id ? [] : [old.text])));
  }

  private joined(texts: readonly string[]): Buffer {
    const whole = [this.head, ...texts].reduce((before, text) => {
      const isOpen = before.length > 0 && !before.endsWith('\n'); // an editor dropped the last newline
      return `${before}${isOpen ? '\n' : ''}${text}`;
    }, '');
    if (whole.length > MAX_KEY_FILE_BYTES) throw invalid(this.file, 'would become too large');
    return Buffer.from(whole, 'latin1');
  }
}

/** Returns a key file that contains one record only. */
export function keyFileText(client: string, record: KeyRecord): Buffer {
  return KeyFileText.parse(Buffer.alloc(0), client).with(client, [record]);
}

function sectionOf(text: string): Section {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const name = SECTION.exec(first)?.[1]?.trim() ?? '';
  const ids = lines.flatMap((line) => KEYS.exec(line)?.[1] ?? []);
  return { name, keysetId: ids.length === 1 ? ids[0] : undefined, text };
}

/**
 * Parses the records of a section, oldest first. Throws the error of `refuse` if a record is damaged, or if a line is
 * not a record, a part of a record, an id, a comment or empty.
 */
function recordsIn(
  { text }: Section,
  keysetId: string,
  refuse: (why: string) => TardisError,
): KeyRecord[] {
  const found: { number: number; base64: string; lines: TypedLine[] }[] = [];
  for (const line of text.split(/\r?\n/).slice(1)) {
    if (/^\s*(#|$)/.test(line) || KEYS.test(line)) continue;
    const number = RECORD.exec(line)?.[1];
    const [, armour, sum] = ARMOUR.exec(line) ?? [];
    const last = found.at(-1);
    if (number !== undefined) found.push({ number: Number(number), base64: '', lines: [] });
    else if (armour === undefined || last === undefined) {
      throw refuse(`with an unexpected line: "${shown(line.trim())}"`);
    } else if (sum !== undefined && sum !== sumOf(last.base64, armour)) {
      throw refuse(`with a line that does not match its checksum #${sum}: "${shown(armour)}"`);
    } else {
      last.lines.push({ base64: armour, hasSum: sum !== undefined });
      last.base64 += armour;
    }
  }
  if (found.length === 0 || found.length > MAX_RECORDS) {
    throw refuse(`with ${found.length} key records`);
  }
  const records = found.map(({ number, base64, lines }) => {
    const record = recordOf(base64);
    if (record === undefined) {
      const slip = describeTypingErrors(lines, LINE_CHARS, shown);
      throw refuse(`whose key record ${number} is damaged${slip === undefined ? '' : `: ${slip}`}`);
    }
    if (record.number !== number)
      throw refuse(`with a line "record ${number}" that should be "record ${record.number}"`);
    const isRight = record.hasKeys && record.keysetId.toString('hex') === keysetId;
    if (!isRight) throw refuse(`whose key record ${number} is damaged`);
    return record;
  });
  return records.sort((a, b) => a.number - b.number);
}

/** Decodes one record; undefined if it is damaged. Throws STORE_NEWER if its kind is unknown. */
function recordOf(base64: string): KeyRecord | undefined {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) return undefined;
  try {
    return parseKeyRecord(bytes);
  } catch (error) {
    if (error instanceof TardisError && error.code === 'KEYS_DAMAGED') return undefined;
    throw error;
  }
}

function sectionText(client: string, id: string, records: readonly KeyRecord[]): string {
  const shownRecords = records.map(({ number, bytes }) => {
    const base64 = bytes.toString('base64');
    const lines = base64.match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [];
    const summed = lines.map((line, index) => {
      const before = base64.slice(0, index * LINE_CHARS);
      return `  ${line} #${sumOf(before, line)}`;
    });
    return [`record ${number}`, ...summed].join('\n');
  });
  return `[${client}]\nkeys = ${id}\n${shownRecords.join('\n')}\n\n`;
}

/**
 * Returns the checksum of a line and of the length of the record before it. It reveals which line of a typed sheet is
 * wrong or left out.
 */
function sumOf(before: string, line: string): string {
  const hash = createHash('sha256').update(`${before.length} ${line}`);
  return hash.digest('hex').slice(0, SUM_DIGITS);
}

function shown(latin1: string): string {
  return displayName(Buffer.from(latin1.slice(0, MAX_SHOWN_CHARS), 'latin1'));
}

function invalid(file: string, why: string): TardisError {
  return new TardisError('KEY_FILE_INVALID', `the key file ${file} ${why}`);
}
