/** What users say of backup sets beside their contents: another name, tags, a priority, whether they may go. */
import { TardisError } from '../errors/index.js';
import { setNameFault } from './set-name.js';

export interface SetMarks {
  /** The name it was given later; empty: it has the one it was made with. */
  readonly title: string;
  /** Higher ones are kept longer where rules say so. */
  readonly priority: number;
  /** It cannot be deleted. */
  readonly isLocked: boolean;
  /** It may go early when space runs low. */
  readonly isExpendable: boolean;
  /** In the order of their letters, each once. */
  readonly tags: readonly string[];
}

/** What is to become of the marks of a set; what is not given stays. */
export interface SetChange {
  readonly title?: string | undefined;
  readonly priority?: number | undefined;
  readonly isLocked?: boolean | undefined;
  readonly isExpendable?: boolean | undefined;
  readonly addTags?: readonly string[] | undefined;
  readonly removeTags?: readonly string[] | undefined;
}

export const NO_MARKS: SetMarks = Object.freeze({
  title: '',
  priority: 0,
  isLocked: false,
  isExpendable: false,
  tags: Object.freeze([]),
});

export const MAX_PRIORITY = 1_000_000;
export const MAX_TAGS = 64;
const MAX_TAG_BYTES = 100;
/** A sealed title is longer than what it says. */
const MAX_TITLE_BYTES = 768;
/** Letters and digits of any script, and what does not separate words on a command line or in a list. */
const TAG = /^[\p{L}\p{N}_][\p{L}\p{N}_.:/@+-]*$/u;

/** As a client that encrypts seals it; no tag that is typed begins so. */
const SEALED_TAG = /^~[\w-]{1,300}$/;

/** Why a text may not be a tag, as users write it; undefined if it may. */
export function tagFault(tag: string): string | undefined {
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) return `is longer than ${MAX_TAG_BYTES} bytes`;
  if (!TAG.test(tag)) return 'is not one word of letters, digits and . : / @ + - _';
  return undefined;
}

/** Whether something of unknown origin is marks of a set. */
export function isSetMarks(value: unknown): value is SetMarks {
  if (typeof value !== 'object' || value === null) return false;
  const { title, priority, isLocked, isExpendable, tags } = value as Partial<SetMarks>;
  return (
    typeof title === 'string' &&
    (title === '' || setNameFault(title, MAX_TITLE_BYTES) === undefined) &&
    isPriority(priority) &&
    typeof isLocked === 'boolean' &&
    typeof isExpendable === 'boolean' &&
    Array.isArray(tags) &&
    tags.length <= MAX_TAGS &&
    tags.every((tag) => typeof tag === 'string' && isStoredTag(tag))
  );
}

/** Whether a tag is sealed, as those of clients that encrypt are. */
export function isSealedTag(tag: string): boolean {
  return SEALED_TAG.test(tag);
}

function isStoredTag(tag: string): boolean {
  return isSealedTag(tag) || tagFault(tag) === undefined;
}

function isPriority(value: unknown): boolean {
  return Number.isSafeInteger(value) && Math.abs(value as number) <= MAX_PRIORITY;
}

/** The marks with their title and tags made into others, as where they are sealed. */
export function mappedMarks(marks: SetMarks, map: (text: string) => string): SetMarks {
  const { title, tags } = marks;
  return { ...marks, title: title === '' ? '' : map(title), tags: tags.map(map).sort() };
}

/** Whether they say the same. */
export function areSameMarks(one: SetMarks, other: SetMarks): boolean {
  return (
    one.title === other.title &&
    one.priority === other.priority &&
    one.isLocked === other.isLocked &&
    one.isExpendable === other.isExpendable &&
    one.tags.length === other.tags.length &&
    one.tags.every((tag, index) => tag === other.tags[index])
  );
}

/** The marks after a change; undefined when they would be none that a set can have. */
export function changedMarks(marks: SetMarks, change: SetChange): SetMarks | undefined {
  const { addTags = [], removeTags = [], ...given } = change;
  const gone = new Set(removeTags);
  const tags = [...new Set([...marks.tags, ...addTags])].filter((tag) => !gone.has(tag)).sort();
  const { title, priority, isLocked, isExpendable } = given;
  const changed = {
    title: title ?? marks.title,
    priority: priority ?? marks.priority,
    isLocked: isLocked ?? marks.isLocked,
    isExpendable: isExpendable ?? marks.isExpendable,
    tags,
  };
  return isSetMarks(changed) ? changed : undefined;
}

/** The marks of a set of `client` after a change. Throws MARKS_INVALID when they would be none that a set can have. */
export function marksAfter(
  client: string,
  { set, marks }: { readonly set: number; readonly marks: SetMarks },
  change: SetChange,
): SetMarks {
  const changed = changedMarks(marks, change);
  if (changed !== undefined) return changed;
  throw new TardisError('MARKS_INVALID', `${set} of "${client}" cannot have these marks`);
}
