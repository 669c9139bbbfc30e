/**
 * Decides which entries of a directory are excluded. The walk calls it for every directory that it lists.
 * Without rules and rule files everything is kept, at the cost of one search in the listing.
 */
import { displayName, EntryType, joinPath, lastComponent, type RowReader } from '../model/index.js';
import { type DirectoryPlace, OpenedPlace, type System } from '../system/index.js';
import type { RuleFile, RuleLink } from './rule-chain.js';
import { fileFilter, type FilterRules } from './filter-rules.js';
import { generalRules, parseRule, parseRules, pathBeneath, type Rule, RuleList } from './rules.js';
import { CACHE_TAG_NAME, isCache, MarkerFiles, readBeginning } from './marker-files.js';
import type { ExcludeOptions } from './options.js';

/** Maximum size of a rule file. Larger ones are not read; files written by hand are far smaller. */
export const MAX_RULE_FILE_BYTES = 128 << 10;
/** Number of bytes that are read of a rule file: one more shows that it is too large. */
const READ_RULE_BYTES = MAX_RULE_FILE_BYTES + 1;
/** Maximum number of bytes of all rule files that apply to one directory. */
export const MAX_CHAIN_BYTES = 512 << 10;

/** Reason why an entry is excluded or, for `rule` and `filter`, kept although another rule would exclude it. */
type Reason =
  | 'rule'
  /** A line of the filter file. */
  | 'filter'
  /** No line of the filter file matches. */
  | 'notAccepted'
  | 'skipFile'
  | 'cacheTag'
  | 'excludeDirectory'
  | 'size'
  | 'noDump'
  | 'noAccess';

/** The place of a rule and its text. */
export type DecidingLine = Pick<Rule, 'origin' | 'line' | 'text'>;

export interface Decision {
  readonly isLeftOut: boolean;
  readonly reason: Reason;
  /** The rule that decided; given for the reasons `rule` and `filter`. */
  readonly rule: DecidingLine | undefined;
}

/**
 * A rule file that could not be read. It may contain rules that keep entries, and excluded entries count as deleted. So
 * a rule that keeps everything replaces the file. Rule files further down can still exclude entries.
 */
export interface RuleProblem {
  readonly name: Buffer;
  readonly reason: string;
}

export interface ListedDirectory extends DirectoryPlace {
  /**
   * True for a root. The user named it, so it is never excluded itself, and no skip file or cache tag in it
   * excludes its entries.
   */
  readonly isRoot: boolean;
  /** The nearest rule files above the directory. */
  readonly rules: RuleLink | undefined;
  /** The directory's listing, or only the rows from `Excluder.markRows`. */
  readonly rows: RowReader;
}

/** The decisions for one directory. */
export interface DirectoryDecider {
  /** The nearest rule files for the directories below. */
  readonly rules: RuleLink | undefined;
  readonly problems: readonly RuleProblem[];
  /** The decision of a marker file that excludes every entry of the directory; undefined if there is none. */
  readonly emptied: Decision | undefined;
  /** Returns the decision function for rows of the directory: its listing, or a part of it. */
  over(rows: RowReader): Decide;
}

/** Decides about the row at offset `at`, which has this index; undefined if no rule applies. */
type Decide = (at: number, index: number) => Decision | undefined;

interface Applied {
  readonly list: RuleList;
  readonly beneath: string;
}

interface CompiledLink {
  readonly list: RuleList;
  readonly base: string;
}

export class Excluder {
  private readonly marks: MarkerFiles;
  private readonly general: RuleList;
  private readonly filter: FilterRules | undefined;
  /** Names of excluded directories, by the path of their parent. */
  private readonly directories = new Map<string, Set<string>>();
  private readonly compiled = new WeakMap<RuleLink, CompiledLink>();
  private readonly alwaysEvaluates: boolean;

  constructor(
    private readonly options: ExcludeOptions,
    private readonly system: System,
  ) {
    this.marks = new MarkerFiles(options);
    this.general = generalRules(options.sources);
    this.filter = fileFilter(options.filter);
    for (const directory of options.directories) this.addDirectory(directory);
    const { skipNoDump, skipNoAccess, maxFileBytes } = options;
    this.alwaysEvaluates =
      this.general.rules.length > 0 ||
      this.filter !== undefined ||
      skipNoDump ||
      skipNoAccess ||
      maxFileBytes > 0;
  }

  private addDirectory(path: string): void {
    const name = lastComponent(Buffer.from(path, 'latin1')).toString('latin1');
    const above = path.slice(0, Math.max(1, path.length - name.length - 1));
    const names = this.directories.get(above) ?? new Set();
    this.directories.set(above, names.add(name));
  }

  /**
   * Returns the decisions for a directory; undefined if all its entries are kept. Throws a system error if the
   * directory is gone.
   */
  enter(directory: ListedDirectory): DirectoryDecider | undefined {
    const marks = this.marks.find(directory.rows, directory.identity);
    const path = directory.path.toString('latin1');
    const names = this.directories.get(path);
    if (
      marks === undefined &&
      names === undefined &&
      directory.rules === undefined &&
      !this.alwaysEvaluates
    ) {
      return undefined;
    }
    const problems: RuleProblem[] = [];
    const emptied = this.emptiedBy(directory, marks);
    if (emptied !== undefined) {
      const decision: Decision = { isLeftOut: true, reason: emptied, rule: undefined };
      return { rules: undefined, problems, emptied: decision, over: () => () => decision };
    }
    const { ruleFileNames, localRuleFileNames } = this.options;
    const own = this.readFiles(directory, marks, ruleFileNames, problems);
    const rules = linkTo(directory, own, problems);
    const local = this.readFiles(directory, marks, localRuleFileNames, problems);
    const lists = this.listsFor(path, rules, local);
    return {
      rules,
      problems,
      emptied: undefined,
      over: (rows) => this.decider(directory, rows, lists, names),
    };
  }

  /** Returns rows of the marker files in a directory, for callers without its listing. */
  markRows(directory: DirectoryPlace): RowReader {
    return this.marks.look(this.system, directory);
  }

  private emptiedBy(
    directory: ListedDirectory,
    marks: ReadonlyMap<string, number> | undefined,
  ): 'skipFile' | 'cacheTag' | undefined {
    const { rows, isRoot } = directory;
    if (isRoot || marks === undefined) return undefined;
    if (this.options.skipFileNames.some((name) => marks.has(name))) return 'skipFile';
    const tag = this.options.skipCaches ? marks.get(CACHE_TAG_NAME) : undefined;
    return tag !== undefined && isCache(this.system, directory, rows, tag) ? 'cacheTag' : undefined;
  }

  private readFiles(
    directory: ListedDirectory,
    marks: ReadonlyMap<string, number> | undefined,
    names: readonly string[],
    problems: RuleProblem[],
  ): RuleFile[] {
    return names.flatMap((name): RuleFile[] => {
      const at = marks?.get(name);
      if (at === undefined) return [];
      if (directory.rows.type(at) !== EntryType.file) {
        problems.push(problemOf(name, 'not a regular file'));
        return [{ name, bytes: undefined }];
      }
      const { bytes, failure } = readBeginning(this.system, directory, name, READ_RULE_BYTES);
      if (bytes !== undefined && bytes.length <= MAX_RULE_FILE_BYTES) return [{ name, bytes }];
      const reason = bytes === undefined ? failure : 'too large';
      if (reason === 'ENOENT') return []; // deleted meanwhile: it no longer applies
      problems.push(problemOf(name, reason));
      return [{ name, bytes: undefined }];
    });
  }

  /** Returns the lists of rules that apply in a directory, the strongest first. */
  private listsFor(
    path: string,
    rules: RuleLink | undefined,
    local: readonly RuleFile[],
  ): Applied[] {
    const lists: Applied[] = [];
    const apply = (list: RuleList, base: string): void => {
      if (list.rules.length === 0) return;
      lists.push({ list, beneath: list.hasPaths ? pathBeneath(base, path) : '' });
    };
    if (local.length > 0) apply(compileFiles(path, local), path);
    for (let link = rules; link !== undefined; link = link.above) {
      let compiled = this.compiled.get(link);
      if (compiled === undefined) {
        const base = Buffer.from(link.path).toString('latin1');
        compiled = { list: compileFiles(base, link.files), base };
        this.compiled.set(link, compiled);
      }
      apply(compiled.list, compiled.base);
    }
    apply(this.general, '/');
    return lists;
  }

  private accessOf(place: DirectoryPlace, { rows }: RowReader): Access {
    const { skipNoDump, skipNoAccess } = this.options;
    if (!skipNoDump && !skipNoAccess) return { noDump: undefined, forbidden: undefined };
    const { native } = this.system;
    using directory = new OpenedPlace(native, place);
    const noDump = skipNoDump ? native.noDumpRows(directory.fd, rows) : undefined;
    const forbidden = skipNoAccess ? native.forbiddenRows(directory.fd, rows) : undefined;
    return { noDump, forbidden };
  }

  private decider(
    place: DirectoryPlace,
    rows: RowReader,
    lists: readonly Applied[],
    names: ReadonlySet<string> | undefined,
  ): Decide {
    const { maxFileBytes } = this.options;
    const { noDump, forbidden } = this.accessOf(place, rows);
    const leftOut = (reason: Reason): Decision => ({ isLeftOut: true, reason, rule: undefined });
    const { filter } = this;
    const directory = filter === undefined ? '' : place.path.toString('latin1');
    return (at, index) => {
      const type = rows.type(at);
      const isDirectory = type === EntryType.directory;
      const name = rows.name(at).toString('latin1');
      if (isDirectory && names?.has(name) === true) return leftOut('excludeDirectory');
      const rule = findRule(lists, name, isDirectory);
      if (rule?.isKeeping === false) return { isLeftOut: true, reason: 'rule', rule };
      const isTooLarge = maxFileBytes > 0 && type === EntryType.file;
      if (isTooLarge && rows.sizeBytes(at) > maxFileBytes) return leftOut('size');
      const line = filter?.find(directory, name, isDirectory);
      if (line?.isAccepting === false) return { isLeftOut: true, reason: 'filter', rule: line };
      if (filter !== undefined && line === undefined) return leftOut('notAccepted');
      if (noDump?.[index] === 1) return leftOut('noDump');
      if (forbidden?.[index] === 1) return leftOut('noAccess');
      if (rule !== undefined) return { isLeftOut: false, reason: 'rule', rule };
      return line && { isLeftOut: false, reason: 'filter', rule: line };
    };
  }
}

/** MarkerFiles of the rows of a directory, a byte for each; undefined if nothing depends on them. */
interface Access {
  readonly noDump: Buffer | undefined;
  readonly forbidden: Buffer | undefined;
}

function findRule(lists: readonly Applied[], name: string, isDirectory: boolean): Rule | undefined {
  for (const { list, beneath } of lists) {
    const rule = list.find(name, beneath, isDirectory);
    if (rule !== undefined) return rule;
  }
  return undefined;
}

function linkTo(
  directory: ListedDirectory,
  files: readonly RuleFile[],
  problems: RuleProblem[],
): RuleLink | undefined {
  const above = directory.rules;
  if (files.length === 0) return above;
  const path = new Uint8Array(directory.path); // a copy: with a view, its whole buffer would be sent to the worker
  const aboveBytes = above?.totalBytes ?? 0;
  const totalBytes = files.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), aboveBytes);
  if (totalBytes <= MAX_CHAIN_BYTES) return { above, path, files, totalBytes };
  problems.push(
    ...files.map(({ name }) => problemOf(name, 'too many rules in the directories above')),
  );
  const unknown = files.map(({ name }) => ({ name, bytes: undefined }));
  // Below a rule that keeps everything, no rule from above applies.
  return { above: undefined, path, files: unknown, totalBytes: 0 };
}

function problemOf(name: string, reason: string): RuleProblem {
  return { name: Buffer.from(name, 'latin1'), reason: `rules: ${reason}` };
}

function compileFiles(directory: string, files: readonly RuleFile[]): RuleList {
  const rules = files.flatMap(({ name, bytes }) => {
    const path = joinPath(Buffer.from(directory, 'latin1'), Buffer.from(name, 'latin1'));
    const origin = { kind: 'file', name: path.toString('latin1') } as const;
    if (bytes !== undefined) return parseRules(bytes, origin, 'directory');
    return [{ ...parseRule('!*', origin, 1, 'directory'), text: UNREADABLE }];
  });
  return new RuleList(rules);
}

/** Text shown in place of the rule of a file that cannot be read. */
const UNREADABLE = '(cannot be read, so everything is kept)';

const WORDS: Readonly<Record<Exclude<Reason, 'rule' | 'filter'>, string>> = Object.freeze({
  notAccepted: 'no line of the filter file accepts it',
  skipFile: 'its directory contains a skip file',
  cacheTag: 'its directory is marked as a cache by CACHEDIR.TAG',
  excludeDirectory: 'it is named by --exclude-dir, or each backup writes to it',
  size: 'it is larger than --max-file-size',
  noDump: 'it has the attribute "no dump"',
  noAccess: 'this user may not read it',
});

/** Returns the reason why an entry is excluded or kept; a rule is described as `file:line: pattern`. */
export function describeDecision({ reason, rule }: Decision): string {
  return reason === 'rule' || reason === 'filter' ? describeRule(rule!) : WORDS[reason];
}

/** Returns the place of a rule and its text. */
export function describeRule({ origin, line, text }: DecidingLine): string {
  const pattern = displayName(Buffer.from(text, 'latin1'));
  if (origin.kind !== 'file') return `${origin.name}: ${pattern}`;
  return `${displayName(Buffer.from(origin.name, 'latin1'))}:${line}: ${pattern}`;
}
