/** Settings of filters, which decide what is backed up and how contents are stored. */
import type { SettingTable } from './row.js';

export const FILTER_ROWS = {
  filterFile: {
    type: 'path',
    tools: ['tardis'],
    flags: '--filter-file <file>',
    clientKey: 'FilterFile',
    help: 'back up only what this file accepts. Each line is: file|dir|any|path accept|reject REGEX; the first line that matches decides (see docs/filters.md)',
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
    help: 'file that chooses how the contents of each file are encrypted. It has groups: a line "#NAME,ALGORITHM" (such as #pictures,none), then lines as in --filter-file, which select the files of the group (see docs/filters.md)',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
  defaultCrypt: {
    type: 'choice',
    choices: ['auto', 'aes', 'chacha', 'none'],
    default: 'auto',
    tools: ['tardis'],
    flags: '--def-crypt <algorithm>',
    clientKey: 'DefaultCrypt',
    help: 'encryption of contents that --efilter-file does not select: aes, chacha, none, or auto (aes if the processor has AES instructions, otherwise chacha)',
    test: 'contents are encrypted by filter file and default, and can be restored in every way',
  },
} as const satisfies SettingTable;
