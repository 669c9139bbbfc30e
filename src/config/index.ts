export { parseDate } from './dates.js';
export { ABSENT, type AbsentKind, type AbsentRow, refuseAbsent } from './absent.js';
export { expandArguments } from './argument-files.js';
export { explain, type Explained } from './explain.js';
export { HOOK_VARIABLES } from './hook-variables.js';
export { type IniSection, parseIni, readIni } from './ini.js';
export { configInvalid } from './invalid.js';
export type { Found, Source } from './layers.js';
export { KEPT_KEYS, keptKey, keptValue, meantSettings } from './client-settings.js';
export { NEOPHYTOS, NEOPHYTOS_ONLY, type NeophytosRow } from './neophytos.js';
export { nearest } from './nearest.js';
export { type Given, isBucket, isBucketText, type Resolved, resolveSettings } from './resolve.js';
export { type Profile, profileFor } from './profiles.js';
export { parseRates, rateAt, type RatePeriod } from './rates.js';
export type { SettingRow, SettingTable, ValueOf, ValueSpec, ValueType } from './row.js';
export { DEFAULT_PORT, DEFAULT_STORE } from './rows-common.js';
export {
  allRows,
  defaultOf,
  headingOf,
  listedRowsOf,
  rowsOf,
  type SettingName,
  SETTINGS,
  type Settings,
} from './settings.js';
export { parseSize } from './sizes.js';
export { type Tool, TOOLS } from './tools.js';
export { formatValue, parseGiven, parseValue, type Value } from './values.js';
export { splitList, splitWords } from './words.js';
