/** `TARDIS_LS_COLORS`: styles of what lstardis prints, such as `header=bold:directory=blue,bold`. */
import { inspect } from 'node:util';
import { configInvalid } from '../config/index.js';

const PARTS = ['header', 'directory', 'link', 'file', 'other'] as const;
export type ColorPart = (typeof PARTS)[number];

/** The escape codes that begin and end a style. */
type Style = readonly [begin: number, end: number];

/** Gives a text the style of its part. */
export type Paint = (part: ColorPart, text: string) => string;

/** `isWanted` undefined: on a terminal. Throws CONFIG_INVALID for a part or style that is none. */
export function painter(spec: string, isWanted: boolean | undefined): Paint {
  const styles = new Map<string, Style[]>();
  for (const item of spec.split(':').filter((part) => part.trim() !== '')) {
    const [part = '', ...names] = item.split(/[=,]/).map((word) => word.trim());
    if (!PARTS.some((known) => known === part)) {
      throw configInvalid(`TARDIS_LS_COLORS: "${part}" is no part: ${PARTS.join(', ')}`);
    }
    styles.set(part, names.filter((name) => name !== '').map(styleOf));
  }
  if (!(isWanted ?? process.stdout.isTTY)) return (_part, text) => text;
  return (part, text) =>
    (styles.get(part) ?? []).reduce(
      (inner, [begin, end]) => `\u001b[${begin}m${inner}\u001b[${end}m`,
      text,
    );
}

function styleOf(name: string): Style {
  const style = Object.hasOwn(inspect.colors, name) ? inspect.colors[name] : undefined;
  if (style !== undefined) return style;
  throw configInvalid(
    `TARDIS_LS_COLORS: "${name}" is no style; there are ${Object.keys(inspect.colors).join(', ')}`,
  );
}
