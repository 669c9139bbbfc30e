/** Decodes what the system refused when the addon set the metadata of restored entries. */
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

/** Decodes what `restoreFiles` returns: the attributes that could not be set, each with the index of its file. */
export function refusedOfFiles(
  output: Buffer | undefined,
): { readonly file: number; readonly attribute: FailedAttribute }[] {
  const failed: { file: number; attribute: FailedAttribute }[] = [];
  if (output === undefined) return failed;
  for (let at = 0; at < output.length; ) {
    const [file, textAt] = [output.readUInt32LE(at), at + 8];
    at = textAt + output.readUInt32LE(at + 4);
    for (const attribute of failedAttributes(output.subarray(textAt, at))) {
      failed.push({ file, attribute });
    }
  }
  return failed;
}
