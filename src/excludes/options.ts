/** What a user wants left out, as plain data that crosses threads. */
import type { FilterFile } from './filter-rules.js';
import type { RuleOrigin } from './rules.js';

/** Patterns that lie in no directory: of an option, built in, or of a file named by an option. */
export type PatternSource =
  | { readonly origin: RuleOrigin; readonly patterns: readonly string[] }
  | { readonly origin: RuleOrigin; readonly bytes: Uint8Array };

export interface ExcludeOptions {
  /** In rising order: what a later one says counts more. Patterns are bytes as latin1. */
  readonly sources: readonly PatternSource[];
  /** Absolute paths of directories that are left out whatever the rules say (bytes as latin1). */
  readonly directories: readonly string[];
  /** Names of rule files for a directory and all below it, in rising order. */
  readonly ruleFileNames: readonly string[];
  /** Names of rule files for a directory alone. */
  readonly localRuleFileNames: readonly string[];
  /** Names that leave out what is in their directory. */
  readonly skipFileNames: readonly string[];
  /** Leave out what is in directories with a valid CACHEDIR.TAG. */
  readonly skipCaches: boolean;
  /** Leave out what has the attribute "no dump". */
  readonly skipNoDump: boolean;
  /** Leave out what this process may not read. */
  readonly skipNoAccess: boolean;
  /** Larger files are left out; 0 stands for no limit. */
  readonly maxFileBytes: number;
  /** What it does not accept is left out. */
  readonly filter: FilterFile | undefined;
  /** Tell the paths of what is left out, not only their number. */
  readonly tellsPaths: boolean;
}

/** Nothing is left out, no rule file looked for. */
export const NO_EXCLUDES: ExcludeOptions = Object.freeze({
  sources: [],
  directories: [],
  ruleFileNames: [],
  localRuleFileNames: [],
  skipFileNames: [],
  skipCaches: false,
  skipNoDump: false,
  skipNoAccess: false,
  maxFileBytes: 0,
  filter: undefined,
  tellsPaths: false,
});

/** Names of the files that say what to leave out, in both spellings people know. */
export const RULE_FILE_NAMES: readonly string[] = ['.tardis-exclude', '.tardis-excludes'];
export const LOCAL_RULE_FILE_NAMES: readonly string[] = [
  '.tardis-local-exclude',
  '.tardis-local-excludes',
];
export const SKIP_FILE_NAME = '.tardis-skip';
