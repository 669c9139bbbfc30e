/**
 * Opens the texts of sets and of their notes, which an encrypting client has sealed. The functions throw NOT_AUTHENTIC
 * for a text that this client has not sealed.
 */
import type { NameSealer } from '../../crypto/index.js';
import { mappedMarks } from '../../model/index.js';
import { type BackupSet, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import type { SetNote } from '../../store/index.js';

/** Returns a set with its names and marks in plain text. */
export function openedSet(set: BackupSet, names: NameSealer): BackupSet {
  return {
    ...set,
    name: names.openText(set.name),
    firstName: names.openText(set.firstName),
    marks: mappedMarks(set.marks, (text) => names.openText(text)),
  };
}

/** Returns a note with its name and its reason in plain text. Paths of roots are not sealed. */
export function openedNote(note: SetNote, names: NameSealer): SetNote {
  return {
    ...note,
    name: note.directory === ROOTS_DIRECTORY ? note.name : names.openName(note.name),
    reason: names.openText(note.reason),
  };
}
