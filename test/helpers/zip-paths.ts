/** Returns the path that a name in an archive stands for: the opposite of `zipName`. */
export function pathInZip(name: Buffer): Buffer {
  const text = name.toString('latin1');
  const path = text.replaceAll(/%(25|3A|5C)/g, (_escape, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(path, 'latin1');
}
