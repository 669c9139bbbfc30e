/** Configurations that a client reports with its sets. */
import type { PlainConfig } from '../../src/model/index.js';

/** Returns a configuration with one setting, which distinguishes it from others. */
export function configWith(value: string): PlainConfig {
  return {
    form: 'plain',
    software: 'tardis 1.2.3',
    node: 'v22.0.0',
    platform: 'linux',
    arch: 'x64',
    settings: [{ name: 'setName', value }],
  };
}
