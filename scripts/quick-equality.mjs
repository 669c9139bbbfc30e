// Lets `t.deepEqual` find at once that two values are equal. ava describes each value part by part, which takes 0.4 ms of processor
// time for each KiB of a buffer. Values that may differ are left to ava, which reports where. ava loads this module before each
// test file.
import { createRequire } from 'node:module';

/** The comparison of ava, which looks it up at each call. */
const concordance = createRequire(import.meta.resolve('ava'))('concordance');
/** Values that contain others more deeply are left to ava, and so are those that contain themselves. */
const MAX_DEPTH = 20;

/** True if two values are equal for certain. It knows primitive values, buffers, arrays, maps and plain objects. */
export function areSame(one, other, depth = 0) {
  if (Object.is(one, other)) return true;
  if (depth > MAX_DEPTH || !isObject(one) || !isObject(other)) return false;
  const kind = Object.getPrototypeOf(one);
  if (kind !== Object.getPrototypeOf(other)) return false;
  if (kind === Buffer.prototype) return one.equals(other);
  if (kind === Map.prototype) return areSame([...one], [...other], depth);
  if (kind !== Array.prototype && kind !== Object.prototype) return false;
  const names = Reflect.ownKeys(one);
  return (
    names.length === Reflect.ownKeys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && areSame(one[name], other[name], depth + 1))
  );
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

const { compare } = concordance;
concordance.compare = (one, other, options) =>
  areSame(one, other) ? { pass: true } : compare(one, other, options);
