/** Parses `LS_COLORS`, as dircolors(1) prints it: terminal codes by type, permissions and suffixes of names. */
import { type Entry, EntryType } from '../../model/index.js';

const MOST_CHARS = 64 << 10;
const CODES = /^[0-9;]{1,40}$/;
const SET_UID = 0o4000;
const SET_GID = 0o2000;
const STICKY = 0o1000;
const OTHERS_WRITE = 0o002;
const EXECUTE = 0o111;
const BY_TYPE: Readonly<Record<number, string>> = {
  [EntryType.symlink]: 'ln',
  [EntryType.fifo]: 'pi',
  [EntryType.socket]: 'so',
  [EntryType.characterDevice]: 'cd',
  [EntryType.blockDevice]: 'bd',
};

type Colored = Pick<Entry, 'name' | 'type' | 'permissions'>;

export class LsColors {
  private readonly codes = new Map<string, string>();
  /** Codes by suffix. Suffixes that begin with a dot are in this map; the others are in a list, longest first. */
  private readonly dotted = new Map<string, string>();
  private readonly others: [ending: string, code: string][] = [];

  /** Parses the variable. Ignores items that are not understood, and the whole text if it is too long. */
  constructor(text: string) {
    if (text.length > MOST_CHARS) return;
    for (const item of text.split(':')) {
      const equals = item.lastIndexOf('=');
      const [key, code] = [item.slice(0, equals), item.slice(equals + 1)];
      if (equals <= 0 || !CODES.test(code)) continue;
      if (!key.startsWith('*')) this.codes.set(key, code);
      else if (key.startsWith('*.')) this.dotted.set(key.slice(1), code);
      else this.others.push([key.slice(1), code]);
    }
    this.others.sort(([one], [other]) => other.length - one.length);
  }

  /** Returns the codes for an entry; undefined if it has no color. */
  codeOf(entry: Colored): string | undefined {
    for (const key of keysOf(entry)) {
      const code = this.codes.get(key);
      if (code !== undefined) return code;
    }
    if (entry.type !== EntryType.file) return undefined;
    return this.byEnding(entry.name.toString('latin1')) ?? this.codes.get('fi');
  }

  private byEnding(name: string): string | undefined {
    for (let at = name.indexOf('.'); at >= 0; at = name.indexOf('.', at + 1)) {
      const code = this.dotted.get(name.slice(at));
      if (code !== undefined) return code;
    }
    return this.others.find(([ending]) => name.endsWith(ending))?.[1];
  }
}

/** Returns the keys that apply to an entry, most specific first. */
function keysOf({ type, permissions }: Colored): string[] {
  const has = (bits: number): boolean => (permissions & bits) !== 0;
  if (type === EntryType.directory) {
    const isSticky = has(STICKY);
    const isOpen = has(OTHERS_WRITE);
    const special = isSticky && isOpen ? ['tw'] : isOpen ? ['ow'] : isSticky ? ['st'] : [];
    return [...special, 'di'];
  }
  if (type !== EntryType.file) return [BY_TYPE[type] ?? ''];
  return [
    ...(has(SET_UID) ? ['su'] : []),
    ...(has(SET_GID) ? ['sg'] : []),
    ...(has(EXECUTE) ? ['ex'] : []),
  ];
}
