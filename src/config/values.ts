/** Turning the text of an option, variable or config key into a value, with one kind of error. */
import { TardisError } from '../errors/index.js';

export type ValueType = 'text' | 'bool' | 'int' | 'size' | 'seconds' | 'choice';

export interface ValueSpec {
  readonly type: ValueType;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

const TRUE = new Set(['1', 'yes', 'true', 'on']);
const FALSE = new Set(['0', 'no', 'false', 'off']);
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** Parses `text` by its spec. `where` names the option or key. Throws CONFIG_INVALID. */
export function parseValue(
  text: string,
  spec: ValueSpec,
  where: string,
): string | number | boolean {
  const trimmed = text.trim();
  switch (spec.type) {
    case 'text':
      return trimmed;
    case 'bool': {
      const word = trimmed.toLowerCase();
      if (TRUE.has(word)) return true;
      if (FALSE.has(word)) return false;
      throw invalid(where, text, 'yes or no');
    }
    case 'choice':
      if (spec.choices?.includes(trimmed) === true) return trimmed;
      throw invalid(where, text, `one of ${spec.choices?.join(', ') ?? ''}`);
    case 'size':
      return bounded(parseSize(trimmed, where), spec, where, text);
    case 'int':
    case 'seconds': {
      const isNumber = spec.type === 'int' ? /^-?\d{1,15}$/ : /^\d{1,9}(\.\d{1,3})?$/;
      if (!isNumber.test(trimmed)) throw invalid(where, text, 'a number');
      return bounded(Number(trimmed), spec, where, text);
    }
  }
}

/** A number of bytes with an optional unit K, M, G or T (powers of 1024). */
export function parseSize(text: string, where: string): number {
  const match = /^(\d{1,15})\s*([kmgt]?)i?b?$/i.exec(text.trim());
  if (match === null) throw invalid(where, text, 'a size such as 512K or 16M');
  return Number(match[1]) * SIZE_UNITS[match[2]!.toLowerCase()]!;
}

function bounded(value: number, spec: ValueSpec, where: string, text: string): number {
  if (spec.min !== undefined && value < spec.min) throw invalid(where, text, `≥ ${spec.min}`);
  if (spec.max !== undefined && value > spec.max) throw invalid(where, text, `≤ ${spec.max}`);
  return value;
}

function invalid(where: string, text: string, wanted: string): TardisError {
  return new TardisError(
    'CONFIG_INVALID',
    `${where} is "${text.slice(0, 80)}" but must be ${wanted}`,
    { where },
  );
}
