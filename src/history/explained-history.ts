/** Wraps a history so that errors from a damaged catalog are reported as damage, not as bugs of the program. */
import type { History } from './history.js';

type Explain = (error: unknown) => unknown;

/**
 * Returns a history that passes each error of a call through `explain`, also of a call of its reports. It does so
 * whether the call throws or rejects.
 */
export function explainedHistory(history: History, explain: Explain): History {
  const reports = explained(history.reports, explain);
  return explained(history, explain, new Map<PropertyKey, unknown>([['reports', reports]]));
}

function explained<T extends object>(
  calls: T,
  explain: Explain,
  replaced: ReadonlyMap<PropertyKey, unknown> = new Map(),
): T {
  const known = new Map(replaced);
  return new Proxy(calls, {
    get: (target, name) => {
      if (known.has(name)) return known.get(name);
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const call = explainedCall(target, value as (...args: unknown[]) => unknown, explain);
      known.set(name, call);
      return call;
    },
  });
}

function explainedCall(
  target: object,
  call: (...args: unknown[]) => unknown,
  explain: Explain,
): (...args: unknown[]) => unknown {
  return (...args) => {
    try {
      const answer = call.apply(target, args);
      if (!(answer instanceof Promise)) return answer;
      return answer.catch((error: unknown) => {
        throw explain(error);
      });
    } catch (error) {
      throw explain(error);
    }
  };
}
