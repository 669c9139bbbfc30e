/**
 * The kinds of notes that a backup set has about its entries. True marks those that count as errors of the run.
 */

const KINDS = {
  /** The entry could not be read; its older version, if any, is kept. */
  unreadable: true,
  /** The entry vanished between listing and reading. */
  vanished: false,
  /** The file changed while it was read; the next backup reads it again. */
  changed: false,
  /** The entry was saved without some of its attributes. */
  incomplete: true,
  /** Nothing was saved from a protected root, because it looks empty or foreign. */
  protected: true,
  /**
   * The file returned fewer bytes than its size, or different bytes in a second read, although it had not changed.
   */
  inconsistent: true,
} as const;

export type NoteKind = keyof typeof KINDS;

/** The kinds that count as errors. */
export type ErrorNoteKind = {
  [K in NoteKind]: (typeof KINDS)[K] extends true ? K : never;
}[NoteKind];

export const NOTE_KINDS: readonly NoteKind[] = Object.keys(KINDS) as NoteKind[];

/** Returns the number of notes that count as errors: they make a run end with status 3. */
export function countErrors(counts: Readonly<Partial<Record<NoteKind, number>>>): number {
  return NOTE_KINDS.reduce((sum, kind) => sum + (KINDS[kind] ? (counts[kind] ?? 0) : 0), 0);
}

/** True if a note of this kind counts as an error. False for an unknown kind. */
export function isErrorNote(what: string): what is ErrorNoteKind {
  return isNoteKind(what) && KINDS[what];
}

export function isNoteKind(text: string): text is NoteKind {
  return Object.hasOwn(KINDS, text);
}
