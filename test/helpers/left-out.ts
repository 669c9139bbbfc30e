/** Tests that this machine cannot run. */
import type { ExecutionContext } from 'ava';

/** Passes a test that cannot run here, and logs why. */
export function leaveOut(t: ExecutionContext, why: string): undefined {
  t.log(why);
  t.pass();
  return undefined;
}
