/**
 * Patterns of `--cvs-ignore`: those that CVS ignores by default, swap files of editors, and the directories
 * of CVS, RCS, SCCS, Subversion, git, Mercurial and Bazaar.
 */
import type { PatternSource } from './options.js';

const PATTERNS =
  'RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old ' +
  '*.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .*.swp .*.swo ' +
  '.svn .git .hg .bzr';

export const CVS_PATTERNS: PatternSource = Object.freeze({
  origin: Object.freeze({ kind: 'builtin', name: '--cvs-ignore' }),
  patterns: Object.freeze(PATTERNS.split(' ')),
});
