/** An event that is reported to hooks, to URLs and by mail. It contains no secrets. */
import { HOOK_VARIABLES } from '../config/index.js';
import { displayLine, type SetNumber } from '../model/index.js';

export interface HookEvent {
  readonly event: 'start' | 'before' | 'after' | 'success' | 'warning' | 'failure' | 'overdue';
  readonly client: string;
  readonly job?: string;
  /** Exit status of the backup. */
  readonly status?: number;
  /** Error code of docs/damage/errors.md. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly set?: SetNumber | undefined;
  readonly setName?: string;
  readonly entries?: number;
  readonly scannedBytes?: number;
  readonly sentBytes?: number;
  readonly storedBytes?: number;
  /** Number of entries that could not be read, or only in part. */
  readonly unread?: number;
  readonly warnings?: number;
  readonly seconds?: number;
  /** Time when the newest complete set ended, as ISO 8601. */
  readonly lastGood?: string | undefined;
  /** Number of seconds since `lastGood`. */
  readonly ageSeconds?: number | undefined;
  /** Time of the last restore that proved the backups, as ISO 8601. */
  readonly lastRestore?: string | undefined;
  /** The next step for the user, as a sentence. */
  readonly advice?: string | undefined;
}

/** Maximum length of a value. An environment variable can hold at most 128 KiB; error messages are single lines. */
const MAX_VALUE_CHARS = 4096;

/** Returns the environment variables for a hook; unknown values are not set. */
export function hookVariables(event: HookEvent): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [field, text] of fieldsOf(event)) variables[HOOK_VARIABLES[field]] = text;
  return variables;
}

/** Returns one line for each known value, for mail. */
export function eventLines(event: HookEvent): string[] {
  return fieldsOf(event).map(([field, text]) => `${field}: ${text}`);
}

function fieldsOf(event: HookEvent): [keyof HookEvent, string][] {
  return (Object.keys(HOOK_VARIABLES) as (keyof HookEvent)[]).flatMap((field) => {
    const value = event[field];
    if (value === undefined) return [];
    return [[field, displayLine(String(value).slice(0, MAX_VALUE_CHARS))]];
  });
}
