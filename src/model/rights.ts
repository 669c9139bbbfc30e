/** The rights of a session, by name. Each message of the protocol needs at most one right. */

/** Rights that a sub-account can have, each independently. */
export const RIGHTS = ['add', 'read', 'list', 'purge', 'admin', 'quota'] as const;
export type RightName = (typeof RIGHTS)[number];

/** Rights of a session. `keys`, the right to change the client's keys, belongs to the client's owner only. */
export type Right = RightName | 'keys';
