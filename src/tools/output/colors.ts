/** Colors of printed text, from `TARDIS_LS_COLORS` (`header=bold:directory=blue,bold`) and `LS_COLORS`. */
import { inspect } from 'node:util';
import { configInvalid } from '../../config/index.js';
import { type Entry, EntryType } from '../../model/index.js';
import { isDumb } from './terminal.js';

const EXECUTE = 0o111;
const PARTS = ['header', 'directory', 'link', 'file', 'executable', 'other', 'gone'] as const;
type ColorPart = (typeof PARTS)[number];

/**
 * Returns the text in a style of Node.js (`util.inspect.colors`), for example `bold`. Throws CONFIG_INVALID for another
 * name.
 */
export function styled(name: string, text: string): string {
  const [begin, end] = styleOf(name);
  return `\u001b[${begin}m${text}\u001b[${end}m`;
}

/** The escape codes that begin and end a style. */
type Style = readonly [begin: number, end: number];

type Styles = ReadonlyMap<string, readonly Style[]>;

/**
 * True if output is to be styled. The option `isRequested` decides if it is given. Otherwise only a terminal is styled,
 * unless it is dumb or NO_COLOR is set (https://no-color.org).
 */
export function showsColors(
  isRequested: boolean | undefined,
  { isTTY }: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if (isRequested !== undefined) return isRequested;
  return isTTY === true && (environment['NO_COLOR'] ?? '') === '' && !isDumb(environment);
}

/** Styles the text of a part, or the name of an entry. */
export interface Paint {
  part(part: ColorPart, text: string): string;
  entry(entry: Entry, text: string): string;
}

interface ColorChoice {
  /**
   * Styles of parts, as in `TARDIS_LS_COLORS`. If `isChosen`, the user has set them, and they take precedence over
   * `lsColors`.
   */
  readonly spec: string;
  readonly isChosen: boolean;
  readonly lsColors: string | undefined;
  /** True to style output, false not to; if undefined, `showsColors` decides by the terminal and the environment. */
  readonly isRequested: boolean | undefined;
}

const PLAIN: Paint = Object.freeze({
  part: (_part: ColorPart, text: string) => text,
  entry: (_entry: Entry, text: string) => text,
});

/** Returns the styles for this output. Throws CONFIG_INVALID for an unknown part or style. */
export function painter({ spec, isChosen, lsColors, isRequested }: ColorChoice): Paint {
  const styles = stylesOf(spec);
  if (!showsColors(isRequested, process.stdout, process.env)) return PLAIN;
  const codes = lsColors === undefined || lsColors === '' ? undefined : new LsColors(lsColors);
  const part = (name: ColorPart, text: string): string => inStyles(styles.get(name), text);
  return {
    part,
    entry: (entry, text) => {
      const own = partOf(entry);
      if (codes === undefined || (isChosen && styles.has(own))) return part(own, text);
      const code = codes.codeOf(entry);
      return code === undefined ? text : `\u001b[${code}m${text}\u001b[0m`;
    },
  };
}

function stylesOf(spec: string): Styles {
  const styles = new Map<string, Style[]>();
  for (const item of spec.split(':').filter((part) => part.trim() !== '')) {
    const [part = '', ...names] = item.split(/[=,]/).map((word) => word.trim());
    if (!PARTS.some((known) => known === part)) {
      throw configInvalid(`TARDIS_LS_COLORS: "${part}" is not one of ${PARTS.join(', ')}`);
    }
    styles.set(part, names.filter((name) => name !== '' && name !== 'none').map(styleOf));
  }
  return styles;
}

function inStyles(styles: readonly Style[] | undefined, text: string): string {
  return (styles ?? []).reduce(
    (inner, [begin, end]) => `\u001b[${begin}m${inner}\u001b[${end}m`,
    text,
  );
}

function partOf({ type, permissions }: Entry): ColorPart {
  if (type === EntryType.directory) return 'directory';
  if (type === EntryType.symlink) return 'link';
  if (type !== EntryType.file) return 'other';
  return (permissions & EXECUTE) === 0 ? 'file' : 'executable';
}

/**
 * Returns a style of Node.js by its name. `on_red` stands for `bgRed`, and other backgrounds are written likewise.
 * Throws CONFIG_INVALID for an unknown name.
 */
function styleOf(name: string): Style {
  const ground = /^on_(.)(.*)$/.exec(name);
  const known = ground === null ? name : `bg${ground[1]!.toUpperCase()}${ground[2]}`;
  const style = Object.hasOwn(inspect.colors, known) ? inspect.colors[known] : undefined;
  if (style !== undefined) return style;
  throw configInvalid(
    `TARDIS_LS_COLORS: "${name}" is not one of the styles ${Object.keys(inspect.colors).join(', ')}`,
  );
}

const MOST_CHARS = 64 << 10;
const CODES = /^[0-9;]{1,40}$/;
const SET_UID = 0o4000;
const SET_GID = 0o2000;
const STICKY = 0o1000;
const OTHERS_WRITE = 0o002;
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
