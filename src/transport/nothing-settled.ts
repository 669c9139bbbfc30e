/** The message `settled` of a session after which the server had nothing to purge or to free. */
import type { Head } from './messages.js';

export const NOTHING_SETTLED: Head<'settled'> = Object.freeze({
  purged: [],
  early: [],
  young: 0,
  cautious: false,
  contents: 0,
  packs: 0,
  freedBytes: 0,
  deletedFiles: 0,
  deletedBytes: 0,
  isDone: true,
  inDoubt: false,
  failure: '',
});
