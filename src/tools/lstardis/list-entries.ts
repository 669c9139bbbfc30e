/** Formats entries for `lstardis`: by name, in long rows, or as JSON. */
import type { HistoryEntry } from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import {
  displayName,
  EntryType,
  jsonName,
  flagLetters,
  inodeFlags,
  readAttributes,
} from '../../model/index.js';
import type { Paint } from '../output/colors.js';
import { print, printJson } from '../output/output.js';
import { formatBytes, formatTable, formatTime } from '../output/units.js';

export type LsSettings = Settings<'lstardis'> & { readonly paint: Paint };

/** Settings of the listing, with the names of owners unless numbers are requested. */
export type View = LsSettings & { readonly owners: ReadonlyMap<string, string> };

const TYPE_LETTERS = '?-dlpscb';
const EXECUTE = 0o111;
const DOT = 0x2e;

export function modeText(entry: HistoryEntry): string {
  const letters = 'rwxrwxrwx';
  let text = TYPE_LETTERS[entry.type] ?? '?';
  for (let bit = 0; bit < 9; bit += 1) {
    text += (entry.permissions & (1 << (8 - bit))) === 0 ? '-' : letters[bit]!;
  }
  return withSpecialBits(text, entry.permissions);
}

/** Marks special bits as `ls` does: s and t in place of x, and capitals if there is no x. */
function withSpecialBits(text: string, permissions: number): string {
  const letters = text.split('');
  const mark = (bit: number, at: number, letter: string): void => {
    if ((permissions & bit) === 0) return;
    letters[at] = letters[at] === 'x' ? letter : letter.toUpperCase();
  };
  mark(0o4000, 3, 's');
  mark(0o2000, 6, 's');
  mark(0o1000, 9, 't');
  return letters.join('');
}

export function timeOf(entry: HistoryEntry): string {
  return formatTime(Number(entry.mtimeNs / 1_000_000n));
}

export function sizeText({ sizeBytes }: HistoryEntry, { human }: Pick<View, 'human'>): string {
  return human ? formatBytes(sizeBytes) : String(sizeBytes);
}

const LETTERS: Readonly<Record<number, string>> = {
  [EntryType.directory]: '/',
  [EntryType.symlink]: '@',
  [EntryType.fifo]: '|',
  [EntryType.socket]: '=',
};

function annotationOf({ type, permissions }: HistoryEntry): string {
  if (type === EntryType.file) return (permissions & EXECUTE) === 0 ? '' : '*';
  return LETTERS[type] ?? '';
}

function nameText(entry: HistoryEntry, { paint, annotate, long }: View): string {
  const name = paint.entry(entry, displayName(entry.name));
  const hasTarget = long && entry.linkTarget !== undefined;
  const link = hasTarget ? ` -> ${displayName(entry.linkTarget)}` : '';
  return name + (annotate && !hasTarget ? annotationOf(entry) : '') + link;
}

export function jsonEntry(
  entry: HistoryEntry,
  { owners }: Pick<View, 'owners'>,
  directory?: Buffer,
): Record<string, unknown> {
  const attributes = readAttributes(entry.attributes);
  return {
    ...jsonName(entry.name),
    directory: directory === undefined ? undefined : jsonName(directory),
    type: Object.entries(EntryType).find(([, number]) => number === entry.type)?.[0],
    permissions: entry.permissions.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    owner: owners.get(`false/${entry.uid}`),
    group: owners.get(`true/${entry.gid}`),
    sizeBytes: entry.sizeBytes,
    mtimeNs: String(entry.mtimeNs),
    ctimeNs: String(entry.ctimeNs),
    birthTimeNs: entry.birthTimeNs === 0n ? undefined : String(entry.birthTimeNs),
    device: entry.device === 0n ? undefined : String(entry.device),
    inode: String(entry.inode),
    linkCount: entry.linkCount,
    digest: entry.digest?.toString('hex'),
    linkTarget: entry.linkTarget === undefined ? undefined : jsonName(entry.linkTarget),
    attributes:
      attributes.length === 0
        ? undefined
        : attributes.map(({ name, value }) => ({
            ...jsonName(name),
            value: value.toString('base64'),
          })),
    flags: flagLetters(inodeFlags(entry.attributes)) || undefined,
    firstSet: entry.firstSet,
    lastSet: entry.lastSet,
  };
}

/** Returns the entries to show, in the requested order. */
export function arranged(entries: readonly HistoryEntry[], view: View): readonly HistoryEntry[] {
  const shown = view.hidden ? entries : entries.filter(({ name }) => name[0] !== DOT);
  const sorted =
    view.sortBy === 'name'
      ? shown
      : shown.toSorted(
          view.sortBy === 'size'
            ? (one, other) => other.sizeBytes - one.sizeBytes
            : (one, other) => Number(other.mtimeNs - one.mtimeNs),
        );
  return view.reverse ? sorted.toReversed() : sorted;
}

/** Prints entries in the given order. JSON includes `directory`, which is given if several directories are listed. */
export function printEntries(
  entries: readonly HistoryEntry[],
  view: View,
  directory?: Buffer,
): void {
  if (view.json) {
    for (const entry of entries) printJson(jsonEntry(entry, view, directory));
    return;
  }
  if (entries.length === 0) return;
  const columns = columnsOf(view, entries);
  const right = columns.flatMap(({ isRight }, index) => (isRight === true ? [index] : []));
  const rows = entries.map((entry) => [
    ...columns.map(({ text }) => text(entry)),
    nameText(entry, view),
  ]);
  print(columns.length === 0 ? rows.flat().join('\n') : formatTable(rows, right));
}

interface Column {
  readonly text: (entry: HistoryEntry) => string;
  readonly isRight?: boolean;
}

/** Returns the columns before the names. */
function columnsOf(view: View, entries: readonly HistoryEntry[]): Column[] {
  const { owners, long, showsInode, showsSize, showsDigest } = view;
  const columns: Column[] = [];
  if (showsInode) columns.push({ text: ({ inode }) => String(inode), isRight: true });
  const flags = ({ attributes }: HistoryEntry): string => flagLetters(inodeFlags(attributes));
  const showsFlags = long && entries.some((entry) => flags(entry) !== '');
  if (long) {
    columns.push(
      { text: modeText },
      ...(showsFlags ? [{ text: (entry: HistoryEntry) => flags(entry) || '-' }] : []),
      { text: ({ linkCount }) => String(linkCount), isRight: true },
      { text: ({ uid }) => owners.get(`false/${uid}`) ?? String(uid), isRight: true },
      { text: ({ gid }) => owners.get(`true/${gid}`) ?? String(gid), isRight: true },
    );
  }
  if (long || showsSize) columns.push({ text: (entry) => sizeText(entry, view), isRight: true });
  if (long) columns.push({ text: timeOf });
  if (showsDigest) columns.push({ text: ({ digest }) => digest?.toString('hex') ?? '' });
  return columns;
}
