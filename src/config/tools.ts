/** The commands, and the groups of them that share settings. A row names a group or single commands. */

type OfSonic<N extends readonly string[]> = { readonly [K in keyof N]: `sonic ${N[K]}` };

/** Returns the full names of commands of `sonic`. */
export function ofSonic<const N extends readonly string[]>(...names: N): OfSonic<N> {
  return names.map((name) => `sonic ${name}`) as unknown as OfSonic<N>;
}

/** Commands that change the marks of sets. */
export const MARKING = ofSonic('tag', 'lock', 'priority', 'rename', 'expendable');

/** Commands that read a client's history and write nothing. */
export const REPORTING = ofSonic('status', 'files', 'info', 'stats', 'getconfig');

export const SONIC = [
  ...ofSonic('create', 'clients', 'rebuild', 'check'),
  ...ofSonic(
    'setpass',
    'chpass',
    'rotate',
    'rekey',
    'encrypt',
    'copy',
    'export',
    'keys',
    'account',
  ),
  ...ofSonic('delete', 'purge', 'forget-path', 'orphans'),
  ...REPORTING,
  ...ofSonic('setconfig', 'upgrade', 'bucket', 'setup'),
  ...MARKING,
] as const;

/** Commands that make sets: of this machine, or of what other programs have kept. */
export const BACKUPS = ['tardis', 'tardis-import'] as const;

/** Commands of `sonic` that are other programs: the same by another name. */
export const ALSO_OF_SONIC = { list: 'lstardis', diff: 'tardiff' } as const;

/** Commands that create a key record or replace one, for example for a new password. */
export const KEY_MAKERS = [
  ...BACKUPS,
  ...ofSonic('create', 'setpass', 'chpass', 'rekey', 'encrypt', 'forget-path', 'account'),
] as const;

/** Commands that read from a store or from a server. */
export const READERS = ['regenerate', 'lstardis', 'tardiff', 'tardisfs', 'tardis-web'] as const;
/** Commands that open a store themselves, at least if no server is given. */
export const USER_TOOLS = [...READERS, ...SONIC] as const;
/** Commands that read the client's configuration file. */
export const CLIENT_TOOLS = [...BACKUPS, ...USER_TOOLS] as const;
/** All commands, and all sub-commands of `sonic`. A command finds its settings by this name. */
export const TOOLS = [...BACKUPS, 'tardisd', 'tardisremote', ...USER_TOOLS] as const;
export type Tool = (typeof TOOLS)[number];

/**
 * Commands of sonic that show, check, change or copy the sets or settings of a client, in a store or through a server.
 */
const SET_TOOLS = [
  ...ofSonic('clients', 'check', 'copy', 'export', 'delete', 'purge', 'forget-path', 'orphans'),
  ...REPORTING,
  'sonic setconfig',
  ...MARKING,
] as const satisfies readonly Tool[];
/** Commands of sonic that can also work through a server. */
export const REMOTE_SONIC = [
  ...ofSonic('create', 'setpass', 'chpass', 'rotate', 'keys'),
  ...SET_TOOLS,
] as const satisfies readonly Tool[];
/** Commands that can connect to a server. */
export const CONNECTING = [
  'tardis',
  ...READERS,
  ...REMOTE_SONIC,
] as const satisfies readonly Tool[];
/** The commands at both ends of a connection. */
export const BOTH_ENDS = ['tardisd', ...CONNECTING] as const satisfies readonly Tool[];
/** Commands that an account of a client may use, if it has the right. */
export const ACCOUNT_TOOLS = [
  'tardis',
  ...READERS,
  ...SET_TOOLS,
] as const satisfies readonly Tool[];
/** Commands that may need the password of the client. */
export const PASSWORD_TOOLS = [
  ...CONNECTING,
  'tardis-import',
  ...ofSonic('rebuild', 'rekey', 'encrypt', 'account'),
] as const satisfies readonly Tool[];
/** Commands that read or write keys. */
export const KEYS_TOOLS = [
  ...ACCOUNT_TOOLS,
  'tardis-import',
  ...ofSonic('create', 'rebuild', 'chpass', 'rotate', 'keys'),
] as const satisfies readonly Tool[];
