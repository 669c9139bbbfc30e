/** Checks the values of a message's fields, which are untrusted, and prepares them for the encoder. */
import type { FieldKind, Fields, PlainKind } from './message-row.js';

const MAX_LIST_ITEMS = 1 << 20;
const MAX_COUNTS = 64;
/** Maximum number of characters of a `line`. */
const MAX_LINE_CHARS = 4096;

/** Stands for a value that is not of its kind. */
export const WRONG: unique symbol = Symbol('wrong');

type Values = Readonly<Record<string, unknown>>;

/**
 * Returns a decoded value if it is of a kind, otherwise WRONG. Plain values are returned as they are; maps are rebuilt
 * with the fields of the table only, without those that are missing.
 */
export function checked(value: unknown, kind: FieldKind): unknown {
  if (typeof kind === 'string') return isOfKind(value, kind) ? value : WRONG;
  if ('maybe' in kind) return value === undefined ? undefined : checked(value, kind.maybe);
  if ('words' in kind) return kind.words.includes(value as string) ? value : WRONG;
  if ('listOf' in kind) {
    if (!Array.isArray(value) || value.length > MAX_LIST_ITEMS) return WRONG;
    const items = value.map((item: unknown) => checked(item, kind.listOf));
    return items.includes(WRONG) ? WRONG : items;
  }
  if (!isMap(value)) return WRONG;
  if ('fields' in kind) return checkedMap(value, kind.fields, {});
  const found = value[kind.tag];
  if (typeof found !== 'string' || !Object.hasOwn(kind.cases, found)) return WRONG;
  return checkedMap(value, kind.cases[found]!, { [kind.tag]: found });
}

function checkedMap(value: Values, fields: Fields, start: Values): unknown {
  const map: Record<string, unknown> = { ...start };
  for (const [field, kind] of Object.entries(fields)) {
    const item = checked(Object.hasOwn(value, field) ? value[field] : undefined, kind);
    if (item === WRONG) return WRONG;
    if (item !== undefined) map[field] = item;
  }
  return map;
}

/** Returns a value for the encoder: maps have only the fields of the table, without those that are undefined. */
function sendable(value: unknown, kind: FieldKind): unknown {
  if (typeof kind === 'string' || 'words' in kind || value === undefined) return value;
  if ('maybe' in kind) return sendable(value, kind.maybe);
  if ('listOf' in kind) return (value as unknown[]).map((item) => sendable(item, kind.listOf));
  const map = value as Values;
  if ('fields' in kind) return sendableMap(map, kind.fields);
  const found = String(map[kind.tag]);
  return { [kind.tag]: found, ...sendableMap(map, kind.cases[found] ?? {}) };
}

/** Returns a map for the encoder, as `sendable` does. */
export function sendableMap(map: Values, fields: Fields): Record<string, unknown> {
  const items = Object.entries(fields).map(([field, kind]) => [field, sendable(map[field], kind)]);
  return Object.fromEntries(items.filter(([, item]) => item !== undefined));
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isUint(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isListOf(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= MAX_LIST_ITEMS && value.every(is);
}

function isMapOf(value: unknown, is: (item: unknown) => boolean): boolean {
  if (!isMap(value)) return false;
  const items = Object.values(value);
  return items.length <= MAX_COUNTS && items.every(is);
}

function isOfKind(value: unknown, kind: PlainKind): boolean {
  switch (kind) {
    case 'uint':
      return isUint(value);
    case 'int':
      return Number.isSafeInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'text':
      return typeof value === 'string';
    case 'line':
      return typeof value === 'string' && value.length <= MAX_LINE_CHARS;
    case 'bytes':
      return Buffer.isBuffer(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'uints':
      return isListOf(value, isUint);
    case 'ints':
      return isListOf(value, Number.isSafeInteger);
    case 'texts':
      return isListOf(value, (item) => typeof item === 'string');
    case 'byteses':
      return isListOf(value, (item) => Buffer.isBuffer(item));
    case 'counts':
      return isMapOf(value, (item) => ['number', 'string', 'boolean'].includes(typeof item));
    case 'figures':
      return isMapOf(value, Number.isFinite);
  }
}
