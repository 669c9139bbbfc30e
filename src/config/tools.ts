/** The commands, and the groups of them that share settings. A row names a group, or single commands. */

/** What is said of sets. */
export const MARKING = [
  'sonic tag',
  'sonic lock',
  'sonic priority',
  'sonic rename',
  'sonic expendable',
] as const;

/** What reads of a client's history, and writes nothing. */
export const REPORTING = ['sonic files', 'sonic info', 'sonic stats', 'sonic getconfig'] as const;

export const SONIC = [
  'sonic create',
  'sonic list',
  'sonic rebuild',
  'sonic check',
  'sonic setpass',
  'sonic chpass',
  'sonic rotate',
  'sonic rekey',
  'sonic encrypt',
  'sonic keys',
  'sonic account',
  'sonic delete',
  'sonic purge',
  'sonic forget-path',
  'sonic orphans',
  'sonic diff',
  ...REPORTING,
  'sonic setconfig',
  'sonic upgrade',
  ...MARKING,
] as const;

/** Who reads from a store or from a server. */
export const READERS = ['regenerate', 'lstardis', 'tardiff'] as const;
/** All that read a store as a directory. */
export const USER_TOOLS = [...READERS, ...SONIC] as const;
/** All that read the client's configuration file. */
export const CLIENT_TOOLS = ['tardis', ...USER_TOOLS] as const;
/** Every command, and every sub-command of `sonic`, chooses its settings by this name. */
export const TOOLS = ['tardis', 'tardisd', ...USER_TOOLS] as const;
export type Tool = (typeof TOOLS)[number];

/** Those of sonic that show sets of a client or change them, in a store or through a server. */
const SET_TOOLS = [
  'sonic list',
  'sonic check',
  'sonic delete',
  'sonic purge',
  'sonic forget-path',
  'sonic orphans',
  'sonic diff',
  ...REPORTING,
  'sonic setconfig',
  ...MARKING,
] as const satisfies readonly Tool[];
/** Those of sonic that go through a server, too. */
export const REMOTE_SONIC = [
  'sonic create',
  'sonic setpass',
  'sonic chpass',
  'sonic rotate',
  'sonic keys',
  ...SET_TOOLS,
] as const satisfies readonly Tool[];
/** All that connect to a server. */
export const CONNECTING = [
  'tardis',
  ...READERS,
  ...REMOTE_SONIC,
] as const satisfies readonly Tool[];
/** Both ends of a connection. */
export const BOTH_ENDS = ['tardisd', ...CONNECTING] as const satisfies readonly Tool[];
/** What an account of a client may do, if it has the right. */
export const ACCOUNT_TOOLS = [
  'tardis',
  ...READERS,
  ...SET_TOOLS,
] as const satisfies readonly Tool[];
/** All that open a client which may have a password. */
export const PASSWORD_TOOLS = [
  ...CONNECTING,
  'sonic rebuild',
  'sonic rekey',
  'sonic encrypt',
  'sonic account',
] as const satisfies readonly Tool[];
/** All that read or write keys. */
export const KEYS_TOOLS = [
  ...ACCOUNT_TOOLS,
  'sonic create',
  'sonic rebuild',
  'sonic chpass',
  'sonic rotate',
  'sonic keys',
] as const satisfies readonly Tool[];
