/** Returns the error of reading an object of a store that does not exist, with the code ENOENT. */
export function noSuchObject(name: string): Error {
  return Object.assign(new Error(`ENOENT: no such object, ${name}`), { code: 'ENOENT' });
}
