/** Prints the entries that a restore could not write, or not completely. */
import { errnoText, ERROR_TABLE, isErrorCode } from '../../errors/index.js';
import { displayName, displayText, jsonName } from '../../model/index.js';
import type { RestoreFailure } from '../../restore/index.js';
import { complain } from '../output/command-names.js';
import { formatCount } from '../output/units.js';

/** Maximum number of failures printed, since a lost pack affects many files. --json prints all failures. */
const MAX_FAILURES_SHOWN = 100;

/** Kinds of errors of single entries whose remedy is printed. */
const GUIDED_KINDS: ReadonlySet<string> = new Set(['damage', 'partial']);

/** Numbers of failures, by their kind. */
interface Failures {
  /** All but those of attributes. */
  readonly failed: number;
  /** Those of `failed` that the backup could not read. */
  readonly unread: number;
  /** Entries that were written without one of their attributes. */
  readonly entriesLacking: number;
}

/** Returns a failure as --json prints it. */
export function jsonFailure({ path, error }: RestoreFailure): Record<string, unknown> {
  return { ...jsonName(path), ...error };
}

/** Prints failures of a program on standard error. Only `regenerate` has options that leave metadata out, and names them. */
export function printFailures(
  program: 'regenerate' | 'sonic export',
  failures: readonly RestoreFailure[],
): Failures {
  const isLacking = ({ error }: RestoreFailure): boolean => error.code === 'ATTRIBUTE_NOT_SET';
  const [lacking, failed] = [failures.filter(isLacking), failures.filter((one) => !isLacking(one))];
  printLacking(program, lacking);
  for (const { path: name, error } of failed.slice(0, MAX_FAILURES_SHOWN)) {
    complain(program, `${displayName(name)}: ${displayText(error.message)} [${error.code}]`);
  }
  for (const code of new Set(failed.map(({ error }) => error.code))) {
    if (isErrorCode(code) && GUIDED_KINDS.has(ERROR_TABLE[code].kind)) {
      complain(program, ERROR_TABLE[code].guidance);
    }
  }
  const more = failed.length - MAX_FAILURES_SHOWN;
  if (more > 0) complain(program, `… and ${formatCount(more)} more; --json lists all`);
  return {
    failed: failed.length,
    unread: failed.filter(({ error }) => error.code === 'UNREAD_AT_BACKUP').length,
    entriesLacking: new Set(lacking.map(({ path: name }) => name.toString('latin1'))).size,
  };
}

/** Options that leave metadata out, by its name among attributes that could not be set. */
const LEFT_OUT_BY: ReadonlyMap<unknown, string> = new Map([
  ['owner', '--no-set-owner'],
  ['permissions', '--no-set-perms'],
  ['times', '--no-set-times'],
  ['flags', '--no-set-flags'],
]);

/** Prints a line for each kind of attribute that could not be set, with the number of entries that lack it. */
function printLacking(program: string, lacking: readonly RestoreFailure[]): void {
  const kinds = new Map<string, { readonly first: RestoreFailure; count: number }>();
  for (const failure of lacking) {
    const { message, context } = failure.error;
    const key = `${message} ${String(context['cause'])}`;
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { first: failure, count: 1 });
    else kind.count += 1;
  }
  const options = new Set<string>();
  for (const { first, count } of kinds.values()) {
    const { code, message, context } = first.error;
    const more = count > 1 ? ` and ${formatCount(count - 1)} more` : '';
    const cause = String(context['cause']);
    complain(
      program,
      `${displayName(first.path)}${more}: ${displayText(message)}: ${errnoText(cause)} [${code}]`,
    );
    options.add(LEFT_OUT_BY.get(context['attribute']) ?? '--no-set-attrs');
  }
  if (options.size > 0 && program === 'regenerate') {
    complain(program, `to leave that out, use ${[...options].join(', ')}`);
  }
}
