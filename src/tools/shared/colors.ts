/** Colors of printed text, from `TARDIS_LS_COLORS` (`header=bold:directory=blue,bold`) and `LS_COLORS`. */
import { inspect } from 'node:util';
import { configInvalid } from '../../config/index.js';
import { isDumb } from './terminal.js';
import { type Entry, EntryType } from '../../model/index.js';
import { LsColors } from './ls-colors.js';

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

const EXECUTE = 0o111;

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
