/** Reads repositories of Borg 1 by borg itself. */
import { isUtf8 } from 'node:buffer';
import type { ErrorCode } from '../errors/index.js';
import { BorgItems, directoriesOf } from './borg-items.js';
import type { Program } from './programs.js';
import { type Archive, Repository } from './repository.js';
import type { StatePlace } from './state-place.js';

interface BorgList {
  readonly archives: readonly {
    readonly name: string;
    readonly start: string;
    readonly hostname?: string;
  }[];
}

/** Names outside of ASCII come as they are, and dates in UTC, whatever the language and the zone of the user. */
const ENV = { LC_ALL: 'C.UTF-8', TZ: 'UTC' };
const HAS_ZONE = /(?:Z|[+-]\d\d:\d\d)$/;
/** Exit status of Borg after warnings, such as an attribute that this file system cannot hold. */
const WARNED = 1;
/** Patterns that Borg has to try on each item. With more, all is extracted. */
const MOST_EXPRESSIONS = 500;
/** Roots of a set. An archive of more has those of its first directories. */
const MOST_ROOTS = 64;
const CONTROLS = /\p{Cc}/u;
const MAX_UTF8_BYTES = 4;
/** Python's code for a byte that is not UTF-8. */
const STRAY_BYTE = 0xdc00;

export class Borg extends Repository {
  protected readonly passwordVariables = [
    'BORG_PASSPHRASE',
    'BORG_PASSCOMMAND',
    'BORG_PASSPHRASE_FD',
  ] as const;
  /** The items of the archive that was listed last. */
  private listed: { readonly id: string; readonly items: BorgItems } | undefined;

  protected list(): Program {
    const words = ['borg', 'list', '--json', '--format={hostname}', literal(this.repository)];
    return { words, what: `list ${this.repository}`, env: ENV, failure: failureOf };
  }

  archivesIn(listed: unknown): Archive[] {
    return (listed as BorgList).archives.map(({ name, start, hostname = '' }) => ({
      id: name,
      dateMs: Date.parse(HAS_ZONE.test(start) ? start : `${start}Z`),
      name,
      host: hostname,
    }));
  }

  async rootsOf({ id }: Archive): Promise<Buffer[]> {
    const roots = (await this.itemsOf(id)).roots();
    return roots.length > MOST_ROOTS ? [] : roots.map(bytesOf);
  }

  protected async restoreAll(id: string, place: StatePlace): Promise<void> {
    await this.programs.run(this.extract(id), place.directory);
  }

  /** Removes what differs, and extracts that, with the directories above. */
  async change(
    { from, to }: { readonly from: string; readonly to: string },
    place: StatePlace,
  ): Promise<boolean> {
    const before = await this.itemsOf(from);
    const after = await this.itemsOf(to);
    if (after.tops().join('\0') !== before.tops().join('\0')) return false;
    const changed = after.differing(before);
    const gone = before.paths().filter((path) => !after.has(path));
    const stays = (path: string): boolean =>
      [before, after].every((items) => items.get(path)?.isDirectory === true);
    // Borg adds attributes to a directory that is there, and removes none.
    const keepsAttributes = (path: string): boolean =>
      before.get(path)?.attributes === after.get(path)?.attributes;
    if (!changed.every((path) => !stays(path) || keepsAttributes(path))) return false;
    const removed = [...gone, ...changed].filter((path) => !stays(path));
    // Borg makes an empty directory anew, so the times of each directory above may change.
    const above = [...gone, ...changed].flatMap(directoriesOf).filter((path) => after.has(path));
    const touched = [...above, ...changed];
    const patterns = [...new Set(touched)].map((path) => patternFor(bytesOf(path)));
    if (patterns.filter((one) => one.startsWith('+ re:')).length > MOST_EXPRESSIONS) return false;
    if (!place.remove(removed.map(bytesOf))) return false;
    const file = place.fileBeside('patterns', `${[...patterns, '- re:.*'].join('\n')}\n`);
    await this.programs.run(this.extract(to, '--patterns-from', file), place.directory);
    return changed.every((path) => place.has(bytesOf(path)));
  }

  private extract(id: string, ...how: readonly string[]) {
    const words = ['borg', 'extract', '--numeric-ids', ...how, this.placeOf(id)];
    const report = (messages: string): void => void this.warnings.push(...messages.split('\n'));
    const partly = { status: WARNED, report };
    return { words, what: `restore ${id} of ${this.repository}`, env: ENV, partly };
  }

  private placeOf(id: string): string {
    return literal(`${this.repository}::${id}`);
  }

  /** Returns the items of an archive, which are kept until another one is listed. */
  private async itemsOf(id: string): Promise<BorgItems> {
    if (this.listed?.id === id) return this.listed.items;
    const items = new BorgItems();
    const words = ['borg', 'debug', 'dump-archive', this.placeOf(id), '-'];
    const take = (chunk: Buffer): void => items.push(chunk);
    await this.programs.run({ words, what: `list ${id} of ${this.repository}`, env: ENV, take });
    items.end();
    this.listed = { id, items };
    return items;
  }
}

/** Returns a text in which Borg finds no placeholder. */
function literal(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&');
}

/** Returns the code for a failure of Borg, which ends with 2 for each. */
function failureOf(_status: number | null, messages: string): ErrorCode {
  if (/passphrase .*is incorrect/i.test(messages)) return 'LOGIN_FAILED';
  const isUnknown = /does not exist|not a valid repository/i.test(messages);
  return isUnknown ? 'IMPORT_SOURCE_UNKNOWN' : 'IMPORT_SOURCE_DAMAGED';
}

/** Returns the bytes of a path of `BorgItems`. */
function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Returns the line that makes Borg extract the item of a path, and nothing below it. */
function patternFor(path: Buffer): string {
  const text = path.toString('utf8');
  const isPlain = isUtf8(path) && !CONTROLS.test(text) && text.trim() === text;
  return isPlain ? `+ pf:${text}` : `+ re:^${escaped(path)}\\Z`;
}

/** Returns a path as codes of characters, as Python has it: a byte that is not UTF-8 is a character of its own. */
function escaped(path: Buffer): string {
  let codes = '';
  for (let at = 0; at < path.length; ) {
    const { code, bytes } = characterAt(path, at);
    codes += `\\U${code.toString(16).padStart(8, '0')}`;
    at += bytes;
  }
  return codes;
}

function characterAt(path: Buffer, at: number): { code: number; bytes: number } {
  for (let bytes = 1; bytes <= MAX_UTF8_BYTES; bytes += 1) {
    const character = path.subarray(at, at + bytes);
    if (isUtf8(character)) return { code: character.toString('utf8').codePointAt(0)!, bytes };
  }
  return { code: STRAY_BYTE + path[at]!, bytes: 1 };
}
