/**
 * Seals the configuration of a run, and the words of its record, each as one value, so that a store sees neither the
 * names nor their number.
 */
import { TardisError } from '../errors/index.js';
import {
  type ClientConfig,
  isPlainConfig,
  type PlainConfig,
  type RunRecord,
  type SealedConfig,
} from '../model/index.js';
import { plainPackr } from '../system/msgpack/index.js';
import type { NameSealer } from './name-sealer.js';

const packr = plainPackr();

export function sealConfig(names: NameSealer, config: PlainConfig): SealedConfig {
  return { form: 'sealed', bytes: names.config(packr.pack(config)) };
}

/** Returns a record with its words sealed. */
export function sealedRun<R extends Pick<RunRecord, 'words'>>(run: R, names: NameSealer): R {
  return run.words === undefined ? run : { ...run, words: names.text(run.words) };
}

/** Opens a stored configuration. Throws NOT_AUTHENTIC if this client has not sealed it. */
export function openConfig(names: NameSealer, config: ClientConfig): PlainConfig {
  if (config.form === 'sealed') {
    const opened = unpacked(names.openConfig(config.bytes));
    if (isPlainConfig(opened)) return opened;
  }
  throw new TardisError('NOT_AUTHENTIC', 'a configuration was not sealed by this client');
}

/** Returns the decoded value; undefined if the bytes are not msgpack. */
function unpacked(bytes: Buffer): unknown {
  try {
    return packr.unpack(bytes);
  } catch {
    return undefined; // for any reason, it is no configuration
  }
}
