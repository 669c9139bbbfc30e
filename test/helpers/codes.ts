/** Error codes with which calls and commands fail, and the exit statuses of commands. */
import type { ExecutionContext } from 'ava';
import { systemCode, TardisError } from '../../src/errors/index.js';

/** Returns the code of one of our errors, or of the system's. Rethrows any other error, which is a bug. */
export function codeOf(error: unknown): string {
  if (error instanceof TardisError) return error.code;
  const code = systemCode(error);
  if (code === undefined) throw error;
  return code;
}

/** Returns the code of the error that a call throws; undefined if it returns. */
export function thrownCode(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}

/** Returns the code of the error that a promise is rejected with; undefined if it resolves. */
export async function rejectedCode(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}

/** Returns the code of the error that a command has printed. */
export function codeIn({ stderr }: { readonly stderr: string }): string | undefined {
  return /\[([A-Z_]+)\]/.exec(stderr)?.[1];
}

/** Checks the exit status of a command. Returns the command's outcome. */
export function exited<T extends Printed>(
  t: Pick<ExecutionContext, 'is'>,
  status: number | null,
  outcome: T,
): T {
  t.is(outcome.status, status, outcome.stdout + outcome.stderr);
  return outcome;
}

interface Printed {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
