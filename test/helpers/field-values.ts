/** Values of fields of messages, built from values of the plain kinds. */
import type { FieldKind, Fields, PlainKind } from '../../src/transport/index.js';

/**
 * Returns a test value for a field of a kind. `plain` makes the plain values in it. `below` returns a number below its
 * argument; these numbers choose among cases, and are the lengths of lists.
 */
export function valueOfKind(
  kind: FieldKind,
  plain: (kind: PlainKind) => unknown,
  below: (limit: number) => number,
): unknown {
  const inner = (of: FieldKind): unknown => valueOfKind(of, plain, below);
  if (typeof kind === 'string') return plain(kind);
  if ('maybe' in kind) return below(2) === 0 ? inner(kind.maybe) : undefined;
  if ('words' in kind) return kind.words[below(kind.words.length)];
  if ('listOf' in kind) return Array.from({ length: below(3) }, () => inner(kind.listOf));
  if ('fields' in kind) return valuesOfFields(kind.fields, inner);
  const cases = Object.keys(kind.cases);
  const chosen = cases[below(cases.length)]!;
  return { [kind.tag]: chosen, ...valuesOfFields(kind.cases[chosen]!, inner) };
}

/** Returns values of fields by their names. */
export function valuesOfFields(
  fields: Fields,
  valueOf: (kind: FieldKind) => unknown,
): Record<string, unknown> {
  const items = Object.entries(fields).map(([field, kind]) => [field, valueOf(kind)] as const);
  return Object.fromEntries(items.filter(([, value]) => value !== undefined));
}
