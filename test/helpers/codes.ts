/** Which error a call ended with, by the code that callers look at. */
import { systemCode, TardisError } from '../../src/errors/index.js';

/** The code of one of our errors, or of the system's. Anything else is thrown on: it is a bug. */
export function codeOf(error: unknown): string {
  if (error instanceof TardisError) return error.code;
  const code = systemCode(error);
  if (code === undefined) throw error;
  return code;
}

/** The code a call throws; undefined when it returns. */
export function thrownCode(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}

/** The code a promise is rejected with; undefined when it resolves. */
export async function rejectedCode(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}
