/** Formats the differences between two versions of a tree, as text and as JSON. */
import type { Aspect, Difference, NotCompared, Seen } from '../../restore/diff/index.js';
import {
  displayName,
  EntryType,
  flagLetters,
  inodeFlags,
  jsonName,
  NO_BYTES,
  readAttributes,
} from '../../model/index.js';
import { formatTime } from '../output/units.js';
import { jsonText } from '../output/output.js';

const TYPE_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(EntryType).map(([name, number]) => [number, name]),
);
const TYPE_WORDS: Readonly<Record<string, string>> = {
  symlink: 'symbolic link',
  characterDevice: 'character device',
  blockDevice: 'block device',
};

export type DifferenceKind = 'added' | 'removed' | 'changed';

export function kindOf({ before, after }: Difference): DifferenceKind {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

export function typeWord({ entry }: Seen): string {
  const name = TYPE_NAMES[entry.type] ?? 'unknown';
  return TYPE_WORDS[name] ?? name;
}

/** Returns the size of a file; 0 for an entry of another type, and without an entry. */
export function sizeOf(seen: Seen | undefined): number {
  return seen?.entry.type === EntryType.file ? seen.entry.sizeBytes : 0;
}

function octal(permissions: number): string {
  return permissions.toString(8).padStart(4, '0');
}

/** Returns the values of attributes, and of the flags together, by the texts that name them. */
function attributesOf({ entry }: Seen): Map<string, string> {
  const values = new Map<string, string>();
  const flags = inodeFlags(entry.attributes);
  if (flags !== 0) values.set(`flags=${flagLetters(flags)}`, '');
  for (const { name, value } of readAttributes(entry.attributes)) {
    values.set(displayName(name), value.toString('latin1'));
  }
  return values;
}

/** Returns the names of the attributes that another entry has not, or with another value. */
function attributeNames(seen: Seen, other: Seen): string {
  const others = attributesOf(other);
  const names = [...attributesOf(seen)].filter(([name, value]) => others.get(name) !== value);
  return names.length === 0 ? 'none' : names.map(([name]) => name).join(' ');
}

/** Returns the values of an aspect before and after; undefined if the aspect has no values to show. */
function valuesOf(aspect: Aspect, before: Seen, after: Seen): [string, string] | undefined {
  const [one, other] = [before.entry, after.entry];
  switch (aspect) {
    case 'type':
      return [typeWord(before), typeWord(after)];
    case 'target':
      return [displayName(one.linkTarget ?? NO_BYTES), displayName(other.linkTarget ?? NO_BYTES)];
    case 'permissions':
      return [octal(one.permissions), octal(other.permissions)];
    case 'owner':
      return [`${one.uid}:${one.gid}`, `${other.uid}:${other.gid}`];
    case 'time':
      return [timeText(one.mtimeNs), timeText(other.mtimeNs)];
    case 'attributes':
      return [attributeNames(before, after), attributeNames(after, before)];
    case 'content':
    case 'device':
    case 'links':
      return undefined;
  }
}

function timeText(timeNs: bigint): string {
  return formatTime(Number(timeNs / 1_000_000n));
}

/**
 * Returns `permissions 0644 → 0600, owner 0:0 → 7:7` for the selected aspects. An aspect without two different values
 * is only named, and of attributes those whose values differ. Returns an empty text if the entry is on one side only.
 */
export function aspectsText(
  { before, after, aspects }: Difference,
  isPrinted: (aspect: Aspect) => boolean,
): string {
  if (before === undefined || after === undefined) return '';
  const texts = aspects.filter(isPrinted).map((aspect) => {
    const values = valuesOf(aspect, before, after);
    if (values === undefined) return aspect;
    const [was, is] = values;
    if (was !== is) return `${aspect} ${was} → ${is}`;
    return aspect === 'attributes' ? `${aspect} ${is}` : aspect;
  });
  return texts.join(', ');
}

function jsonSeen(seen: Seen | undefined): Record<string, unknown> | undefined {
  if (seen === undefined) return undefined;
  const { entry } = seen;
  return {
    type: TYPE_NAMES[entry.type],
    permissions: octal(entry.permissions),
    uid: entry.uid,
    gid: entry.gid,
    sizeBytes: entry.sizeBytes,
    mtimeNs: String(entry.mtimeNs),
    linkTarget: entry.linkTarget === undefined ? undefined : jsonName(entry.linkTarget),
  };
}

/** Returns one line of JSON; `more` has further fields. */
export function jsonDifference(difference: Difference, more: Record<string, unknown> = {}): string {
  const { path, before, after, aspects } = difference;
  return jsonText({
    ...jsonName(path),
    kind: kindOf(difference),
    aspects,
    before: jsonSeen(before),
    after: jsonSeen(after),
    ...more,
  });
}

export function jsonNotCompared({ path, error }: NotCompared): string {
  const { code, message } = error;
  return jsonText({ ...jsonName(path), kind: 'notCompared', error: { code, message } });
}
