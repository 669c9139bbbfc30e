/** The field with the configuration of a run, in the message of a backup and in the answer to a reader. */
import { listOf, mapOf, oneOf } from './message-row.js';

export const CLIENT_CONFIG = oneOf('form', {
  plain: {
    software: 'line',
    node: 'line',
    platform: 'line',
    arch: 'line',
    /** Settings that do not have their default values. */
    settings: listOf(mapOf({ name: 'line', value: 'line' })),
  },
  /** The whole configuration as one sealed value, from a client that encrypts. */
  sealed: { bytes: 'bytes' },
});

/** The machine on which a client made a set. */
export const MACHINE = mapOf({ id: 'line', host: 'text' });
