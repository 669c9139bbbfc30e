/**
 * Small trees with rule files, generated from a seed: odd names, and patterns that are likely to match them.
 * Names and patterns are bytes as latin1 strings.
 */
import fs from 'node:fs';

export interface RuleTree {
  /** Paths of all entries beneath the top, directories before their content. */
  readonly paths: readonly string[];
}

const NAMES = [
  'a',
  'b',
  'ab',
  'A',
  'a.o',
  'b.o',
  'foo',
  'foobar',
  'bar',
  '.x',
  '.x.o',
  'a b',
  'a ',
  ' a',
  '#a',
  '!a',
  '\\a',
  'a\\',
  '[a]',
  '*',
  'a*',
  '**',
  '?',
  '-',
  ']',
  '^',
  'a-b',
  'build',
  'Build',
  '\u00c3\u00a9',
  '\u00ff',
  '\u00e9x',
  'x\u0080',
  '0',
  'a1',
  '\t',
  '~',
  '{a,b}',
  'a,b',
  '_',
  'a\r',
  'b\n',
];
const CLASSES = [
  'alnum',
  'alpha',
  'blank',
  'cntrl',
  'digit',
  'graph',
  'lower',
  'print',
  'punct',
  'space',
  'upper',
  'xdigit',
  'nonsense',
];

/** Random choices from a source of random numbers. */
export class Dice {
  private readonly random: { next(): number };

  constructor(random: { next(): number }) {
    this.random = random;
  }

  below(limit: number): number {
    return Math.floor(this.random.next() * limit);
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

/** Creates a tree in a new directory; its rule files have the given name. */
export function makeRuleTree(dice: Dice, top: string, ruleFileName: string): RuleTree {
  const paths: string[] = [];
  fs.mkdirSync(top);
  const visit = (beneath: string, depth: number): void => {
    if (depth === 0 || dice.chance(0.35)) {
      fs.writeFileSync(bytes(`${top}/${beneath}${ruleFileName}`), bytes(ruleFile(dice)));
    }
    const names = new Set(Array.from({ length: 1 + dice.below(6) }, () => dice.of(NAMES)));
    for (const name of names) {
      const path = `${beneath}${name}`;
      paths.push(path);
      if (depth < 4 && dice.chance(0.45)) {
        fs.mkdirSync(bytes(`${top}/${path}`));
        visit(`${path}/`, depth + 1);
      } else if (dice.chance(0.1)) fs.symlinkSync('..', bytes(`${top}/${path}`));
      else fs.writeFileSync(bytes(`${top}/${path}`), '');
    }
  };
  visit('', 0);
  return { paths };
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function ruleFile(dice: Dice): string {
  const lines = Array.from({ length: 1 + dice.below(6) }, () => ruleLine(dice));
  const start = dice.chance(0.03) ? '\u00ef\u00bb\u00bf' : '';
  const end = dice.chance(0.2) ? '' : '\n';
  return start + lines.join(dice.chance(0.05) ? '\r\n' : '\n') + end;
}

function ruleLine(dice: Dice): string {
  if (dice.chance(0.04))
    return dice.of(['', '#', '# a', ' ', '/', '!', '!/', '//', '\\', '\0a', 'a\0b']);
  const start = (dice.chance(0.3) ? '!' : '') + (dice.chance(0.2) ? '/' : '');
  const end =
    (dice.chance(0.25) ? '/' : '') +
    (dice.chance(0.06) ? dice.of([' ', '  ', '\\ ', '\\  ', '\\\\ ', '\t', '\r', '\\']) : '');
  return start + pattern(dice) + end;
}

/** Returns a few names joined by slashes, with wildcards in place of parts. */
export function pattern(dice: Dice): string {
  const count = dice.of([1, 1, 1, 2, 2, 3]);
  const parts = Array.from({ length: count }, () => {
    if (dice.chance(0.15)) return dice.of(['*', '**', '**', '***', '?', '*.o', '*a*', '**a']);
    return part(dice, dice.of(NAMES));
  });
  return parts.join(dice.chance(0.03) ? dice.of(['**/', '/**', '\\/', '//', '**']) : '/');
}

function part(dice: Dice, name: string): string {
  if (dice.chance(0.4)) return name;
  return Array.from(name, (character) => {
    if (dice.chance(0.5)) return character;
    switch (dice.below(9)) {
      case 0:
        return '?';
      case 1:
        return '*';
      case 2:
        return `\\${character}`;
      case 3:
        return `[${character}]`;
      case 4:
        return `[${dice.of(['!', '^'])}${set(dice)}]`;
      case 5:
        return `[${set(dice)}${character}]`;
      case 6:
        return `[[:${dice.of(CLASSES)}:]${dice.chance(0.3) ? set(dice) : ''}]`;
      case 7:
        return dice.of(['**', `${character}*`, `*${character}`, '']);
      default:
        return character;
    }
  }).join('');
}

/** Returns the inside of brackets, odd more often than not. */
function set(dice: Dice): string {
  const pieces = [
    'a',
    'a-c',
    'c-a',
    '-',
    'a-',
    ']',
    '\\]',
    '\\',
    '\\a-\\z',
    '/',
    '!',
    '^',
    '[',
    '[:',
    '[:]',
    '[:alpha',
    '\u0080-\u00ff',
    '\u00e9',
    ' -~',
    '+--',
    'a-c-e',
    '[:digit:]-z',
    '*',
    '?',
    '.',
    '#',
  ];
  return Array.from({ length: 1 + dice.below(3) }, () => dice.of(pieces)).join('');
}
