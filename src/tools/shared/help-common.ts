/** Options that most people need. --help lists them, and --help-all the others too. */
import type { SettingName, SettingRow, Tool } from '../../config/index.js';

/** Settings of several commands, and of those with many options. An option of one command of `sonic` alone is always listed. */
const COMMON: ReadonlySet<string> = new Set<SettingName>([
  // where from, and where to
  'database',
  'client',
  'server',
  'throughServer',
  'local',
  'create',
  'otherStores',
  'copyTo',
  'copyToServer',
  'password',
  'passwordFile',
  // a backup
  'dryRun',
  'verbosity',
  'exclude',
  'excludeFiles',
  'skipCaches',
  'explain',
  'tags',
  'purge',
  'crossDevice',
  // sets, files and versions
  'backup',
  'date',
  'comparedSets',
  'comparedDates',
  'long',
  'recurseListing',
  'findPattern',
  'versions',
  'listOnly',
  'unifiedLines',
  // a restore
  'output',
  'all',
  'hierarchy',
  'overwrite',
  'include',
  'toStdout',
  'tar',
  'zip',
  // a mount, a page
  'foreground',
  'allowOther',
  'openBrowser',
  // a server
  'port',
  'daemonConfig',
  'remoteConfig',
  'localSocket',
  'certFile',
  'keyFile',
  'makeCertificate',
  'keepLast',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'keepYearly',
  'deleteYes',
  'json',
]);

/** Commands for which a port is not worth a line: they rarely reach another one than the usual. */
const isClient = (tool: Tool): boolean => tool !== 'tardisd' && tool !== 'tardisremote';

/** Returns true if --help lists the setting of a command. */
export function isCommon(tool: Tool, name: string, row: SettingRow): boolean {
  if (name === 'port' && isClient(tool)) return false;
  const isOwn = tool.startsWith('sonic ') && row.tools.length === 1;
  return isOwn || COMMON.has(name);
}
