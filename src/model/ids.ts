/**
 * Types of the numbers that identify things in a store and in a session. A number of one kind cannot be used where
 * another kind is expected. A plain number, for example from SQLite or from a message, can be used everywhere.
 */
declare const kind: unique symbol;
type Id<Kind extends string> = number & { readonly [kind]?: Kind };

/** Number of a backup set, from 1 on. */
export type SetNumber = Id<'set'>;

/** Number of a root, from 1 on. */
export type RootNumber = Id<'root'>;

/** Permanent id of a directory; 0 is the directory of the roots. */
export type DirectoryId = Id<'directory'>;

/** Row of a content in the catalog. */
export type ContentId = Id<'content'>;

/** Row of a record in the catalog. */
export type RecordId = Id<'record'>;

/** Number of a pack; 0 stands for objects. */
export type PackNumber = Id<'pack'>;

/** Number that a client gives to a directory in one session. */
export type SlotNumber = Id<'slot'>;
