/**
 * Types of the numbers that identify things in a store and in a session. A number of one kind does not fit where
 * another kind is expected; a plain number, as SQLite and the wire give it, fits everywhere.
 */
declare const kind: unique symbol;
type Id<Kind extends string> = number & { readonly [kind]?: Kind };

/** Number of a backup set, from 1 on. */
export type SetNumber = Id<'set'>;

/** Number of a root, from 1 on. */
export type RootNumber = Id<'root'>;

/** Lasting id of a directory; 0 holds the roots. */
export type DirectoryId = Id<'directory'>;

/** Row of a content in the catalog. */
export type ContentId = Id<'content'>;

/** Row of a record in the catalog. */
export type RecordId = Id<'record'>;

/** Number of a pack; 0 stands for objects. */
export type PackNumber = Id<'pack'>;

/** Number that a client gives to a directory in one session. */
export type SlotNumber = Id<'slot'>;
