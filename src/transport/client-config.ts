/** The field with the configuration of a run, in the message of a backup and in the answer to a reader. */
import type { ClientConfig } from '../model/index.js';
import { listOf, mapOf, oneOf, type ValueOf } from './message-row.js';

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

/** Returns a configuration as a value of its field. */
export function sentConfig(config: ClientConfig): ValueOf<typeof CLIENT_CONFIG> {
  if (config.form === 'sealed') return config;
  return { ...config, settings: [...config.settings] };
}

/** The machine on which a client made a set. */
export const MACHINE = mapOf({ id: 'line', host: 'text' });
