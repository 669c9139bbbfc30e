/** Seals the configuration of a run as one value, so that a store sees neither the names nor their number. */
import { TardisError } from '../errors/index.js';
import {
  type ClientConfig,
  isPlainConfig,
  type PlainConfig,
  type SealedConfig,
} from '../model/index.js';
import { plainPackr } from '../system/msgpack/index.js';
import type { NameSealer } from './name-sealer.js';

const packr = plainPackr();

export function sealConfig(names: NameSealer, config: PlainConfig): SealedConfig {
  return { form: 'sealed', bytes: names.config(packr.pack(config)) };
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
