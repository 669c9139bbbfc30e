/** A result that is often available at once. A promise for each request would cost more than the request. */
export type Soon<T> = T | Promise<T>;

/** Calls `then` with a result: at once if it is available, otherwise when its promise resolves. */
export function after<T, U>(soon: Soon<T>, then: (value: T) => Soon<U>): Soon<U> {
  return soon instanceof Promise ? soon.then(then) : then(soon);
}
