/** Applies the settings that are stored with a client to its sessions. */
import { meantSettings } from '../../config/index.js';
import { type Catalog, settingsOf } from '../../store/catalog/index.js';
import type { StorageOptions } from './storage-options.js';

/** Returns the server's options, overridden by the settings that are stored with the client. */
export function optionsFor(catalog: Catalog, options: StorageOptions): StorageOptions {
  const kept = meantSettings(settingsOf(catalog));
  if (kept.size === 0) return options;
  const number = (key: string, otherwise: number): number => {
    const value = kept.get(key);
    return typeof value === 'number' ? value : otherwise;
  };
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = kept.get(key);
    return typeof value === 'boolean' ? value : otherwise;
  };
  const { deltas, saveConfig = true } = options;
  return {
    ...options,
    deltas: {
      maxChain: number('MaxDeltaChain', deltas.maxChain),
      maxChangePercent: number('MaxChangePercent', deltas.maxChangePercent),
      saveFull: flag('SaveFull', deltas.saveFull),
    },
    saveConfig: flag('SaveConfig', saveConfig),
  };
}

export { formatsFor } from '../../store/writer/index.js';
