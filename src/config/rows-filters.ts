/** Settings of filters, which decide what is backed up and how contents are stored. */
import type { SettingTable } from './row.js';

export const FILTER_ROWS = {
  filterFile: {
    type: 'path',
    tools: ['tardis'],
    flags: '--filter-file <file>',
    clientKey: 'FilterFile',
    help: 'exclude what no line of this file accepts; each line: file, dir, any or path, then accept or reject, then a regular expression',
    test: 'a filter file comes from option and key, and excludes what it does not accept',
  },
  makeSampleFilterFile: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--make-sample-filter-file',
    help: 'write filter.example and do nothing else',
    test: '--make-sample-filter-file writes a usable file, and never replaces one',
  },
  cryptFilterFile: {
    type: 'path',
    tools: ['tardis'],
    flags: '--efilter-file, --crypt-filter-file <file>',
    clientKey: 'CryptFilterFile',
    help: 'file with lines "#tag,algorithm", each followed by filters that select the contents to encrypt with that algorithm',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
  defaultCrypt: {
    type: 'choice',
    choices: ['auto', 'aes', 'chacha', 'none'],
    default: 'auto',
    tools: ['tardis'],
    flags: '--def-crypt <algorithm>',
    clientKey: 'DefaultCrypt',
    help: 'algorithm for contents that --efilter-file does not select: aes, chacha, none, or auto (the best one for this processor)',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
} as const satisfies SettingTable;
