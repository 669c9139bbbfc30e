/**
 * The text of a key file: key records with their wrapped keys, a section for each client, which others'
 * changes leave as it is, to the byte. docs/formats.md, "Key files". Texts are latin1, so that bytes stay.
 */
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { type KeyRecord, parseKeyRecord } from './key-record.js';

export const MAX_KEY_FILE_BYTES: number = 1 << 20;
const MAX_SECTIONS = 1024;
/** A change has two for a moment. */
const MAX_RECORDS = 4;
const FIRST_LINE = '# tardis key file 1';
const HEAD = `${FIRST_LINE}
# The keys of backups, wrapped by their passwords. If it is lost, nobody can read those backups any more.

`;
const LINE_CHARS = 76;
const MAX_SHOWN_CHARS = 80;

const SECTION = /^\[([^\]]*)\]\s*$/;
const KEYS = /^keys\s*=\s*([0-9a-f]{32})\s*$/;
const RECORD = /^record\s+(\d{1,10})\s*$/;
const ARMOUR = /^[ \t]+([A-Za-z0-9+/]+={0,2})\s*$/;

interface Section {
  /** What the client was called when it was written. */
  readonly name: string;
  /** Undefined where it says none, being damaged. */
  readonly keysetId: string | undefined;
  readonly text: string;
}

export class KeyFileText {
  /** How the file is called in errors. */
  private readonly file: string;
  private readonly head: string;
  private readonly sections: readonly Section[];

  private constructor(file: string, head: string, sections: readonly Section[]) {
    this.file = file;
    this.head = head;
    this.sections = sections;
  }

  /**
   * Takes an empty file for one without sections; `file` is its name in errors. Throws KEY_FILE_INVALID
   * for what is no key file.
   */
  static parse(bytes: Uint8Array, file: string): KeyFileText {
    if (bytes.length === 0) return new KeyFileText(file, HEAD, []);
    if (bytes.length > MAX_KEY_FILE_BYTES) throw invalid(file, 'is too large for a key file');
    const text = Buffer.from(bytes).toString('latin1');
    if (text.includes('\0')) throw invalid(file, 'is no text');
    const [head = '', ...sections] = text.split(/^(?=\[)/m);
    const first = /^[^\r\n]*/.exec(head)?.[0].trimEnd();
    if (first !== FIRST_LINE) throw invalid(file, `does not begin with "${FIRST_LINE}"`);
    if (sections.length > MAX_SECTIONS) throw invalid(file, 'has too many sections');
    return new KeyFileText(file, head, sections.map(sectionOf));
  }

  /**
   * The records of some keys, oldest first; none if they are not there. Throws KEY_FILE_INVALID for a
   * section that is damaged.
   */
  find(keysetId: Buffer): KeyRecord[] {
    const id = keysetId.toString('hex');
    const found = this.sections.filter((section) => section.keysetId === id);
    const [section] = found;
    if (section === undefined) return [];
    const refuse = (why: string): TardisError =>
      invalid(this.file, `has a section [${shown(section.name)}] ${why}`);
    if (found.length > 1) throw refuse('that is there twice');
    return recordsIn(section, id, refuse);
  }

  /** Why the keys of a client are not found, in words. */
  lack(client: string): string {
    const named = this.sections.filter(({ name }) => name === client);
    if (named.length === 0) return `has no section of "${client}"`;
    if (named.some(({ keysetId }) => keysetId === undefined)) {
      return `has a damaged section [${client}]`;
    }
    return `has a section [${client}] of other keys: of another store, or of a client that was made anew`;
  }

  /**
   * The file with these records as all that there is of their keys, in the place of the old section or at
   * the end. Throws KEY_FILE_INVALID when it becomes too large, or has a damaged section of the same keys.
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

  /** The file without the section of some keys. */
  without(keysetId: Buffer): Buffer {
    const id = keysetId.toString('hex');
    return this.joined(this.sections.flatMap((old) => (old.keysetId === id ? [] : [old.text])));
  }

  private joined(texts: readonly string[]): Buffer {
    const whole = [this.head, ...texts].reduce((before, text) => {
      const isOpen = before.length > 0 && !before.endsWith('\n'); // an editor left out the last line end
      return `${before}${isOpen ? '\n' : ''}${text}`;
    }, '');
    if (whole.length > MAX_KEY_FILE_BYTES) throw invalid(this.file, 'would become too large');
    return Buffer.from(whole, 'latin1');
  }
}

/** A key file with one record and nothing else. */
export function keyFileText(client: string, record: KeyRecord): Buffer {
  return KeyFileText.parse(Buffer.alloc(0), client).with(client, [record]);
}

function sectionOf(text: string): Section {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const name = SECTION.exec(first)?.[1]?.trim() ?? '';
  const ids = lines.flatMap((line) => KEYS.exec(line)?.[1] ?? []);
  return { name, keysetId: ids.length === 1 ? ids[0] : undefined, text };
}

/** Every line of a section means something, or is empty or a comment. */
function recordsIn(
  { text }: Section,
  keysetId: string,
  refuse: (why: string) => TardisError,
): KeyRecord[] {
  const found: { number: number; base64: string }[] = [];
  for (const line of text.split(/\r?\n/).slice(1)) {
    if (/^\s*(#|$)/.test(line) || KEYS.test(line)) continue;
    const number = RECORD.exec(line)?.[1];
    const armour = ARMOUR.exec(line)?.[1];
    const last = found.at(-1);
    if (number !== undefined) found.push({ number: Number(number), base64: '' });
    else if (armour !== undefined && last !== undefined) last.base64 += armour;
    else throw refuse('with a line that has no place in it');
  }
  if (found.length === 0 || found.length > MAX_RECORDS) {
    throw refuse(`with ${found.length} key records`);
  }
  const records = found.map(({ number, base64 }) => {
    const record = recordOf(base64);
    const isRight =
      record?.hasKeys === true &&
      record.number === number &&
      record.keysetId.toString('hex') === keysetId;
    if (!isRight) throw refuse(`whose key record ${number} is damaged`);
    return record;
  });
  return records.sort((a, b) => a.number - b.number);
}

/** Undefined for what is damaged. Throws STORE_NEWER for a kind that is not known. */
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
    return [`record ${number}`, ...lines.map((line) => `  ${line}`)].join('\n');
  });
  return `[${client}]\nkeys = ${id}\n${shownRecords.join('\n')}\n\n`;
}

function shown(latin1: string): string {
  return displayName(Buffer.from(latin1.slice(0, MAX_SHOWN_CHARS), 'latin1'));
}

function invalid(file: string, why: string): TardisError {
  return new TardisError('KEY_FILE_INVALID', `the key file ${file} ${why}`);
}
