/** Decodes what the system refused when the addon set the metadata of restored entries. */
import { getSystemErrorName } from 'node:util';

/** An attribute that could not be set. */
export interface FailedAttribute {
  /** A name with a dot, or `owner`, `permissions`, `times` or `flags`. */
  readonly name: string;
  /** The system's error code, such as ENOTSUP. */
  readonly code: string;
}

/** Decodes the failed attributes that the calls that set metadata return. */
export function failedAttributes(output: Buffer | undefined): FailedAttribute[] {
  if (output === undefined) return [];
  const words = output.toString('utf8').split('\0');
  const failed: FailedAttribute[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    failed.push({ code: words[index]!, name: words[index + 1]! });
  }
  return failed;
}

/** Returns the metadata that the system refused, from the `how` of a file that `restoreFiles` has written. */
export function refusedMetadata(how: number): FailedAttribute[] {
  if (how >>> 31 === 0) return [];
  return ['owner', 'permissions', 'times'].flatMap((name, index) => {
    const error = (how >>> (8 * index)) & (index < 2 ? 0xff : 0x7f);
    return error === 0 ? [] : [{ name, code: getSystemErrorName(-error) }];
  });
}
