/** Compares the sources of settings that contradict each other. */
import type { SettingName, Source, Sourced } from '../../config/index.js';

/** Sources of settings, the highest precedence first. */
export const SOURCES: readonly Source[] = [
  'command line',
  'configuration file',
  'environment',
  'system defaults',
];

/** True if the source of the first setting has a higher precedence than the source of the second. */
export function isSetAbove({ sources }: Sourced, name: SettingName, other: SettingName): boolean {
  const rank = (setting: SettingName): number => {
    const source = sources.get(setting)?.source;
    const index = source === undefined ? -1 : SOURCES.indexOf(source);
    return index < 0 ? SOURCES.length : index;
  };
  return rank(name) < rank(other);
}
