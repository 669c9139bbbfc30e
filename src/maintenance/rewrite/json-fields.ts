/** Reads the small JSON files of a rewrite. They are untrusted. */

/** Returns the fields of an object in JSON; none if the text is anything else. */
export function jsonFields(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    return {}; // the caller reports the file as damaged
  }
  return {};
}
