/** What has happened, as hooks, addresses and mail are told. Nothing in it is secret. */
import { HOOK_VARIABLES } from '../config/index.js';
import { displayName } from '../model/index.js';

export interface HookEvent {
  readonly event: 'start' | 'before' | 'after' | 'success' | 'warning' | 'failure' | 'overdue';
  readonly client: string;
  readonly job?: string;
  /** Exit status of the backup. */
  readonly status?: number;
  /** Of docs/errors.md. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly set?: number | undefined;
  readonly setName?: string;
  readonly entries?: number;
  readonly scannedBytes?: number;
  readonly sentBytes?: number;
  readonly storedBytes?: number;
  /** Entries that could not be read, or not whole. */
  readonly unread?: number;
  readonly warnings?: number;
  readonly seconds?: number;
  /** When the newest complete set ended, as ISO 8601. */
  readonly lastGood?: string | undefined;
  /** Since then. */
  readonly ageSeconds?: number;
}

/** A variable can hold no more than 128 KiB; messages of errors are lines. */
const MAX_VALUE_CHARS = 4096;

/** The variables for a hook; what is not known is not set. */
export function hookVariables(event: HookEvent): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [field, text] of fieldsOf(event)) variables[HOOK_VARIABLES[field]] = text;
  return variables;
}

/** One line for each thing that is known, for mail. */
export function eventLines(event: HookEvent): string[] {
  return fieldsOf(event).map(([field, text]) => `${field}: ${text}`);
}

function fieldsOf(event: HookEvent): [keyof HookEvent, string][] {
  return (Object.keys(HOOK_VARIABLES) as (keyof HookEvent)[]).flatMap((field) => {
    const value = event[field];
    if (value === undefined) return [];
    return [[field, displayName(Buffer.from(String(value).slice(0, MAX_VALUE_CHARS)))]];
  });
}
