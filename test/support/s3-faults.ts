/** Faults of an object store at one request. `hang` means that no answer comes. */
export const S3_FAULTS = [
  'internal',
  'slow down',
  'hang',
  'apply, hang',
  'apply, internal',
  'drop',
  'apply, drop',
  'drop, apply later',
  'cut',
  'wrong bytes',
  'stale 404',
  'stale list',
  'ignored condition',
  'login page',
] as const;

export type S3Fault = (typeof S3_FAULTS)[number];

/** Faults that a client cannot detect, since the store gives a false answer. */
export const S3_LIES: ReadonlySet<S3Fault> = new Set<S3Fault>([
  'stale 404',
  'stale list',
  'ignored condition',
]);

/** True for a request that changes an object. */
export function isChange(method: string): boolean {
  return method === 'PUT' || method === 'DELETE';
}
