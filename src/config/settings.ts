/** The table of all settings, joined from its parts, and the types derived from it. */
import { completed, type GivenRow, type SettingRow, type ValueOf } from './row.js';
import type { Found } from './layers.js';
import type { Tool } from './tools.js';
import {
  CLIENT_ROWS,
  DELTA_ROWS,
  EXCLUDE_ROWS,
  FILTER_ROWS,
  IMPORT_ROWS,
  ROOT_ROWS,
  SOURCE_ROWS,
} from './rows-backup.js';
import { BUCKET_ROWS } from './rows-bucket.js';
import { COMMON_ROWS, LOGIN_ROWS } from './rows-common.js';
import { HOOK_ROWS } from './rows-hooks.js';
import { COMPARE_ROWS, LISTING_ROWS, MOUNT_ROWS, REPORT_ROWS, WEB_ROWS } from './rows-read.js';
import { EXPORT_ROWS, RESTORE_ROWS } from './rows-restore.js';
import { REMOTE_ROWS, SERVER_ROWS, WATCH_ROWS } from './rows-server.js';
import { MARK_ROWS, RETENTION_ROWS, GC_ROWS } from './rows-sets.js';
import { CHECK_ROWS, COPY_ROWS, REKEY_ROWS, SETUP_ROWS } from './rows-store.js';
import { TUNING_ROWS } from './rows-tuning.js';

const SETTINGS = {
  ...COMMON_ROWS,
  ...CLIENT_ROWS,
  ...LISTING_ROWS,
  ...DELTA_ROWS,
  ...LOGIN_ROWS,
  ...EXCLUDE_ROWS,
  ...FILTER_ROWS,
  ...ROOT_ROWS,
  ...IMPORT_ROWS,
  ...SOURCE_ROWS,
  ...RESTORE_ROWS,
  ...TUNING_ROWS,
  ...SERVER_ROWS,
  ...REKEY_ROWS,
  ...COPY_ROWS,
  ...EXPORT_ROWS,
  ...SETUP_ROWS,
  ...GC_ROWS,
  ...MARK_ROWS,
  ...MOUNT_ROWS,
  ...RETENTION_ROWS,
  ...REPORT_ROWS,
  ...CHECK_ROWS,
  ...COMPARE_ROWS,
  ...HOOK_ROWS,
  ...WATCH_ROWS,
  ...WEB_ROWS,
  ...REMOTE_ROWS,
  ...BUCKET_ROWS,
} as const;

type Table = typeof SETTINGS;
export type SettingName = keyof Table;

/** The value of each setting that has one, and where it comes from. */
export type Sources = ReadonlyMap<string, Found>;

export interface Sourced {
  readonly sources: Sources;
}

/** The settings of a tool, with the types of the rows, and their sources. */
export type Settings<T extends Tool> = Sourced & {
  readonly [K in SettingName as T extends Table[K]['tools'][number] ? K : never]: ValueOf<Table[K]>;
};

/** True if a command line has rules of its own for what a backup leaves out. */
export function hasOwnExcludes({ sources }: Sourced): boolean {
  return Object.keys(EXCLUDE_ROWS).some((name) => sources.get(name)?.source === 'command line');
}

/** The values of some settings, for code that several tools share. */
export type SettingsNamed<K extends SettingName> = { readonly [N in K]: ValueOf<Table[N]> };

/** Returns the rows of a tool, by name, with the texts of this tool. */
export function rowsOf(tool: Tool): [name: string, row: SettingRow][] {
  return allRows()
    .filter(([, row]) => row.tools.includes(tool))
    .map(([name, row]) => {
      const texts = row.perTool?.[tool];
      return [name, texts === undefined ? row : { ...row, ...texts }];
    });
}

/** Returns the rows that help, manuals and completions of a tool list. */
export function listedRowsOf(tool: Tool): [name: string, row: SettingRow][] {
  return rowsOf(tool).filter(([, row]) => row.isUnlisted !== true);
}

/** Returns the heading of a setting in --help. */
export function headingOf(name: string): string {
  if (name in SOURCE_ROWS) return 'Commands as sources:';
  if (name in EXCLUDE_ROWS) return 'Exclude rules:';
  if (name in FILTER_ROWS) return 'Filters:';
  if (name in HOOK_ROWS) return 'Hooks and notifications:';
  if (name in BUCKET_ROWS) return 'Buckets:';
  if (name in WATCH_ROWS) return 'Monitoring:';
  if (name in LOGIN_ROWS) return 'Passwords and connection:';
  return name in TUNING_ROWS ? 'Tuning:' : 'Options:';
}

const ROWS = Object.entries<GivenRow>(SETTINGS).map(([name, row]): [string, SettingRow] => [
  name,
  completed(row),
]);

/** Returns all rows, by name. */
export function allRows(): readonly [name: string, row: SettingRow][] {
  return ROWS;
}

/**
 * Returns the default of a setting as its row has it, for callers without resolved settings. A computed default is a
 * function.
 */
export function defaultOf<K extends SettingName>(
  name: K,
): Table[K] extends { default: infer D } ? D : undefined {
  const row: GivenRow = SETTINGS[name];
  return row.default as Table[K] extends { default: infer D } ? D : undefined;
}
