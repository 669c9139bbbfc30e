/**
 * Marks of backup sets. Users give a set a title, tags, a priority, and say whether it may be deleted; its client adds the
 * machine on which it ran, and its server the administrator who requested it.
 */
import { TardisError } from '../errors/index.js';
import {
  type Check,
  type Checked,
  isFlag,
  isInteger,
  isText,
  listOf,
  mapOf,
  maybe,
  where,
} from './checks.js';
import type { SetNumber } from './ids.js';
import { displayLine } from './names.js';

/** The name that stands for the newest complete set, unless the user configures another word. */
export const RECENT_SET = 'Current';
const MAX_NAME_BYTES = 255;
/** Maximum size of a set name that is sealed and written as text. */
export const MAX_SEALED_SET_NAME_BYTES = 768;
/** Matches control characters, line separators, and characters that change the direction of text. */
const UNSHOWABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** A change of the marks of a set. Fields that are undefined stay as they are. */
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
const MAX_TAGS = 64;
const MAX_TAG_BYTES = 100;
/** Maximum size of a title. It is larger than for a typed name, since a sealed title is longer than its text. */
const MAX_TITLE_BYTES = 768;
/**
 * Form of a tag: letters and digits of any script, and characters that do not separate words on a command line or in a
 * list.
 */
const TAG = /^[\p{L}\p{N}_][\p{L}\p{N}_.:/@+-]*$/u;

/** Form of a sealed tag of a client that encrypts. No tag that a user types begins with `~`. */
const SEALED_TAG = /^~[\w-]{1,300}$/;

/** Returns the reason why a typed text cannot be a tag; undefined if it can. */
export function tagFault(tag: string): string | undefined {
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) return `is longer than ${MAX_TAG_BYTES} bytes`;
  if (!TAG.test(tag)) return 'is not one word of letters, digits and . : / @ + - _';
  return undefined;
}

const MACHINE_ID = /^[0-9a-f]{32}$/;

const isSetMachine = mapOf({
  /** 32 hexadecimal digits, which are equal in all sets of a machine. */
  id: where(isText, (id) => MACHINE_ID.test(id)),
  /** The name of the machine; sealed if the client encrypts. */
  host: where(isText, (host) => isShownLine(host) && Buffer.byteLength(host) <= MAX_TITLE_BYTES),
});
/** The machine on which a client made a set. */
export type SetMachine = Checked<typeof isSetMachine>;

/** Returns a text that is equal for sets of one machine. */
export function machineText({ machine }: SetMarks): string {
  return machine === undefined ? '' : `${machine.id} ${machine.host}`;
}

/** Number of characters of an id that are shown; nobody compares more. */
const SHOWN_ID_CHARS = 8;

/** Returns the name and the begin of the id of a machine, such as `web1 (0a1b2c3d)`; empty if it is not known. */
export function machineName(machine: SetMachine | undefined): string {
  if (machine === undefined) return '';
  const { id, host } = machine;
  const shown = isSealedTag(host) ? 'sealed' : displayLine(host);
  return `${shown} (${id.slice(0, SHOWN_ID_CHARS)})`;
}

/** True if an untrusted value is an administrator who may have requested a backup. */
export const isRequester: Check<string> = where(
  isText,
  (text) => isShownLine(text) && Buffer.byteLength(text) <= MAX_NAME_BYTES,
);

export const isSetMarks = mapOf({
  /** Name that the set got later; empty if it has its original name. */
  title: where(
    isText,
    (title) => title === '' || setNameFault(title, MAX_TITLE_BYTES) === undefined,
  ),
  /** Sets of higher priority are kept longer, if retention rules use priorities. */
  priority: where(isInteger, (priority) => Math.abs(priority) <= MAX_PRIORITY),
  /** True if the set cannot be deleted. */
  isLocked: isFlag,
  /** True if the set may be deleted early when space runs low. */
  isExpendable: isFlag,
  /** Sorted, without duplicates. */
  tags: where(listOf(where(isText, isStoredTag)), ({ length }) => length <= MAX_TAGS),
  /** Undefined if the machine has no id, or the client is of an earlier release. */
  machine: maybe(isSetMachine),
  /** The administrator who requested the backup from its server, as CLIENT/ACCOUNT; the server adds it. */
  requestedBy: maybe(isRequester),
});
export type SetMarks = Checked<typeof isSetMarks>;

/** True if a tag has the form of a sealed tag, as clients that encrypt send it. */
export function isSealedTag(tag: string): boolean {
  return SEALED_TAG.test(tag);
}

function isStoredTag(tag: string): boolean {
  return isSealedTag(tag) || tagFault(tag) === undefined;
}

/**
 * Returns the marks with `map` applied to each tag, to the title unless it is empty, and to the name of the machine. For
 * example, `map` seals or opens texts.
 */
export function mappedMarks(marks: SetMarks, map: (text: string) => string): SetMarks {
  const { title, tags, machine } = marks;
  return {
    ...marks,
    title: title === '' ? '' : map(title),
    tags: tags.map(map).sort(),
    ...(machine === undefined ? {} : { machine: mappedMachine(machine, map) }),
  };
}

/** Returns a machine with `map` applied to its name. */
export function mappedMachine(
  machine: SetMachine | undefined,
  map: (text: string) => string,
): SetMachine | undefined {
  return machine && { ...machine, host: map(machine.host) };
}

/** True if both marks are equal. */
export function areSameMarks(one: SetMarks, other: SetMarks): boolean {
  return (
    one.title === other.title &&
    one.priority === other.priority &&
    one.isLocked === other.isLocked &&
    one.isExpendable === other.isExpendable &&
    machineText(one) === machineText(other) &&
    one.requestedBy === other.requestedBy &&
    one.tags.length === other.tags.length &&
    one.tags.every((tag, index) => tag === other.tags[index])
  );
}

/** Returns the marks after a change; undefined if they would be invalid. */
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
    ...(marks.machine === undefined ? {} : { machine: marks.machine }),
    ...(marks.requestedBy === undefined ? {} : { requestedBy: marks.requestedBy }),
  };
  return isSetMarks(changed) ? changed : undefined;
}

/** Returns the marks of a set of `client` after a change. Throws MARKS_INVALID if they would be invalid. */
export function marksAfter(
  client: string,
  { set, marks }: { readonly set: SetNumber; readonly marks: SetMarks },
  change: SetChange,
): SetMarks {
  const changed = changedMarks(marks, change);
  if (changed !== undefined) return changed;
  throw new TardisError('MARKS_INVALID', `${set} of "${client}" cannot have these marks`);
}

/** True if a text is one line that can be shown as it is, and not blank. */
export function isShownLine(text: string): boolean {
  return !UNSHOWABLE.test(text) && text.trim() !== '';
}

/** Returns the reason why a text cannot be the name of a set; undefined if it can. */
export function setNameFault(name: string, mostBytes = MAX_NAME_BYTES): string | undefined {
  if (UNSHOWABLE.test(name)) return 'holds control characters';
  if (name.trim() === '') return 'is blank';
  if (Buffer.byteLength(name) > mostBytes) return `is longer than ${mostBytes} bytes`;
  if (/^\d+-\d+$/.test(name)) return 'is a range, which stands for the sets from one to the other';
  if (/^\d+$/.test(name)) return 'is a number, which stands for the set of that number';
  if (name === RECENT_SET) return 'stands for the newest set';
  return undefined;
}
