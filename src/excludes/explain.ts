/**
 * Explains why a path is kept or excluded. It walks down to the path like a backup, with the same listings, rule files
 * and decisions.
 */
import { ifPossible } from '../errors/index.js';
import {
  deviceOf,
  EntryType,
  identityOf,
  joinPath,
  RowFlag,
  RowReader,
  splitPath,
} from '../model/index.js';
import { type DirectoryPlace, namedDirectoryAt, type System } from '../system/index.js';
import type { RuleLink } from './rule-chain.js';
import { type Decision, Excluder, type RuleProblem } from './excluder.js';
import type { ExcludeOptions } from './options.js';

export interface Explanation {
  readonly path: Buffer;
  readonly outcome:
    | 'kept'
    | 'leftOut'
    /** The path is in none of the directories to back up. */
    | 'outside'
    /** The path does not exist. */
    | 'missing'
    /** The path is below a mount point that is not entered. */
    | 'otherDevice'
    /** The path is below a directory that is too deep to be entered. */
    | 'tooDeep';
  /** Type of the path; undefined for a root, and for paths that were not examined. */
  readonly type: number | undefined;
  /** The path that decides the outcome: the path itself, or a directory above it that is excluded or missing. */
  readonly decidedAt: Buffer;
  /** The decision about `decidedAt`; undefined if no rule applies to it. */
  readonly decision: Decision | undefined;
  /** Reason why all entries of the path are excluded, if it is a directory that is itself kept. */
  readonly emptied: Decision | undefined;
  /** Rule files above the path that cannot be used. */
  readonly problems: readonly { readonly path: Buffer; readonly reason: string }[];
}

/** Limits of the walk, as in a backup. */
export interface WalkReach {
  /** True if other file systems are entered. */
  readonly crossDevices?: boolean;
  /** Directories this deep below a root are not entered; 0 means no limit. */
  readonly maxDepth?: number;
}

/** Explains an absolute path without symbolic links in its directories. Throws system errors. */
export function explainPath(
  system: System,
  options: ExcludeOptions,
  {
    roots,
    path,
    reach = {},
  }: {
    readonly roots: readonly Buffer[];
    readonly path: Buffer;
    readonly reach?: WalkReach | undefined;
  },
): Explanation {
  const explanations = roots
    .filter((root) => isWithin(root, path))
    .map((root) => explainWithin(system, options, { root, path, ...reach }));
  const nothing = { type: undefined, decision: undefined, emptied: undefined, problems: [] };
  return (
    explanations.find(({ outcome }) => outcome === 'kept') ??
    explanations[0] ?? { path, outcome: 'outside', decidedAt: path, ...nothing }
  );
}

function isWithin(root: Buffer, path: Buffer): boolean {
  const above = splitPath(root);
  const parts = splitPath(path);
  return above.length <= parts.length && above.every((part, index) => part.equals(parts[index]!));
}

function explainWithin(
  system: System,
  options: ExcludeOptions,
  {
    root,
    path,
    crossDevices = false,
    maxDepth = 0,
  }: WalkReach & { readonly root: Buffer; readonly path: Buffer },
): Explanation {
  const excluder = new Excluder(options, system);
  const problems: { path: Buffer; reason: string }[] = [];
  const names = splitPath(path).slice(splitPath(root).length);
  let directory = namedDirectoryAt(system.native, root);
  let rules: RuleLink | undefined;
  let last: Decision | undefined;
  let type: number | undefined;
  for (const [index, name] of names.entries()) {
    const here = joinPath(directory.path, name);
    const explained = (outcome: Explanation['outcome'], decision?: Decision): Explanation => ({
      path,
      outcome,
      type: undefined,
      decidedAt: here,
      decision,
      emptied: undefined,
      problems,
    });
    const rows = new RowReader(system.native.listDirectory(directory.path));
    const found = findRow(rows, name);
    if (found === undefined) return explained('missing');
    const decider = excluder.enter({ ...directory, isRoot: index === 0, rules, rows });
    const { path: above } = directory;
    problems.push(...(decider?.problems ?? []).map((problem) => problemIn(above, problem)));
    last = decider?.over(rows)(found.at, found.index);
    if (last?.isLeftOut === true) return explained('leftOut', last);
    const isLast = index === names.length - 1;
    type = rows.type(found.at);
    const isDirectory = type === EntryType.directory;
    const isOther = !crossDevices && (rows.flags(found.at) & RowFlag.otherDevice) !== 0;
    const isTooDeep = maxDepth > 0 && index + 1 >= maxDepth;
    if (isLast && (!isDirectory || isOther || isTooDeep)) break;
    if (!isDirectory) return explained('missing');
    if (isOther || isTooDeep) return explained(isTooDeep ? 'tooDeep' : 'otherDevice');
    rules = decider === undefined ? rules : decider.rules;
    directory = { path: here, identity: identityOf(rows, found.at, deviceOf(directory.identity)) };
  }
  const kept = { path, outcome: 'kept', type, decidedAt: path, decision: last, problems } as const;
  if (names.length === 0 || !directory.path.equals(path)) return { ...kept, emptied: undefined };
  return { ...kept, emptied: emptiedBy(system, excluder, directory, rules) };
}

function emptiedBy(
  system: System,
  excluder: Excluder,
  directory: DirectoryPlace,
  rules: RuleLink | undefined,
): Decision | undefined {
  // A backup reports what cannot be read.
  return ifPossible(() => {
    const rows = new RowReader(system.native.listDirectory(directory.path));
    return excluder.enter({ ...directory, isRoot: false, rules, rows })?.emptied;
  });
}

function problemIn(
  directory: Buffer,
  { name, reason }: RuleProblem,
): { path: Buffer; reason: string } {
  return { path: joinPath(directory, name), reason };
}

function findRow(rows: RowReader, name: Buffer): { at: number; index: number } | undefined {
  let index = 0;
  for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at)) {
    if (rows.name(at).equals(name)) return { at, index };
    index += 1;
  }
  return undefined;
}
