/** Settings of filters, which decide what is backed up and how contents are stored. */
import type { SettingTable } from './row.js';

export const FILTER_ROWS = {
  filterFile: {
    type: 'path',
    tools: ['tardis'],
    flags: '--filter-file <file>',
    clientKey: 'FilterFile',
    help: 'exclude what no line of this file accepts; a line has a kind, the word accept or reject, and a regular expression',
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
    help: 'file that chooses how contents are encrypted: lines of #tag,algorithm, each followed by its filters',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
  defaultCrypt: {
    type: 'choice',
    choices: ['auto', 'aes', 'chacha', 'none'],
    default: 'auto',
    tools: ['tardis'],
    flags: '--def-crypt <algorithm>',
    clientKey: 'DefaultCrypt',
    help: 'how to encrypt all other contents: aes, chacha, none, or auto (the best one for this processor)',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
} as const satisfies SettingTable;
