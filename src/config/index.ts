export { parseDate } from './dates.js';
export { ABSENT, type AbsentKind, refuseAbsent } from './absent.js';
export { expandArguments } from './argument-files.js';
export { explain, givenWords } from './explain.js';
export { HOOK_VARIABLES } from './rows-hooks.js';
export { parseIni, readIni } from './ini.js';
export { configInvalid, requireOwnFile } from './invalid.js';
export { clientJobs, type Found, longFlag, type Source } from './layers.js';
export { KEPT_KEYS, keptKey, keptValue, meantSettings } from './client-settings.js';
export { NEOPHYTOS, NEOPHYTOS_ONLY } from './neophytos.js';
export { nearest, nearestHint } from './nearest.js';
export {
  isBucket,
  isSetAbove,
  resolveSettings,
  SOURCES,
  SYSTEM_FOLDER,
  usualClientFile,
} from './precedence.js';
export {
  BUCKET_SCHEME,
  type BucketPlace,
  isBucketText,
  isSshText,
  parsePlace,
  parseSshPlace,
  type SshPlace,
} from './store-place.js';
export { profileFor, storageThreadsOf } from './profiles.js';
export { parseRates, rateAt, type RatePeriod } from './rates.js';
export type { SettingRow, ValueSpec } from './row.js';
export { DEFAULT_PORT } from './rows-common.js';
export {
  allRows,
  defaultOf,
  hasOwnExcludes,
  headingOf,
  listedRowsOf,
  rowsOf,
  type SettingName,
  type Settings,
  type SettingsNamed,
  type Sourced,
  type Sources,
} from './settings.js';
export { formatSize, parseSize } from './sizes.js';
export { type SourceCommand, sourceCommand } from './source-commands.js';
export { ALSO_OF_SONIC, type Tool, TOOLS, USER_TOOLS } from './tools.js';
export { formatValue, parseGiven, parseValue } from './values.js';
export { splitList, splitWords } from './command-words.js';
