/** The user's exclude options, as plain data that crosses threads. */
import type { FilterFile } from './filter-rules.js';
import type { RuleOrigin } from './rules.js';

/** Patterns that belong to no directory: from an option, built in, or from a file that an option names. */
export type PatternSource =
  | { readonly origin: RuleOrigin; readonly patterns: readonly string[] }
  | { readonly origin: RuleOrigin; readonly bytes: Uint8Array };

export interface ExcludeOptions {
  /** Sources in rising priority: later ones override earlier ones. Patterns are bytes as latin1. */
  readonly sources: readonly PatternSource[];
  /** Absolute paths of directories that are excluded regardless of the rules (bytes as latin1). */
  readonly directories: readonly string[];
  /** Names of rule files that apply to a directory and everything below it, in rising priority. */
  readonly ruleFileNames: readonly string[];
  /** Names of rule files that apply to a directory alone. */
  readonly localRuleFileNames: readonly string[];
  /** Names of files that exclude all entries of their directory. */
  readonly skipFileNames: readonly string[];
  /** True if all entries of directories with a valid CACHEDIR.TAG are excluded. */
  readonly skipCaches: boolean;
  /** True if entries with the attribute "no dump" are excluded. */
  readonly skipNoDump: boolean;
  /** True if entries that this process may not read are excluded. */
  readonly skipNoAccess: boolean;
  /** Maximum size of files that are not excluded; 0 means no limit. */
  readonly maxFileBytes: number;
  /** Filter file; entries that it does not accept are excluded. */
  readonly filter: FilterFile | undefined;
  /** True if the paths of excluded entries are reported, not only their number. */
  readonly reportsPaths: boolean;
}

/** Names of rule files, in both common spellings. */
export const RULE_FILE_NAMES: readonly string[] = ['.tardis-exclude', '.tardis-excludes'];
export const LOCAL_RULE_FILE_NAMES: readonly string[] = [
  '.tardis-local-exclude',
  '.tardis-local-excludes',
];
export const SKIP_FILE_NAME = '.tardis-skip';

/**
 * Patterns of `--cvs-ignore`: those that CVS ignores by default, swap files of editors, and the directories
 * of CVS, RCS, SCCS, Subversion, git, Mercurial and Bazaar.
 */
const PATTERNS =
  'RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old ' +
  '*.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .*.swp .*.swo ' +
  '.svn .git .hg .bzr';

export const CVS_PATTERNS: PatternSource = Object.freeze({
  origin: Object.freeze({ kind: 'builtin', name: '--cvs-ignore' }),
  patterns: Object.freeze(PATTERNS.split(' ')),
});
