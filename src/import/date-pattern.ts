/** Dates in the names of directories and files, by a pattern as of `date` and strptime. */
import { TardisError } from '../errors/index.js';

/** The parts of a date that a pattern may name, as regular expressions. */
const PARTS: Readonly<Record<string, string>> = {
  Y: '(?<Y>\\d{4})',
  m: '(?<m>\\d{2})',
  d: '(?<d>\\d{2})',
  H: '(?<H>\\d{2})',
  M: '(?<M>\\d{2})',
  S: '(?<S>\\d{2})',
  s: '(?<s>\\d{1,12})',
  '%': '%',
};

export class DatePattern {
  private readonly expression: RegExp;

  /** Throws USAGE for a pattern that names no date, or one part twice. A `*` stands for any text. */
  constructor(pattern: string) {
    const isDated = ['%Y', '%m', '%d'].every((part) => pattern.includes(part));
    const parts = pattern.replaceAll(/%(.)|[\\^$.*+?()[\]{}|]/g, (found, letter?: string) => {
      if (found === '*') return '.*?';
      if (letter === undefined) return `\\${found}`;
      const part = PARTS[letter];
      if (part !== undefined) return part;
      throw new TardisError('USAGE', `--sets: %${letter} is not known (%Y %m %d %H %M %S %s %%)`);
    });
    if (!isDated && !pattern.includes('%s')) {
      throw new TardisError('USAGE', `--sets: "${pattern}" has no date: use %Y, %m and %d, or %s`);
    }
    try {
      this.expression = new RegExp(`^${parts}$`);
    } catch (error) {
      throw new TardisError('USAGE', `--sets: "${pattern}" has a part twice`, {}, error);
    }
  }

  /** Returns the date in a name, in local time, as milliseconds since 1970; undefined for a name without one. */
  dateIn(name: string): number | undefined {
    const found = this.expression.exec(name)?.groups;
    if (found === undefined) return undefined;
    if (found['s'] !== undefined) return Number(found['s']) * 1000;
    const [year, month, day, hour, minute, second] = ['Y', 'm', 'd', 'H', 'M', 'S'].map((part) =>
      Number(found[part] ?? 0),
    ) as [number, number, number, number, number, number];
    const date = new Date(year, month - 1, day, hour, minute, second);
    const isReal = date.getMonth() === month - 1 && date.getDate() === day && hour < 24;
    return isReal && minute < 60 && second < 61 ? date.getTime() : undefined;
  }
}
