/** Reads JSON that anybody may have written. */

/** Returns the fields of an object in JSON; none if there is no text, or it is anything else. */
export function jsonFields(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    return {}; // the caller finds that its fields are missing
  }
  return {};
}
