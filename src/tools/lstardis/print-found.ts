/** Prints the result of `lstardis --find`: one line for each version. */
import {
  type BackupSet,
  isRestoredAlike,
  joinVersions,
  type PathVersion,
} from '../../history/index.js';
import { ERROR_TABLE } from '../../errors/index.js';
import { namePattern } from '../../excludes/index.js';
import { displayName, jsonName } from '../../model/index.js';
import { absolutePath } from '../../system/index.js';
import { findNames, type FoundPath, MOST_FOUND } from './find-names.js';
import { jsonEntry, type LsSettings, sizeText, timeOf, type View } from './list-entries.js';
import { spanText } from './list-versions.js';
import { type ProvenFinds, provenFinds } from './proofs.js';
import { formatCount, formatTable } from '../output/units.js';
import { PARTLY } from '../output/exit-status.js';
import { jsonText, print } from '../output/output.js';
import { complain } from '../output/command-names.js';

type SearchedHistory = Parameters<typeof findNames>[0]['history'];

/** Returns the exit status: 3 if some paths are not shown, or are not proven. */
export async function printFound(
  history: SearchedHistory,
  sets: readonly BackupSet[],
  wanted: Buffer,
  view: View,
): Promise<number> {
  const below = view.paths.map(absolutePath);
  const { paths, isCut } = await findNames({ history, sets, pattern: namePattern(wanted), below });
  const shown = view.deletions ? paths : paths.filter(({ goneSince }) => goneSince === undefined);
  const chosen = shown.map((path) => ({ ...path, versions: chosenOf(path, view) }));
  const { paths: proven, refused } = await provenOf(history, chosen);
  const joined = proven.map((path) => ({ ...path, versions: joinNewestFirst(path) }));
  const inOrder = view.reverse ? joined.toReversed() : joined;
  if (view.json) printJson(inOrder, view);
  else printTable(inOrder, view);
  for (const path of refused) {
    warn(
      `${displayName(path)}: left out, since the seals of the sets do not prove it [NOT_AUTHENTIC]`,
    );
  }
  if (refused.length > 0) warn(ERROR_TABLE.NOT_AUTHENTIC.guidance);
  if (isCut)
    warn(`there are more than ${formatCount(MOST_FOUND)} paths: give a narrower pattern, or paths`);
  return isCut || refused.length > 0 ? PARTLY : 0;
}

/** Returns the proven paths; all of them for a client that does not encrypt, since it has no seals. */
async function provenOf(
  history: SearchedHistory,
  paths: readonly FoundPath[],
): Promise<ProvenFinds> {
  if (history.contentKeys === undefined) return { paths, refused: [] };
  return provenFinds(history, paths);
}

function warn(text: string): void {
  complain('lstardis', text);
}

function chosenOf({ versions }: FoundPath, view: LsSettings): readonly PathVersion[] {
  return view.versions === 'last' ? versions.slice(0, 1) : versions;
}

function joinNewestFirst({ versions, covering }: FoundPath): PathVersion[] {
  return joinVersions(versions.toReversed(), isRestoredAlike, covering).toReversed();
}

function printJson(paths: readonly FoundPath[], view: View): void {
  for (const { path, versions, goneSince } of paths) {
    for (const { entry, firstSet, lastSet } of versions) {
      const plain = { ...jsonEntry(entry, view), ...jsonName(path), firstSet, lastSet, goneSince };
      print(jsonText(plain));
    }
  }
}

function printTable(paths: readonly FoundPath[], view: View): void {
  const rows = view.headers ? [['sets', 'modified', 'size', 'path']] : [];
  for (const { path, versions, goneSince } of paths) {
    for (const [index, version] of versions.entries()) {
      const { entry } = version;
      const isLast = index === 0 && goneSince !== undefined;
      const gone = isLast ? view.paint.part('gone', `  (gone since ${goneSince})`) : '';
      const name = view.paint.entry(entry, displayName(path));
      rows.push([spanText(version), timeOf(entry), sizeText(entry, view), `${name}${gone}`]);
    }
  }
  if (rows.length > 0) print(formatTable(rows, [2]));
}
