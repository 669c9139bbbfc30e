/**
 * Types of the numbers that identify things in a store and in a session. A number of one kind cannot be used where
 * another kind is expected. A content or a record has its kind only from the shape of a row, from a checked field of a
 * message, or from the functions below: a plain number is none. The other kinds still accept plain numbers.
 */
declare const kind: unique symbol;
type Id<Kind extends string> = number & { readonly [kind]?: Kind };
type StrictId<Kind extends string> = number & { readonly [kind]: Kind };

/** Number of a backup set, from 1 on. */
export type SetNumber = Id<'set'>;

/** Number of a root, from 1 on. */
export type RootNumber = Id<'root'>;

/** Permanent id of a directory; 0 is the directory of the roots. */
export type DirectoryId = Id<'directory'>;

/** Row of a content in the catalog. */
export type ContentId = StrictId<'content'>;

/** Row of a record in the catalog. */
export type RecordId = StrictId<'record'>;

/** Number of a pack; 0 stands for objects. */
export type PackNumber = Id<'pack'>;

/** Number that a client gives to a directory in one session. */
export type SlotNumber = Id<'slot'>;

/** Returns a number as the id of a content. For numbers of SQLite, and those that were checked or counted up. */
export const contentIdOf = (number: number): ContentId => number as ContentId;

/** Returns a number as the id of a record, as `contentIdOf` does. */
export const recordIdOf = (number: number): RecordId => number as RecordId;

/** The id of no content: a walk through all of them begins after it. */
export const NO_CONTENT: ContentId = contentIdOf(0);

/** The id of no record: a walk through all of them begins after it. */
export const NO_RECORD_ID: RecordId = recordIdOf(0);
