/** The arguments with which a local server finds the bucket of this command. */

let given: readonly string[] | undefined;

/** Records the arguments of a store in a bucket. */
export function noteBucket(words: readonly string[]): void {
  given = words;
}

/** Returns the arguments; undefined if the store is a directory. */
export function bucketArguments(): readonly string[] | undefined {
  return given;
}
