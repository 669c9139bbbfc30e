/** What a session may do, by the word for it; each message needs one right at most. */

/** What a sub-account may be given, each by itself. */
export const RIGHTS = ['add', 'read', 'list', 'purge', 'admin'] as const;
export type RightName = (typeof RIGHTS)[number];

/** `keys`, a say in the keys of the client, has its owner only. */
export type Right = RightName | 'keys';
